"""A film is turned upright where its header says how it lies; the rest is doubted."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from cxr_edge.images import decode
from cxr_edge.types import InputWarning
from tests.images.dicoms import film, levels_of

pytestmark = pytest.mark.filterwarnings(r"ignore::Warning:pydicom\.")

APPLIED, DOUBT = InputWarning.ORIENTATION_APPLIED, InputWarning.ORIENTATION
LEVELS = levels_of(12)
USUAL = decode(film(LEVELS), "film.dcm").pixels

Turn = Callable[[NDArray[Any]], NDArray[Any]]
# Stored so, with these directions of its rows and columns, a film comes out as usual.
TURNED: dict[str, tuple[Turn, tuple[InputWarning, ...]]] = {
    "L\\F": (lambda levels: levels, ()),
    "R\\H": (lambda levels: levels[::-1, ::-1], (APPLIED,)),
    "L\\H": (lambda levels: levels[::-1], (APPLIED,)),
    "F\\L": (lambda levels: levels.T, (APPLIED, DOUBT)),
    "F\\R": (lambda levels: np.rot90(levels), (APPLIED, DOUBT)),
    "H\\R": (lambda levels: levels[::-1, ::-1].T, (APPLIED, DOUBT)),
    "r\\h": (lambda levels: levels[::-1, ::-1], (APPLIED,)),
}


@pytest.mark.parametrize(("stated", "case"), TURNED.items(), ids=TURNED)
def test_comes_out_upright(stated: str, case: tuple[Turn, tuple[InputWarning, ...]]) -> None:
    store, warnings = case
    data = film(np.ascontiguousarray(store(LEVELS)), PatientOrientation=stated.split("\\"))
    image = decode(data, "film.dcm")
    assert np.array_equal(image.pixels, USUAL)
    assert image.warnings == warnings
    assert image.study is not None and image.study.views == ()


COSINES: dict[str, tuple[list[float], Turn, tuple[InputWarning, ...]]] = {
    "slanted": ([0.98, 0.1, 0.1, 0.1, 0, -0.98], lambda levels: levels, ()),
    "upside down": ([-1, 0, 0, 0, 0, 1], lambda levels: levels[::-1, ::-1], (APPLIED,)),
}


@pytest.mark.parametrize(("cosines", "store", "warnings"), COSINES.values(), ids=COSINES)
def test_image_orientation_says_the_same(
    cosines: list[float], store: Turn, warnings: tuple[InputWarning, ...]
) -> None:
    image = decode(
        film(np.ascontiguousarray(store(LEVELS)), ImageOrientationPatient=cosines), "film.dcm"
    )
    assert np.array_equal(image.pixels, USUAL)
    assert image.warnings == warnings


@pytest.mark.parametrize("stated", ["A\\F", "P\\F", "LA\\F", "AL\\F", "L\\A", "PR\\FL"])
def test_front_or_back_along_a_row_is_a_lateral(stated: str) -> None:
    study = decode(film(PatientOrientation=stated.split("\\")), "film.dcm").study
    assert study is not None and study.views == ("lateral",)


def test_lateral_by_cosines() -> None:
    study = decode(film(ImageOrientationPatient=[0, 1, 0, 0, 0, -1]), "film.dcm").study
    assert study is not None and study.views == ("lateral",)


@pytest.mark.parametrize(
    "stated", ["X\\Y", "L", "L\\L", "L\\R", "LE\\V", "RT\\D", "L\\F\\A", "\\F"]
)
def test_unreadable(stated: str) -> None:
    image = decode(film(PatientOrientation=stated.split("\\")), "film.dcm")
    assert image.warnings == (InputWarning.UNREADABLE_ORIENTATION,)
    assert np.array_equal(image.pixels, USUAL)


DOUBTED: dict[str, dict[str, Any]] = {
    "two that differ": {
        "PatientOrientation": ["L", "F"],
        "ImageOrientationPatient": [-1, 0, 0, 0, 0, 1],
    },
    "rotated for display": {"ImageRotation": 180},
    "flipped for display": {"ImageHorizontalFlip": "Y"},
}


@pytest.mark.parametrize("elements", DOUBTED.values(), ids=DOUBTED)
def test_doubted(elements: dict[str, Any]) -> None:
    assert decode(film(**elements), "film.dcm").warnings == (DOUBT,)


UNTOUCHED: dict[str, dict[str, Any]] = {
    "empty": {"PatientOrientation": []},
    "field of view was turned when it was read out": {
        "FieldOfViewRotation": 180,
        "FieldOfViewHorizontalFlip": "YES",
    },
    "not rotated for display": {"ImageRotation": 0, "ImageHorizontalFlip": "N"},
}


@pytest.mark.parametrize("elements", UNTOUCHED.values(), ids=UNTOUCHED)
def test_nothing_said_of_the_patient(elements: dict[str, Any]) -> None:
    image = decode(film(**elements), "film.dcm")
    assert image.warnings == ()
    assert np.array_equal(image.pixels, USUAL)
