"""The first of several windows that shows the film; no window hides it without a warning."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from cxr_edge.images import decode
from cxr_edge.intake.gates import pixel_warnings
from cxr_edge.preprocess import without_border
from cxr_edge.types import InputWarning
from tests.images.dicoms import film, lut
from tests.intake.gate_films import FILM

pytestmark = pytest.mark.filterwarnings(r"ignore::Warning:pydicom\.")

LEVELS = FILM.astype(np.uint16) * 16
BONE, LUNG, WHITE = (3534, 1285), (2048, 4096), (200, 300)
RAMP = np.arange(4096)
CHOSEN, CLIPPED = InputWarning.WINDOW_CHOSEN, InputWarning.CLIPPED


def windows(*pairs: tuple[float, float]) -> dict[str, list[float]]:
    centres, widths = zip(*pairs, strict=True)
    return {"WindowCenter": list(centres), "WindowWidth": list(widths)}


def noticed(elements: dict[str, Any]) -> set[InputWarning]:
    image = decode(film(LEVELS, **elements), "film.dcm")
    return {*image.warnings, *pixel_warnings(image, without_border(image.pixels), 50)}


CASES: dict[str, tuple[dict[str, Any], set[InputWarning]]] = {
    "one that shows it": (windows(LUNG), set()),
    "the first of two shows it": (windows(LUNG, BONE), set()),
    "the second of two": (windows(BONE, LUNG), {CHOSEN}),
    "one that hides it": (windows(BONE), {CLIPPED}),
    "one that hides it the other way": (windows(WHITE), {InputWarning.BLANK}),
    "a second one that is none": (windows(LUNG, (0, 0)), {InputWarning.NONCONFORMING}),
    "a LUT that hides it, then a window": (
        {"VOILUTSequence": [lut(np.clip(RAMP * 8 - 28000, 0, 4095), 0, 12)], **windows(LUNG)},
        {CHOSEN},
    ),
}


@pytest.mark.parametrize(("elements", "warnings"), CASES.values(), ids=CASES)
def test_window(elements: dict[str, Any], warnings: set[InputWarning]) -> None:
    assert noticed(elements) == warnings


def test_the_chosen_window_is_the_one_that_is_shown() -> None:
    chosen = decode(film(LEVELS, **windows(BONE, LUNG)), "film.dcm").pixels
    assert np.array_equal(chosen, decode(film(LEVELS, **windows(LUNG)), "film.dcm").pixels)


@pytest.mark.parametrize(("centre", "width"), [(200, 100), (220, 80)])
def test_window_of_eight_bits(centre: int, width: int) -> None:
    """A third of the pneumonias are missed behind these."""
    image = decode(film(FILM, bits=8, WindowCenter=centre, WindowWidth=width), "film.dcm")
    assert CLIPPED in pixel_warnings(image, without_border(image.pixels), 50)
