"""Orientation of the patient on the film as the header states it, and how to turn it upright."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cxr_edge.images.dicom_library import Dataset
from cxr_edge.images.dicom_study import values
from cxr_edge.types import InputWarning

KEYWORDS = (
    "PatientOrientation",
    "ImageOrientationPatient",
    "ImageRotation",
    "ImageHorizontalFlip",
)
_LETTERS = set("LRAPHF")
_OPPOSITES = {"L": "R", "R": "L", "A": "P", "P": "A", "H": "F", "F": "H"}
_AXES = ("LR", "PA", "HF")  # towards more and towards less, of the three coordinates
_MAIN = 0.7  # of a direction's length: within 45 degrees of an axis
_DIGITS = "0123456789.+-eE"

Pixels = NDArray[np.uint8]


@dataclass(frozen=True)
class Orientation:
    """Directions of the patient along the film.

    Attributes:
        row: towards which a row runs, `L` of the patient as a rule.
        column: towards which a column runs, `F`, the feet, as a rule.
        warnings: what the header says that is unusual, or cannot be read.
        views: what it says of the view, in words.
    """

    row: str = "L"
    column: str = "F"
    warnings: tuple[InputWarning, ...] = ()
    views: tuple[str, ...] = ()

    @property
    def is_usual(self) -> bool:
        """Nothing is to be turned."""
        return (self.row, self.column) == ("L", "F")

    def upright(self, pixels: Pixels) -> Pixels:
        """The film with the head above and the patient's left on the right."""
        row, column = self.row, self.column
        if row in "HF":
            pixels, row, column = pixels.T, column, row
        if row == "R":
            pixels = pixels[:, ::-1]
        if column == "H":
            pixels = pixels[::-1]
        return np.ascontiguousarray(pixels)


def orientation(dataset: Dataset) -> Orientation:
    """Read Patient Orientation, Image Orientation (Patient), and marks for a display.

    Field of View Rotation and Flip tell how the picture was taken off the detector, and nothing of
    the patient: they are left alone.
    """
    warnings = [InputWarning.ORIENTATION] if _is_turned_for_display(dataset) else []
    letters, cosines = values(dataset, "PatientOrientation"), _of_cosines(dataset)
    if not any(letters):
        stated = cosines
    else:
        stated = _of_letters(letters)
        if stated is not None and cosines not in (None, ("", "")) and _differ(stated, cosines):
            warnings.append(InputWarning.ORIENTATION)
    if stated is None:
        return Orientation(warnings=(*warnings, InputWarning.UNREADABLE_ORIENTATION))
    row, column = stated
    if not row:
        return Orientation(warnings=tuple(warnings))
    if set(row) & set("AP") or column[0] in "AP":
        return Orientation(warnings=tuple(warnings), views=("lateral",))
    if row[0] in "HF":
        warnings.append(InputWarning.ORIENTATION)
    made = Orientation(row[0], column[0], tuple(warnings))
    if made.is_usual:
        return made
    return Orientation(row[0], column[0], (InputWarning.ORIENTATION_APPLIED, *warnings))


def _of_letters(letters: list[str]) -> tuple[str, str] | None:
    """Two directions that are not along one line; None for anything else."""
    directions = [letter.upper().replace(" ", "") for letter in letters]
    if len(directions) != 2 or not all(directions):
        return None
    if not all(set(direction) <= _LETTERS for direction in directions):
        return None
    row, column = directions
    return None if column[0] in (row[0], _OPPOSITES[row[0]]) else (row, column)


def _of_cosines(dataset: Dataset) -> tuple[str, str] | None:
    """Directions of rows and columns; empty where they are not stated, None where unreadable."""
    stated = values(dataset, "ImageOrientationPatient")
    if not stated:
        return "", ""
    if len(stated) != 6 or not all(part and set(part) <= set(_DIGITS) for part in stated):
        return None
    try:
        cosines = [float(part) for part in stated]
    except ValueError:
        return None
    row, column = _axis(cosines[:3]), _axis(cosines[3:])
    return _of_letters([row, column]) if row and column else None


def _axis(direction: list[float]) -> str:
    """The letter of the axis that a direction is nearest to."""
    size = max(map(abs, direction))
    axis = [abs(part) for part in direction].index(size)
    return _AXES[axis][0 if direction[axis] > 0 else 1] if size >= _MAIN else ""


def _differ(stated: tuple[str, str], cosines: tuple[str, str] | None) -> bool:
    return cosines is None or [way[0] for way in stated] != [way[0] for way in cosines]


def _is_turned_for_display(dataset: Dataset) -> bool:
    """Elements of a presentation state, which some writers put into the film."""
    rotation, flip = values(dataset, "ImageRotation"), values(dataset, "ImageHorizontalFlip")
    return any(angle not in ("", "0") for angle in rotation) or "Y" in flip
