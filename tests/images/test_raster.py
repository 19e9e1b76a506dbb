"""What a film looks like after decoding, whatever file it came in."""

from __future__ import annotations

import zlib
from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageFile

from cxr_edge.errors import ImageError
from cxr_edge.images import decode
from cxr_edge.types import InputWarning, Reason
from tests.images.films import (
    in_16_bits,
    jpeg,
    oriented,
    pages,
    png,
    raw_png,
    raw_tiff,
    scene,
    tiff,
    tiff_by_hand,
    unfiltered,
    with_alpha,
    with_transparent_level,
)

HEIGHT, WIDTH = scene().shape


def rgb(plane: NDArray[np.uint8]) -> Image.Image:
    return Image.fromarray(plane).convert("RGB")


def samples_16(channels: int, bits: int = 16) -> NDArray[np.uint16]:
    """The scene in every channel of 16 bits, opaque where there is an even number of them."""
    planes = [in_16_bits(bits)] * channels
    if channels % 2 == 0:
        planes[-1] = np.full_like(planes[0], 0xFFFF)
    return np.stack(planes, axis=2).reshape(HEIGHT, WIDTH * channels)


# Every one must come out as the scene, level by level.
EXACT = {
    "png 8 bit": png(),
    "png rgb": png(rgb(scene())),
    "png grey with opaque alpha": png(with_alpha("LA", 255)),
    "png rgb with opaque alpha": png(with_alpha("RGBA", 255)),
    "png 16 bit": png(in_16_bits()),
    "png 16 bit, unused transparent level": with_transparent_level(png(in_16_bits()), 1),
    "png 16 bit rgb": raw_png(WIDTH, HEIGHT, (16, 2), unfiltered(samples_16(3))),
    "png 16 bit, opaque alpha": raw_png(WIDTH, HEIGHT, (16, 4), unfiltered(samples_16(2))),
    "png 8 in 16 bit": png(in_16_bits(8)),
    "png with junk behind it": png() + b"junk" * 1000,
    "tiff 8 bit": tiff(),
    "tiff 8 bit lzw": tiff(compression="tiff_lzw"),
    "tiff 8 bit packbits": tiff(compression="packbits"),
    "tiff 8 bit big endian": raw_tiff(scene(), order=">"),
    "tiff 8 bit white is zero": raw_tiff(255 - scene(), white_is_zero=True),
    "tiff rgb": tiff(rgb(scene())),
    "tiff BigTIFF": tiff(big_tiff=True),
    "tiff 16 bit": tiff(in_16_bits()),
    "tiff 16 bit deflate": tiff(in_16_bits(), compression="tiff_adobe_deflate"),
    "tiff 16 bit big endian": raw_tiff(in_16_bits(), order=">"),
    "tiff 16 bit white is zero": raw_tiff(0xFFFF - in_16_bits(), white_is_zero=True),
    "tiff 12 in 16 bit": tiff(in_16_bits(12)),
    "tiff 12 in 16 bit white is zero": raw_tiff(4095 - in_16_bits(12), white_is_zero=True),
    "tiff 32 bit integers": tiff(Image.fromarray(in_16_bits().astype(np.int32))),
}

# JPEG loses a little.
CLOSE = {
    "jpeg baseline": jpeg(),
    "jpeg progressive": jpeg(progressive=True),
    "jpeg restart markers": jpeg(restart_marker_rows=1),
    "jpeg rgb": jpeg(rgb(scene())),
    "jpeg with junk behind it": jpeg() + b"junk" * 1000,
    "tiff jpeg": tiff(compression="jpeg", quality=95),
}

REFUSED = {
    "jpeg cmyk": (jpeg(rgb(scene()).convert("CMYK")), Reason.COLOUR_SPACE),
    "tiff lab": (tiff(rgb(scene()).convert("LAB")), Reason.COLOUR_SPACE),
    "png 1 bit": (png(Image.fromarray(scene()).convert("1")), Reason.PIXEL_TYPE),
    "png 2 bit": (raw_png(WIDTH, HEIGHT, (2, 0), unfiltered(scene()[:, ::4])), Reason.PIXEL_TYPE),
    "png 4 bit": (raw_png(WIDTH, HEIGHT, (4, 0), unfiltered(scene()[:, ::2])), Reason.PIXEL_TYPE),
    # Pillow would leave a nearly black film of these.
    "png 12 in 16 bit rgb": (
        raw_png(WIDTH, HEIGHT, (16, 2), unfiltered(samples_16(3, 12))),
        Reason.PIXEL_TYPE,
    ),
    "png 12 in 16 bit with alpha": (
        raw_png(WIDTH, HEIGHT, (16, 4), unfiltered(samples_16(2, 12))),
        Reason.PIXEL_TYPE,
    ),
    "tiff 8 bit signed": (tiff(tiffinfo={339: 2}), Reason.PIXEL_TYPE),
    "tiff 16 bit signed big endian, deflated": (
        tiff_by_hand({258: 16, 259: 8, 339: 2}, [zlib.compress(in_16_bits().tobytes())], ">"),
        Reason.UNSUPPORTED_FORMAT,
    ),
    "tiff 1 bit": (tiff(Image.fromarray(scene()).convert("1")), Reason.PIXEL_TYPE),
    "tiff floats": (tiff(scene().astype(np.float32)), Reason.PIXEL_TYPE),
    "tiff negative": (tiff(scene().astype(np.int32) - 100), Reason.PIXEL_TYPE),
    "png grey with a hole": (png(with_alpha("LA", 254)), Reason.ALPHA),
    "png 8 bit, a transparent level": (with_transparent_level(png(), 100), Reason.ALPHA),
    "png 16 bit, a transparent level": (
        with_transparent_level(png(in_16_bits()), 100 * 257),
        Reason.ALPHA,
    ),
    "tiff rgb with a hole": (tiff(with_alpha("RGBA", 0)), Reason.ALPHA),
    "tiff pages": (pages("TIFF"), Reason.MULTI_FRAME),
    "png animation": (pages("PNG"), Reason.MULTI_FRAME),
    "jpeg multi-picture": (pages("MPO"), Reason.MULTI_FRAME),
}


def reason_of(data: bytes, name: str = "film") -> Reason:
    with pytest.raises(ImageError) as caught:
        decode(data, name)
    return caught.value.reason


@pytest.mark.parametrize("data", EXACT.values(), ids=EXACT)
def test_lossless_file_gives_the_scene(data: bytes) -> None:
    image = decode(data, "film")
    assert np.array_equal(image.pixels, scene())
    assert image.warnings == ()


@pytest.mark.parametrize("data", CLOSE.values(), ids=CLOSE)
def test_lossy_file_gives_nearly_the_scene(data: bytes) -> None:
    difference = np.abs(decode(data, "film").pixels.astype(int) - scene())
    assert difference.mean() < 1
    assert difference.max() < 20


@pytest.mark.parametrize(("data", "reason"), REFUSED.values(), ids=REFUSED)
def test_refused(data: bytes, reason: Reason) -> None:
    assert reason_of(data) is reason


UPRIGHT: dict[int, Callable[[NDArray[np.uint8]], NDArray[np.uint8]]] = {
    1: lambda stored: stored,
    2: np.fliplr,
    3: lambda stored: np.rot90(stored, 2),
    4: np.flipud,
    5: np.transpose,
    6: lambda stored: np.rot90(stored, -1),
    7: lambda stored: np.rot90(stored, 2).T,
    8: lambda stored: np.rot90(stored, 1),
}


@pytest.mark.parametrize("orientation", UPRIGHT)
@pytest.mark.parametrize("image_format", ["JPEG", "PNG", "TIFF"])
def test_exif_orientation_is_applied_and_said(image_format: str, orientation: int) -> None:
    stored = decode(oriented(image_format, 1), "film").pixels
    image = decode(oriented(image_format, orientation), "film")
    assert np.array_equal(image.pixels, UPRIGHT[orientation](stored))
    said = () if orientation == 1 else (InputWarning.ORIENTATION_APPLIED,)
    assert image.warnings == said


@pytest.mark.parametrize("orientation", [0, 9, 255])
def test_meaningless_orientation_is_ignored(orientation: int) -> None:
    image = decode(oriented("PNG", orientation), "film")
    assert np.array_equal(image.pixels, scene())
    assert image.warnings == ()


NAMES = {
    "film.png": True,
    "film": True,
    "film.jpg": False,
    "film.txt": False,
}


@pytest.mark.parametrize(("name", "fits"), NAMES.items(), ids=NAMES)
def test_name_is_only_compared(name: str, fits: bool) -> None:
    image = decode(png(), name)
    assert (image.format, np.array_equal(image.pixels, scene())) == ("PNG", True)
    assert image.warnings == (() if fits else (InputWarning.EXTENSION_MISMATCH,))


@pytest.mark.parametrize(
    ("data", "name"),
    [(jpeg(), f"film.{end}") for end in ("jpg", "JPEG", "jpe", "jfif")]
    + [(tiff(), f"film.{end}") for end in ("tif", "TIFF")],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_usual_names_are_no_mismatch(data: bytes, name: str) -> None:
    assert decode(data, name).warnings == ()


def test_a_leniency_of_pillow_that_somebody_switched_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", True)
    with pytest.raises(RuntimeError, match="LOAD_TRUNCATED_IMAGES"):
        decode(png(), "film.png")


FOREIGN = {
    "empty": (b"", Reason.EMPTY),
    "text": (b"This is not an image.\n", Reason.NO_FILM),
    "zeros": (bytes(5000), Reason.UNRECOGNISED),
    "photoshop": (b"8BPS" + bytes(100), Reason.UNSUPPORTED_FORMAT),
}


@pytest.mark.parametrize(("data", "reason"), FOREIGN.values(), ids=FOREIGN)
def test_what_is_no_film(data: bytes, reason: Reason) -> None:
    assert reason_of(data) is reason


def scaled_in_integers(levels: NDArray[np.uint16], full: int) -> NDArray[np.uint8]:
    """The rule that a table was made of."""
    return ((levels.astype(np.int64) * 255 + full // 2) // full).astype(np.uint8)


@pytest.mark.parametrize("inverted", [False, True])
@pytest.mark.parametrize("bits", [8, 10, 12, 14, 16])
def test_every_level_is_scaled_as_ever(bits: int, inverted: bool) -> None:
    full = 2**bits - 1
    levels = np.arange(2**bits, dtype=np.uint16).reshape(16, -1)
    image = decode(raw_tiff(full - levels if inverted else levels, white_is_zero=inverted), "film")
    assert np.array_equal(image.pixels, scaled_in_integers(levels, full))


def test_film_of_several_blocks_of_rows() -> None:
    levels = np.random.default_rng(1).integers(0, 2**14, (1500, 1600), dtype=np.uint16)
    full = 2**14 - 1
    assert np.array_equal(decode(png(levels), "film").pixels, scaled_in_integers(levels, full))


def tinted(factor: float) -> Image.Image:
    """The scene with less blue."""
    plane = scene()
    return Image.fromarray(np.stack([plane, plane, (plane * factor).astype(np.uint8)], axis=2))


def with_colour_noise() -> Image.Image:
    """A grey film whose channels went separate ways."""
    noise = np.random.default_rng(1).normal(0, 4, (480, 640, 3))
    film = np.kron(scene(), np.ones((10, 10), np.uint8))[:, :, np.newaxis]
    return Image.fromarray((film + noise).clip(0, 255).astype(np.uint8))


def with_red_label() -> Image.Image:
    image = rgb(np.kron(scene(), np.ones((10, 10), np.uint8)))
    image.paste((255, 0, 0), (20, 20, 60, 45))
    return image


def photograph() -> Image.Image:
    plane = scene()
    return Image.fromarray(np.stack([plane, plane[::-1], plane[:, ::-1]], axis=2))


COLOURS = {
    "grey as rgb": (jpeg(rgb(scene())), False),
    "jpeg noise": (jpeg(with_colour_noise()), False),
    "bright to 245, nine in a hundred less blue": (png(tinted(0.91)), False),
    "bright to 245, twelve in a hundred less blue": (png(tinted(0.88)), True),
    "photograph": (jpeg(photograph()), True),
    "photograph with opaque alpha": (png(photograph().convert("RGBA")), True),
    "red label": (jpeg(with_red_label()), True),
}


@pytest.mark.parametrize(("data", "coloured"), COLOURS.values(), ids=COLOURS)
def test_colour_is_noticed(data: bytes, coloured: bool) -> None:
    assert decode(data, "film").warnings == ((InputWarning.COLOUR,) if coloured else ())


def test_all_warnings_in_their_order() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    assert decode(png(photograph(), exif=exif), "film.jpg").warnings == (
        InputWarning.EXTENSION_MISMATCH,
        InputWarning.ORIENTATION_APPLIED,
        InputWarning.COLOUR,
    )
