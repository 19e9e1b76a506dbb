"""Against the standard, but certain: read as mature readers read it, with a note."""

from __future__ import annotations

import io
import shutil
import struct
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from pydicom.dataset import Dataset

from cxr_edge.errors import ImageError
from cxr_edge.images import decode
from cxr_edge.types import InputWarning, Reason
from tests.images import dicoms
from tests.images.dicoms import film, levels_of
from tests.images.films import encode, scene
from tests.images.odd_dicoms import (
    colours,
    of_noise,
    packed,
    palette,
    said_to_be,
    smooth_in_planes,
    with_offsets,
    without_syntax,
)

pytestmark = pytest.mark.filterwarnings(r"ignore::Warning:pydicom\.")

NOTE = (InputWarning.NONCONFORMING,)
FIRST = b"\x08\x00\x16\x00UI"  # SOP Class UID in explicit VR


def with_elements_in_front(*tags: int) -> bytes:
    data = film()
    at = data.index(FIRST)
    made = b"".join(
        struct.pack("<HH2sH4s", tag >> 16, tag & 0xFFFF, b"LO", 4, b"MADE") for tag in tags
    )
    return data[:at] + made + data[at:]


def patched(old: bytes, new: bytes, **elements: Any) -> bytes:
    """Values that pydicom would not write."""
    data = film(**elements)
    assert data.count(old) == 1
    return data.replace(old, new)


def in_groups() -> list[Dataset]:
    """Groups of functions that hold the window and the rescaling."""
    window, rescale, group = Dataset(), Dataset(), Dataset()
    window.WindowCenter, window.WindowWidth = 2048, 4096
    rescale.RescaleSlope, rescale.RescaleIntercept = -1, 4095
    group.FrameVOILUTSequence, group.PixelValueTransformationSequence = [window], [rescale]
    return [group]


NO_WINDOW = {"WindowCenter": None, "WindowWidth": None}
DECIMALS = {"WindowCenter": "2048.00", "WindowWidth": "4096.00"}
# Every one is the scene.
READ: dict[str, Callable[[], bytes]] = {
    "groups 1 to 7 in front": lambda: with_elements_in_front(0x00010010, 0x00030010, 0x00070010),
    "modality DR": lambda: film(Modality="DR"),
    "modality CR or DX": lambda: film(Modality=["CR", "DX"]),
    "modality DR of class CR": lambda: film(Modality="DR", SOPClassUID="1.2.840.10008.5.1.4.1.1.1"),
    "empty item of VOI LUTs": lambda: film(VOILUTSequence=[Dataset()]),
    "empty item of modality LUTs": lambda: film(ModalityLUTSequence=[Dataset()]),
    "decimal comma in the window": lambda: patched(b"2048.00 ", b"2048,00 ", **DECIMALS),
    "decimal comma in the slope": lambda: patched(
        b"1.00000 ", b"1,00000 ", RescaleSlope="1.00000", RescaleIntercept="0"
    ),
    "no high bit": lambda: film(HighBit=None),
    "MONOCHROME 2": lambda: film(PhotometricInterpretation="MONOCHROME 2"),
    "grey as RGB": lambda: colours("RGB"),
    "grey as YBR": lambda: colours("YBR_FULL"),
    "grey as YBR, half the colours": lambda: colours("YBR_FULL_422"),
    "grey as RGB, RLE": lambda: packed("RGB", dicoms.RLE),
    "grey as a palette": lambda: palette(np.arange(256)),
    "palette that runs backwards": lambda: palette(255 - np.arange(256), 255 - scene()),
    "JPEG 2000 in a file of its own": lambda: dicoms.with_code_stream(
        encode(scene(), "JPEG2000", irreversible=False), levels_of(8), 8, dicoms.J2K_LOSSLESS
    ),
    "two offsets for one frame": lambda: with_offsets(2),
    "window and slope in shared groups": lambda: film(
        levels_of(12, inverted=True), SharedFunctionalGroupsSequence=in_groups(), **NO_WINDOW
    ),
    "window and slope in the group of a frame": lambda: film(
        levels_of(12, inverted=True), PerFrameFunctionalGroupsSequence=in_groups(), **NO_WINDOW
    ),
    "no transfer syntax": lambda: without_syntax(film()),
    "no transfer syntax, implicit": lambda: without_syntax(film(syntax=dicoms.IMPLICIT)),
    "implicit said to be explicit": lambda: said_to_be(
        film(syntax=dicoms.IMPLICIT), dicoms.EXPLICIT.encode()
    ),
    "explicit said to be implicit": lambda: said_to_be(film(), dicoms.IMPLICIT.encode()),
}


@pytest.mark.parametrize("make", READ.values(), ids=READ)
def test_is_read_with_a_note(make: Callable[[], bytes]) -> None:
    image = decode(make(), "film.dcm")
    assert np.abs(image.pixels.astype(int) - scene()).max() <= 1
    assert image.warnings == NOTE


def test_grey_with_some_noise_in_its_colours() -> None:
    image = decode(of_noise(scene(), 4), "film.dcm")
    assert np.abs(image.pixels.astype(int) - scene()).max() <= 4
    assert image.warnings == NOTE


def test_planes_of_a_smooth_film_are_not_taken_for_pixels() -> None:
    data, levels = smooth_in_planes()
    assert np.array_equal(decode(data, "film.dcm").pixels, levels)


@pytest.mark.parametrize("syntax", [dicoms.J2K_LOSSLESS, dicoms.JPEG_LS])
@pytest.mark.parametrize("surplus", [bytes(100), b"    ", b"made by"])
def test_bytes_behind_the_end_of_a_code_stream(syntax: str, surplus: bytes) -> None:
    stream = dicoms.ENCODERS[syntax](levels_of(12), 12) + surplus
    data = dicoms.with_code_stream(stream, levels_of(12), 12, syntax)
    assert np.abs(decode(data, "film.dcm").pixels.astype(int) - scene()).max() <= 1


PACKED = {
    "JPEG": (dicoms.JPEG_BASELINE, {"image_format": "JPEG", "quality": 95, "subsampling": 0}),
    "JPEG of RGB": (
        dicoms.JPEG_BASELINE,
        {"image_format": "JPEG", "quality": 95, "keep_rgb": True},
    ),
    "JPEG 2000": (
        dicoms.J2K_LOSSLESS,
        {"image_format": "JPEG2000", "no_jp2": True, "irreversible": False},
    ),
}


@pytest.mark.parametrize(("syntax", "options"), PACKED.values(), ids=PACKED)
def test_compressed_grey_of_three_channels(syntax: str, options: dict[str, Any]) -> None:
    grey = Image.fromarray(scene()).convert("RGB")
    image = decode(packed("RGB", syntax, encode(grey, **options)), "film.dcm")
    assert np.abs(image.pixels.astype(int) - scene()).mean() <= 1
    assert image.warnings == NOTE
    orange = Image.merge("RGB", [Image.fromarray(scene() // part) for part in (1, 2, 4)])
    with pytest.raises(ImageError) as caught:
        decode(packed("RGB", syntax, encode(orange, **options)), "film.dcm")
    assert caught.value.reason is Reason.COLOUR_SPACE


COLOURED = {
    "RGB": colours("RGB", tint=40),
    "palette": palette(np.arange(256) % 200, tint=30),
}


@pytest.mark.parametrize("data", COLOURED.values(), ids=COLOURED)
def test_colours_are_refused(data: bytes) -> None:
    with pytest.raises(ImageError) as caught:
        decode(data, "film.dcm")
    assert caught.value.reason is Reason.COLOUR_SPACE


REFUSED = {
    "two modalities, one of them CT": (film(Modality=["CR", "CT"]), Reason.MODALITY),
    "modality CT of class DX": (film(Modality="CT"), Reason.MODALITY),
    "two RLE frames": (
        dicoms.with_fragments(
            [dicoms.rle_stream(levels_of(12), 12)] * 2, levels_of(12), 12, dicoms.RLE
        ),
        Reason.MULTI_FRAME,
    ),
    "compressed in no stated way": (
        without_syntax(film(syntax=dicoms.JPEG_LS)),
        Reason.TRANSFER_SYNTAX,
    ),
    "zeros in place of the header": (
        film()[: film().index(FIRST)] + bytes(7000),
        Reason.TRUNCATED,
    ),
}


@pytest.mark.parametrize(("data", "reason"), REFUSED.values(), ids=REFUSED)
def test_is_still_refused(data: bytes, reason: Reason) -> None:
    with pytest.raises(ImageError) as caught:
        decode(data, "film.dcm")
    assert caught.value.reason is reason


def test_a_meant_modality_of_another_class_is_doubted() -> None:
    data = film(Modality="DR", SOPClassUID="1.2.840.10008.5.1.4.1.1.7")
    assert InputWarning.MODALITY in decode(data, "film.dcm").warnings


COLLIMATED = {
    "below and beside": ((0, 12), (6, 6)),
    "below": ((0, 12), (0, 0)),
}


@pytest.mark.parametrize("border", COLLIMATED.values(), ids=COLLIMATED)
def test_collimated_film_is_doubted_and_not_refused(border: Any) -> None:
    """Compressed, or with something behind its pixels, it is no matter of doubt either."""
    dark = np.pad(levels_of(12)[:36], border)
    assert decode(film(dark), "film.dcm").warnings == (InputWarning.CUT_SHORT,)
    assert decode(film(dark, syntax=dicoms.RLE), "film.dcm").warnings == ()
    assert decode(film(dark, DataSetTrailingPadding=b"\1\2"), "film.dcm").warnings == ()


def test_jpeg_with_a_makers_bytes_behind_its_end() -> None:
    levels = levels_of(8)
    stream = dicoms.ENCODERS[dicoms.JPEG_BASELINE](levels, 8)
    surplus = stream + b"MAKER\xff\xda\x00\x00 and more"
    data = dicoms.with_code_stream(surplus, levels, 8, dicoms.JPEG_BASELINE)
    plain = dicoms.with_code_stream(stream, levels, 8, dicoms.JPEG_BASELINE)
    made = decode(data, "film.dcm").pixels
    assert np.array_equal(made, decode(plain, "film.dcm").pixels)


def by_dcmtk(data: bytes, folder: Path) -> NDArray[np.uint8]:
    """The grey levels that dcmtk shows through the first window."""
    source, target = folder / "film.dcm", folder / "film.pgm"
    source.write_bytes(data)
    subprocess.run(["dcm2pnm", "+Wi", "1", "+opb", source, target], check=True, capture_output=True)
    return np.asarray(Image.open(io.BytesIO(target.read_bytes())).convert("L"))


AGREED = [name for name in READ if name.startswith(("groups", "modality", "no high", "two off"))]
AGREED.remove("two offsets for one frame")  # dcm2pnm has no JPEG-LS
AGREED += ["empty item of modality LUTs"]


@pytest.mark.skipif(shutil.which("dcm2pnm") is None, reason="dcmtk is not installed")
@pytest.mark.parametrize("name", ["plain", *AGREED])
def test_dcmtk_shows_the_same(name: str, tmp_path: Path) -> None:
    data = film() if name == "plain" else READ[name]()
    made = decode(data, "film.dcm").pixels.astype(int)
    assert np.abs(made - by_dcmtk(data, tmp_path)).max() <= 1
