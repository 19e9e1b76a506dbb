"""Large DICOM films with fewer samples: the same film to the network, the gates and the page."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from cxr_edge.errors import ImageError
from cxr_edge.images import decode
from cxr_edge.images.dicom_codecs import ImagePixel
from cxr_edge.images.dicom_reduction import reduced, reduction
from cxr_edge.intake.gates import pixel_warnings
from cxr_edge.preprocess import to_network_input, without_border
from cxr_edge.types import DecodedImage, InputWarning, Reason
from tests.factories import chest
from tests.images import dicoms
from tests.images.dicoms import film, lut, with_code_stream
from tests.images.films import Levels, encode

pytestmark = pytest.mark.filterwarnings(r"ignore::Warning:pydicom\.")
AT_LEAST = 150
SHAPE = (721, 963)  # neither side a multiple of anything


def detector(bits: int = 12, *, signed: bool = False) -> Levels:
    """A chest with the grain of a detector."""
    grey = np.asarray(Image.fromarray(chest(*SHAPE)), np.float64)
    noise = np.random.default_rng(7).normal(0, 4, SHAPE)
    levels = ((grey + noise) / 255 * (2**bits - 1)).clip(0, 2**bits - 1).astype(np.int64)
    levels -= 2 ** (bits - 1) if signed else 0
    return levels.astype(f"{'i' if signed else 'u'}{1 if bits == 8 else 2}")


def in_high_bits() -> bytes:
    """Twelve bits above four of something else."""
    levels = (detector() << 4 | np.arange(SHAPE[1]) % 16).astype(np.uint16)
    return film(levels, bits=12, HighBit=15)


def with_overlay() -> bytes:
    """Something else in the four bits above."""
    levels = (detector() | (np.arange(SHAPE[1]) % 16) << 12).astype(np.uint16)
    return film(levels, bits=12)


def of_two_sizes(levels: Levels) -> bytes:
    """A code stream that can be halved once."""
    stream = encode(levels, "JPEG2000", no_jp2=True, num_resolutions=2)
    return with_code_stream(stream, levels, 16, dicoms.J2K_LOSSLESS)


FILMS: dict[str, Callable[[], bytes]] = {
    "plain": lambda: film(detector()),
    "big-endian": lambda: film(detector(), syntax=dicoms.BIG_ENDIAN),
    "of 8 bits": lambda: film(detector(8), bits=8),
    "of 16 bits": lambda: film(detector(16), bits=16),
    "signed": lambda: film(detector(signed=True)),
    "signed JPEG 2000": lambda: film(detector(signed=True), syntax=dicoms.J2K_LOSSLESS),
    "JPEG 2000 of 8 bits": lambda: film(detector(8), bits=8, syntax=dicoms.J2K_LOSSLESS),
    "JPEG 2000 of 16 bits": lambda: film(detector(16), bits=16, syntax=dicoms.J2K_LOSSLESS),
    "JPEG 2000 lossless": lambda: film(detector(), syntax=dicoms.J2K_LOSSLESS),
    "JPEG 2000": lambda: film(detector(), syntax=dicoms.J2K),
    "JPEG-LS": lambda: film(detector(), syntax=dicoms.JPEG_LS),
    "JPEG lossless": lambda: film(detector(), syntax=dicoms.JPEG_LOSSLESS_SV1),
    "RLE": lambda: film(detector(), syntax=dicoms.RLE),
    "bits below": in_high_bits,
    "bits above": with_overlay,
    "narrow window": lambda: film(detector(), WindowCenter=2000, WindowWidth=1500),
    "inverted": lambda: film(
        (4095 - detector()).astype(np.uint16), PhotometricInterpretation="MONOCHROME1"
    ),
    "JPEG 2000 of two sizes": lambda: of_two_sizes(detector(16)),
}


def gated(image: DecodedImage) -> tuple[InputWarning, ...]:
    return pixel_warnings(image, without_border(image.pixels, image.extent), 50)


def seen(image: DecodedImage) -> NDArray[np.int_]:
    return to_network_input(without_border(image.pixels, image.extent), 50).astype(int)


@pytest.mark.parametrize("name", FILMS)
def test_a_reduced_film_is_the_same_to_everybody(name: str) -> None:
    data = FILMS[name]()
    whole, fewer = decode(data, ""), decode(data, "", at_least=AT_LEAST)
    assert (whole.reduction, fewer.reduction) == (1, 4)
    assert fewer.pixels.shape == (-(-whole.height // 4), -(-whole.width // 4))
    assert (fewer.width, fewer.height) == (whole.width, whole.height)
    assert fewer.warnings == whole.warnings
    assert gated(fewer) == gated(whole)
    apart = np.abs(seen(whole) - seen(fewer))
    assert apart.mean() < 0.6  # the design allows 2
    assert apart.max() <= 3


DECODED_WHOLE = {
    "turned by its header": film(detector(), PatientOrientation=["R", "F"]),
    "greys up and down": film(
        detector(), VOILUTSequence=[lut(list(range(0, 4096, 2)) + list(range(4095, 0, -2)), 0, 12)]
    ),
    "too small": film(detector()[:299]),
}


@pytest.mark.parametrize("data", DECODED_WHOLE.values(), ids=DECODED_WHOLE)
def test_films_that_keep_their_samples(data: bytes) -> None:
    image = decode(data, "", at_least=AT_LEAST)
    assert (image.reduction, image.pixels.shape) == (1, (image.height, image.width))


def test_the_mean_of_a_square_is_rounded_once() -> None:
    image = ImagePixel(3, 5, 16, 12, 11, False, "MONOCHROME2")
    words = np.arange(15, dtype=np.uint16).reshape(3, 5)
    # 0 1 5 6, 2 3 7 8, and 4 9 beside themselves; below 10 to 14 above themselves.
    assert reduced(words, image, 2).tolist() == [[3, 5, 7], [11, 13, 14]]


COLOURS = ImagePixel(2000, 2000, 8, 8, 7, False, "RGB", samples=3)
PALETTE = ImagePixel(2000, 2000, 8, 8, 7, False, "PALETTECOLOR")
GREY = ImagePixel(2000, 1700, 16, 12, 11, False, "MONOCHROME2")


@pytest.mark.parametrize(("at_least", "expected"), [(0, 1), (851, 1), (850, 2), (425, 4), (1, 8)])
def test_reduction(at_least: int, expected: int) -> None:
    assert reduction(GREY, at_least) == expected


@pytest.mark.parametrize("image", [COLOURS, PALETTE])
def test_what_has_no_mean(image: ImagePixel) -> None:
    assert reduction(image, 50) == 1


def reason_of(data: bytes, at_least: int) -> Reason | None:
    try:
        decode(data, "", at_least=at_least)
    except ImageError as error:
        return error.reason
    return None


@pytest.mark.parametrize("syntax", [dicoms.J2K_LOSSLESS, dicoms.J2K])
def test_a_reduced_jpeg_2000_is_refused_where_the_whole_one_is(syntax: str) -> None:
    """Cut anywhere, with an end put behind, and with bytes gone from the middle."""
    levels = np.ascontiguousarray(detector()[:300, :400])
    stream = dicoms.ENCODERS[syntax](levels, 12)
    for cut in range(len(stream) // 30, len(stream) - 2, len(stream) // 30):
        for broken in (stream[:cut], stream[:cut] + b"\xff\xd9", stream[:cut] + stream[cut + 30 :]):
            data = with_code_stream(broken, levels, 12, syntax)
            whole, fewer = reason_of(data, 0), reason_of(data, 50)
            assert whole is not None and fewer is not None, (cut, len(broken))


def code_stream(levels: Levels, **options: object) -> bytes:
    return encode(levels, "JPEG2000", no_jp2=True, **options)


def test_a_last_tile_without_a_length_goes_up_to_the_end() -> None:
    """As ITU-T T.800 A.4.2 allows it; the frame is padded to an even length."""
    levels = detector(16)
    stream = code_stream(levels)
    at = stream.index(b"\xff\x90")
    open_end = stream[: at + 6] + bytes(4) + stream[at + 10 :] + b"\0"
    whole, fewer = (
        decode(with_code_stream(open_end, levels, 16, dicoms.J2K_LOSSLESS), "", at_least=least)
        for least in (0, AT_LEAST)
    )
    assert (whole.reduction, fewer.reduction) == (1, 4)
    assert np.abs(whole.pixels - (levels / 65535 * 255)).max() <= 1


TILES = {"an empty tile at a quarter": 240, "tiles of one size": 256, "tiny tiles": 3}


@pytest.mark.parametrize("side", TILES.values(), ids=TILES)
def test_tiles_that_are_nothing_at_a_quarter(side: int) -> None:
    """961 columns are 241 at a quarter, and so are the 960 of four tiles."""
    levels = np.ascontiguousarray(detector(8)[:, :961])
    if side < 100:
        levels = np.ascontiguousarray(levels[:200, :200])
    stream = code_stream(levels, tile_size=(side, side))
    data = with_code_stream(stream, levels, 8, dicoms.J2K_LOSSLESS)
    whole, fewer = decode(data, ""), decode(data, "", at_least=50)
    assert fewer.reduction > 1
    assert np.abs(seen(whole) - seen(fewer)).mean() < 1.1


def test_a_part_of_a_tile_that_is_missing() -> None:
    levels = detector(16)
    stream = bytearray(code_stream(levels))
    stream[stream.index(b"\xff\x90") + 11] = 2  # parts of this tile
    data = with_code_stream(bytes(stream), levels, 16, dicoms.J2K_LOSSLESS)
    assert reason_of(data, 0) is reason_of(data, AT_LEAST) is Reason.TRUNCATED


FEWER_BITS = {
    "JPEG": (lambda levels: encode(levels, "JPEG", quality=95), 12, dicoms.JPEG_BASELINE),
    "JPEG-LS": (lambda levels: dicoms.jpeg_ls_stream(0, levels, 8), 16, dicoms.JPEG_LS),
    "JPEG 2000": (lambda levels: code_stream(levels, num_resolutions=1), 12, dicoms.J2K_LOSSLESS),
}


@pytest.mark.parametrize(("make", "stored", "syntax"), FEWER_BITS.values(), ids=FEWER_BITS)
def test_a_code_stream_of_fewer_bits_than_are_stored(
    make: Callable[[Levels], bytes], stored: int, syntax: str
) -> None:
    levels = detector(8)
    data = with_code_stream(
        make(levels), levels.astype(np.uint16), stored, syntax, WindowWidth=256, WindowCenter=128
    )
    whole, fewer = decode(data, ""), decode(data, "", at_least=AT_LEAST)
    assert (fewer.reduction, fewer.warnings) == (4, whole.warnings)
    assert np.abs(seen(whole) - seen(fewer)).mean() < 0.6
