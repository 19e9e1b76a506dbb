"""Which films the gates warn about, border case by border case."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from cxr_edge.intake.gates import _content, _is_blank, pixel_warnings, scope_warnings
from cxr_edge.intake.prepared import Scope
from cxr_edge.preprocess import without_border
from cxr_edge.types import DecodedImage, InputWarning, Study
from tests.intake.gate_films import FILM, FILMS, INVERTED, PIXELS, STUDIES


@pytest.mark.parametrize(("study", "scope", "expected"), STUDIES.values(), ids=STUDIES)
def test_what_the_header_says(
    study: Study, scope: Scope, expected: tuple[InputWarning, ...]
) -> None:
    assert scope_warnings(study, scope) == expected


def gated(pixels: NDArray[np.uint8], size: int) -> tuple[InputWarning, ...]:
    return pixel_warnings(DecodedImage(pixels, "PNG"), without_border(pixels), size)


@pytest.mark.parametrize(("make", "size", "expected"), PIXELS.values(), ids=PIXELS)
def test_what_the_pixels_say(
    make: Callable[[], NDArray[np.uint8]], size: int, expected: tuple[InputWarning, ...]
) -> None:
    assert gated(make(), size) == expected


@pytest.mark.parametrize("turns", range(4), ids=["top", "left", "bottom", "right"])
@pytest.mark.parametrize(("stripe", "blank"), [(slice(12, 16), True), (slice(16, 21), False)])
def test_blank_is_judged_on_the_middle_half(turns: int, stripe: slice, blank: bool) -> None:
    """From the 17th of the 64 cells on each side; what lies beyond may be a border or a label."""
    levels = np.full((64, 64), 100, np.uint8)
    levels[stripe] = 250
    assert _is_blank(np.rot90(levels, turns)) == blank


def test_a_border_of_one_level_is_no_content() -> None:
    levels = np.zeros((64, 64), np.uint8)
    assert (_content(levels, 1), _content(levels, 0)) == (slice(None), slice(None))
    levels[10:50, 8:40] = 200
    assert (_content(levels, 1), _content(levels, 0)) == (slice(10, 50), slice(8, 40))


@pytest.mark.parametrize(
    ("turned", "expected"),
    [(FILM, ()), (FILM[::-1, ::-1], (InputWarning.ORIENTATION,))],
    ids=["upright", "upside down"],
)
def test_film_that_was_turned_as_its_file_asked(
    turned: NDArray[np.uint8], expected: tuple[InputWarning, ...]
) -> None:
    applied = (InputWarning.ORIENTATION_APPLIED,)
    image = DecodedImage(np.ascontiguousarray(turned), "JPEG", applied)
    assert pixel_warnings(image, without_border(image.pixels), 50) == expected


@pytest.mark.parametrize("film", FILMS.values(), ids=FILMS)
def test_real_film_passes_and_its_negative_is_noticed(film: NDArray[np.uint8]) -> None:
    assert gated(film, 128) == ()
    assert gated(np.uint8(255) - film, 128) == (INVERTED,)
