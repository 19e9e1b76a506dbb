"""Stored values to grey levels: modality, VOI, polarity; each against the standard's formula."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from cxr_edge.errors import ImageError
from cxr_edge.images import decode
from cxr_edge.types import InputWarning, Reason
from tests.images.dicoms import BIG_ENDIAN, EXPLICIT, film, levels_of, lut
from tests.images.films import Levels, scene

pytestmark = pytest.mark.filterwarnings(r"ignore::Warning:pydicom\.")

NO_WINDOW = {"WindowCenter": None, "WindowWidth": None}
RAMP = np.arange(4096)


def grey_of(levels: Levels | None = None, **elements: Any) -> NDArray[np.int64]:
    return decode(film(levels, **elements), "film.dcm").pixels.astype(np.int64)


# Every one must come out as the scene.
TO_THE_SCENE: dict[str, tuple[Levels | None, dict[str, Any]]] = {
    "window": (None, {}),
    "no window: all of 12 bits": (None, NO_WINDOW),
    "no window: all of 16 bits": (levels_of(16), {"bits": 16, **NO_WINDOW}),
    "no window, signed": (levels_of(12, signed=True), NO_WINDOW),
    "the first of two windows": (None, {"WindowCenter": [2048, 9], "WindowWidth": [4096, 9]}),
    "exact window": (
        None,
        {"VOILUTFunction": "LINEAR_EXACT", "WindowCenter": 2047.5, "WindowWidth": 4095},
    ),
    "empty function is linear": (None, {"VOILUTFunction": ""}),
    "empty window is none": (None, {"WindowCenter": "", "WindowWidth": ""}),
    "empty LUT sequence is none": (None, {"VOILUTSequence": []}),
    "rescale": (
        None,
        {"RescaleSlope": 2, "RescaleIntercept": -1000, "WindowCenter": 3096, "WindowWidth": 8191},
    ),
    "slope alone": (None, {"RescaleSlope": 0.5, "WindowCenter": 1024, "WindowWidth": 2048.5}),
    "negative slope turns": (
        levels_of(12, inverted=True),
        {"RescaleSlope": -1, "RescaleIntercept": 4095},
    ),
    "negative slope and MONOCHROME1": (
        None,
        {
            "RescaleSlope": -1,
            "RescaleIntercept": 4095,
            "PhotometricInterpretation": "MONOCHROME1",
        },
    ),
    "modality LUT": (
        None,
        {
            "ModalityLUTSequence": [lut(RAMP * 16, 0, 16)],
            "WindowCenter": 32760,
            "WindowWidth": 65521,
        },
    ),
    "modality LUT that turns": (
        levels_of(12, inverted=True),
        {"ModalityLUTSequence": [lut(4095 - RAMP, 0, 12)]},
    ),
    "modality LUT of signed values": (
        levels_of(12, signed=True),
        {
            "ModalityLUTSequence": [lut(RAMP, -2048, 12)],
            "WindowCenter": 2048,
        },
    ),
    "VOI LUT": (None, {"VOILUTSequence": [lut(RAMP, 0, 12)], **NO_WINDOW}),
    "VOI LUT of 8 bits": (None, {"VOILUTSequence": [lut(RAMP // 16, 0, 8)]}),
    "VOI LUT of 8 bits, packed": (None, {"VOILUTSequence": [lut(RAMP // 16, 0, 8, vr="OB")]}),
    "VOI LUT of 65,536 entries": (
        levels_of(16),
        {"bits": 16, "VOILUTSequence": [lut(np.arange(65536), 0, 16)], **NO_WINDOW},
    ),
    "VOI LUT of rescaled values": (
        None,
        {"RescaleIntercept": -1024, "VOILUTSequence": [lut(RAMP, -1024, 12)]},
    ),
    "VOI LUT goes before a window": (
        None,
        {"VOILUTSequence": [lut(RAMP, 0, 12)], "WindowCenter": 9, "WindowWidth": 9},
    ),
    "the first of two VOI LUTs": (
        None,
        {"VOILUTSequence": [lut(RAMP, 0, 12), lut(4095 - RAMP, 0, 12)]},
    ),
    "VOI LUT, then polarity": (
        None,
        {
            "VOILUTSequence": [lut(4095 - RAMP, 0, 12)],
            "PhotometricInterpretation": "MONOCHROME1",
        },
    ),
}


@pytest.mark.parametrize("syntax", [EXPLICIT, BIG_ENDIAN], ids=["explicit", "big"])
@pytest.mark.parametrize(("levels", "elements"), TO_THE_SCENE.values(), ids=TO_THE_SCENE)
def test_comes_out_as_the_scene(
    levels: Levels | None, elements: dict[str, Any], syntax: str
) -> None:
    if syntax == BIG_ENDIAN and any("Sequence" in keyword for keyword in elements):
        elements = {key: swapped(value) for key, value in elements.items()}
    assert np.abs(grey_of(levels, syntax=syntax, **elements) - scene()).max() <= 1


def swapped(value: Any) -> Any:
    """A sequence whose LUT data has its bytes in the order of a big-endian file."""
    if not isinstance(value, list) or not value or not isinstance(value[0], Dataset):
        return value
    turned = []
    for item in value:
        data = item["LUTData"].value
        entries = np.frombuffer(data, "<u2") if isinstance(data, bytes) else np.asarray(data)
        other = Dataset()
        other.add_new("LUTDescriptor", item["LUTDescriptor"].VR, item.LUTDescriptor)
        other.add_new("LUTData", "OW", entries.astype(">u2").tobytes())
        turned.append(other)
    return turned


def test_eight_bits_without_a_window_are_the_film_itself() -> None:
    image = decode(film(bits=8), "film.dcm")
    assert np.array_equal(image.pixels, scene())
    assert image.warnings == ()


@pytest.mark.parametrize("bits", [10, 12, 16])
def test_no_window_is_said(bits: int) -> None:
    data = film(levels_of(bits), bits=bits, **NO_WINDOW)
    assert decode(data, "film.dcm").warnings == (InputWarning.NO_WINDOW,)


DARK: dict[str, tuple[int, dict[str, Any], bool]] = {
    "LUT of 12 bits that says 16": (12, {"VOILUTSequence": [lut(RAMP, 0, 16)]}, True),
    "LUT of 13 bits that says 16": (12, {"VOILUTSequence": [lut(RAMP * 2 + 1, 0, 16)]}, True),
    "LUT of 14 bits that says 16": (12, {"VOILUTSequence": [lut(RAMP * 4, 0, 16)]}, False),
    "bright LUT without contrast": (12, {"VOILUTSequence": [lut(61440 + RAMP, 0, 16)]}, True),
    "window of 16 bits": (12, {"WindowCenter": 32768, "WindowWidth": 65536}, True),
    "window of 14 bits": (12, {"WindowCenter": 8192, "WindowWidth": 16384}, False),
}


@pytest.mark.parametrize(("bits", "elements", "dark"), DARK.values(), ids=DARK)
def test_transform_that_hardly_uses_the_greys(
    bits: int, elements: dict[str, Any], dark: bool
) -> None:
    """The standard allows it, and the film comes out nearly black."""
    said = (InputWarning.NO_WINDOW,) if dark else ()
    assert decode(film(bits=bits, **elements), "film.dcm").warnings == said


ROW = np.arange(64, dtype=np.uint16).reshape(8, 8) * 65
WINDOWS = {
    "narrow": (1000.0, 500.0),
    "off centre": (100.0, 800.0),
    "fractions": (1000.25, 333.3),
}


def by_the_standard(function: str, x: float, c: float, w: float) -> float:
    """PS3.3 C.11.2.1.2.1, C.11.2.1.3.1 and C.11.2.1.3.2, for outputs from 0 to 255."""
    if function == "SIGMOID":
        return float(255 / (1 + np.exp(-4 * (x - c) / w)))
    if function == "LINEAR_EXACT":
        below, above = x <= c - w / 2, x > c + w / 2
        inside = ((x - c) / w + 0.5) * 255
    else:
        below, above = x <= c - 0.5 - (w - 1) / 2, x > c - 0.5 + (w - 1) / 2
        inside = ((x - (c - 0.5)) / (w - 1) + 0.5) * 255 if w > 1 else 0.0
    return 0.0 if below else 255.0 if above else inside


@pytest.mark.parametrize("function", ["LINEAR", "LINEAR_EXACT", "SIGMOID"])
@pytest.mark.parametrize(("centre", "width"), WINDOWS.values(), ids=WINDOWS)
def test_window_is_the_standards(function: str, centre: float, width: float) -> None:
    made = grey_of(ROW, VOILUTFunction=function, WindowCenter=centre, WindowWidth=width)
    wanted = [by_the_standard(function, float(x), centre, width) for x in ROW.ravel()]
    assert np.abs(made.ravel() - np.array(wanted)).max() <= 0.5 + 1e-6


def test_narrowest_window_is_a_step() -> None:
    made = grey_of(ROW, WindowCenter=1000, WindowWidth=1)
    assert np.array_equal(made, np.where(ROW > 999.5, 255, 0))


def test_values_outside_a_lut_take_its_ends() -> None:
    made = grey_of(ROW, VOILUTSequence=[lut([100, 2000, 4000], 1000, 12)])
    ends = np.where(ROW <= 1000, 100, np.where(ROW >= 1002, 4000, 2000))
    assert np.array_equal(made, np.floor(ends * 255 / 4095 + 0.5))


@pytest.mark.parametrize("padding", [0, 4095])
def test_padding_does_not_shift_the_contrast(padding: int) -> None:
    """It goes through the same table: nothing depends on the levels that a film happens to have."""
    framed = levels_of(12).copy()
    framed[:, :20] = padding
    made = grey_of(framed, PixelPaddingValue=padding, **NO_WINDOW)
    assert np.abs(made[:, 20:] - scene()[:, 20:]).max() <= 1


def without(item: Dataset, keyword: str) -> Dataset:
    delattr(item, keyword)
    return item


# Which say nothing: the film is shown as without any, and the row says so.
NO_WINDOW_AT_ALL: dict[str, dict[str, Any]] = {
    "linear 0": {"WindowWidth": 0},
    "zeros": {"WindowCenter": 0, "WindowWidth": 0},
    "exact 0": {"VOILUTFunction": "LINEAR_EXACT", "WindowWidth": 0},
    "sigmoid 0": {"VOILUTFunction": "SIGMOID", "WindowWidth": 0},
    "centre without width": {"WindowWidth": None},
    "width without centre": {"WindowCenter": None},
}


@pytest.mark.parametrize("elements", NO_WINDOW_AT_ALL.values(), ids=NO_WINDOW_AT_ALL)
def test_half_a_window_is_none(elements: dict[str, Any]) -> None:
    image = decode(film(**elements), "film.dcm")
    assert np.abs(image.pixels.astype(int) - scene()).max() <= 1
    assert image.warnings == (InputWarning.NO_WINDOW, InputWarning.NONCONFORMING)


def test_a_window_behind_half_a_one_is_used() -> None:
    elements = {"WindowCenter": [0, 1500], "WindowWidth": [0, 900]}
    assert np.array_equal(grey_of(**elements), grey_of(WindowCenter=1500, WindowWidth=900))


WINDOW_REFUSED: dict[str, dict[str, Any]] = {
    "unknown function": {"VOILUTFunction": "LOG"},
    "linear below 1": {"WindowWidth": 0.5},
    "negative": {"WindowWidth": -4096},
    "far from every sample": {"WindowCenter": 100000, "WindowWidth": 100},
    "LUT of one grey": {"VOILUTSequence": [lut(np.full(4096, 7), 0, 12)]},
    "LUT without data": {"VOILUTSequence": [without(lut(RAMP, 0, 12), "LUTData")]},
    "LUT shorter than it says": {"VOILUTSequence": [lut(RAMP, 0, 12), lut(RAMP, 0, 12)]},
    "LUT of 7 bits": {"VOILUTSequence": [lut(RAMP // 32, 0, 7)]},
    "LUT of 17 bits": {"VOILUTSequence": [lut(RAMP, 0, 17)]},
    "LUT above its bits": {"VOILUTSequence": [lut(RAMP, 0, 10)]},
}
WINDOW_REFUSED["LUT shorter than it says"]["VOILUTSequence"][0].LUTData = b"\0\1" * 4000
RESCALE_REFUSED: dict[str, dict[str, Any]] = {
    "slope 0": {"RescaleSlope": 0, "RescaleIntercept": 0},
    "slope that vanishes": {"RescaleSlope": 1e-20, "RescaleIntercept": 1e6},
    "modality LUT without data": {"ModalityLUTSequence": [without(lut(RAMP, 0, 12), "LUTData")]},
}


@pytest.mark.parametrize("elements", WINDOW_REFUSED.values(), ids=WINDOW_REFUSED)
def test_voi_that_is_not_as_the_standard_has_it(elements: dict[str, Any]) -> None:
    with pytest.raises(ImageError) as caught:
        grey_of(**elements)
    assert caught.value.reason is Reason.VOI_UNSUPPORTED


@pytest.mark.parametrize("elements", RESCALE_REFUSED.values(), ids=RESCALE_REFUSED)
def test_modality_that_is_not_as_the_standard_has_it(elements: dict[str, Any]) -> None:
    with pytest.raises(ImageError) as caught:
        grey_of(**elements)
    assert caught.value.reason is Reason.CORRUPT


# What pydicom would not write: put into a made file of the same length.
PATCHED = {
    "slope not a number": (b"DS\x06\x007.0000", b"DS\x06\x00NaN   ", Reason.CORRUPT),
    "slope no number": (b"DS\x06\x007.0000", b"DS\x06\x001;5   ", Reason.CORRUPT),
    "width not a number": (b"DS\x06\x004096.5", b"DS\x06\x00nan   ", Reason.VOI_UNSUPPORTED),
    "width no number": (b"DS\x06\x004096.5", b"DS\x06\x00wide  ", Reason.VOI_UNSUPPORTED),
}


@pytest.mark.parametrize(("old", "new", "reason"), PATCHED.values(), ids=PATCHED)
def test_numbers_that_are_none(old: bytes, new: bytes, reason: Reason) -> None:
    data = film(RescaleSlope="7.0000", RescaleIntercept="0", WindowWidth="4096.5")
    assert data.count(old) == 1
    with pytest.raises(ImageError) as caught:
        decode(data.replace(old, new), "film.dcm")
    assert caught.value.reason is reason
