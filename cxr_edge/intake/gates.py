"""Input gates: what makes a film one the model was not made for. It is scored, and read first."""

from __future__ import annotations

import math
import re

import numpy as np
from numpy.typing import NDArray

from cxr_edge.intake.prepared import Scope
from cxr_edge.preprocess import BORDER_RANGE, InnerFilm
from cxr_edge.types import DecodedImage, InputWarning, Study

GATES_VERSION = 1  # raised when a film gets other warnings
# Pillow is imported where it works: a process that only needs the version starts without.
VIEW_NOT_STATED = "not stated"

# Code strings of Body Part Examined (0018,0015) that mean a chest film; ribs and sternum are
# exposed otherwise, CHESTABDOMEN is a whole infant. The codes are English words (PS3.16 annex L).
_CHEST = {"CHEST", "THORAX", "TORAX", "LUNG", "LUNGS"}
_ABDOMEN = "ABDOMEN"
# DICOM PS3.3 View Position (0018,5101). Only the plain term: "AP LLD" lies on its side.
_VIEW_CODES = {"anterior-posterior": "AP", "posterior-anterior": "PA"}

# Chosen on the 5,216 films of the train folder, measured once on others.
_WIDTH_TO_HEIGHT = (0.7, 2.2)
_SIDE = 64  # cells a side of the reduced film that grey levels are judged on
_BLANK_RANGE = 12  # grey levels; half of the least that a film of the train folder has
# Mean film of the train folder, reduced to 8 x 8, less its mean. Kermany, Zhang, Goldbaum, Mendeley
# Data (2018), doi:10.17632/rscbjbr9sj, CC BY 4.0. The sum is 1: the mean level hardly counts.
_CHEST_FILM = np.array(
    [
        [-44, -20, 4, 35, 35, 3, -22, -50],
        [-47, 5, 14, 31, 31, 15, 2, -49],
        [-60, 9, -5, 30, 36, 1, 8, -61],
        [-68, 3, -13, 40, 51, 6, 4, -70],
        [-71, -8, -10, 48, 59, 22, -4, -73],
        [-73, -17, -8, 46, 60, 29, -12, -75],
        [-71, 5, 36, 59, 61, 39, -4, -75],
        [-64, 37, 63, 70, 67, 54, 26, -69],
    ]
)


def scope_warnings(study: Study, scope: Scope) -> tuple[InputWarning, ...]:
    """Warnings from the header; a fact that it leaves out gives none."""
    warnings = []
    if study.body_part and not _is_chest(study.body_part):
        warnings.append(InputWarning.BODY_PART)
    if study.view_position and not _is_view_known(study.view_position, scope.views):
        warnings.append(InputWarning.VIEW_POSITION)
    if study.age_years is not None and not _is_age_known(study.age_years, scope.age_years):
        warnings.append(InputWarning.PATIENT_AGE)
    return tuple(warnings)


def _is_chest(body_part: str) -> bool:
    """Some writers add a view or a remark, behind whatever is no letter."""
    words = set(re.findall("[A-Z]+", body_part))
    return bool(words & _CHEST) and _ABDOMEN not in words


def _is_view_known(code: str, views: tuple[str, ...]) -> bool:
    return VIEW_NOT_STATED in views or code in {_VIEW_CODES.get(view) for view in views}


def _is_age_known(age: float, limits: tuple[float, float]) -> bool:
    """Five years old lasts until the day before the sixth birthday."""
    youngest, oldest = limits
    return youngest <= age < math.floor(oldest) + 1


def pixel_warnings(image: DecodedImage, film: InnerFilm, size: int) -> tuple[InputWarning, ...]:
    """Warnings from the size and the grey levels.

    Args:
        image: the film.
        film: the same inside its border.
        size: S, pixels a side of the network input.
    """
    from PIL import Image

    # With a box filter `reducing_gap` skips nothing and takes a third of the time.
    whole = Image.fromarray(image.pixels)
    levels = np.asarray(whole.resize((_SIDE, _SIDE), Image.Resampling.BOX, reducing_gap=1.0))
    blank = _is_blank(levels)
    # What is left of a blank film without its border are labels.
    width, height = image.extent if blank else film.extent
    warnings = []
    if min(width, height) * image.reduction < size:
        warnings.append(InputWarning.LOW_RESOLUTION)
    if not _WIDTH_TO_HEIGHT[0] <= width / height <= _WIDTH_TO_HEIGHT[1]:
        warnings.append(InputWarning.ASPECT)
    if blank:
        warnings.append(InputWarning.BLANK)
    elif _is_inverted(levels):
        warnings.append(InputWarning.INVERTED)
    return tuple(warnings)


def _is_blank(levels: NDArray[np.uint8]) -> bool:
    """The middle of the film has hardly any range; borders and labels are outside it, or few."""
    middle = levels[_SIDE // 4 : -_SIDE // 4, _SIDE // 4 : -_SIDE // 4]
    ordered = np.sort(middle, axis=None).tolist()
    return _quantile(ordered, 0.95) - _quantile(ordered, 0.05) < _BLANK_RANGE


def _quantile(ordered: list[int], share: float) -> float:
    """To the bit what `numpy.quantile` gives, which first loads masked arrays: two films' time."""
    place = (len(ordered) - 1) * share
    before = math.floor(place)
    weight = place - before
    low, high = ordered[before : before + 2]
    step = high - low
    return low + step * weight if weight < 0.5 else high - step * (1 - weight)


def _is_inverted(levels: NDArray[np.uint8]) -> bool:
    """The film inside its border is darker where chest films are brighter, on the whole."""
    from PIL import Image

    inside = levels[_content(levels, 1), _content(levels, 0)]
    grid = Image.fromarray(inside).resize(_CHEST_FILM.shape, Image.Resampling.BOX)
    return int((np.asarray(grid, dtype=np.int64) * _CHEST_FILM).sum()) < 0


def _content(levels: NDArray[np.uint8], across: int) -> slice:
    """Rows (across 1) or columns (across 0) from the first to the last that is not one level."""
    varied = np.flatnonzero(np.ptp(levels, axis=across) > BORDER_RANGE)
    return slice(varied[0], varied[-1] + 1) if varied.size else slice(None)
