"""Input gates: warnings about films a model was not made for; they are scored, and read first."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from cxr_edge.intake.prepared import Scope
from cxr_edge.intake.terms import View, is_chest, is_other_part, side_view_only, view_of
from cxr_edge.preprocess import BORDER_RANGE, CLIPPED_SHARE, InnerFilm
from cxr_edge.statistics.quantiles import quantile
from cxr_edge.types import DecodedImage, InputWarning, Study

GATES_VERSION = 3  # raised when a film gets other warnings
# Pillow is imported where it works: a process that only needs the version starts without.
VIEW_NOT_STATED = "not stated"

# Chosen on the 5,216 films of the train folder, measured once on others.
_WIDTH_TO_HEIGHT = (0.7, 2.2)
_SIDE = 64  # cells a side of the reduced film that grey levels are judged on
_BLACK, _WHITE = 1, 254  # of such a cell: JPEG leaves a level of noise in a clipped area
_BLANK_RANGE = 12  # grey levels; half of the least that a film of the train folder has
# Of the most that a film can agree with the mean film. By more do 4 of the 5,216 films of the train
# folder and none of test_a agree better when they are turned by half; so do 95 % and 97 % of them
# when they stand on their heads.
_UPSIDE_DOWN = 0.06
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
    """Warnings from the header; a missing value gives none."""
    views = set() if VIEW_NOT_STATED in scope.views else _views(study)
    noticed = {
        InputWarning.BODY_PART: _names_another_part(study),
        InputWarning.VIEW_POSITION: any(not _is_view_known(view, scope.views) for view in views),
        InputWarning.PATIENT_AGE: any(
            not _is_age_known(age, scope.age_years)
            for age in (study.age_years, study.age_by_dates)
            if age is not None
        ),
        InputWarning.UNREADABLE_VIEW: View.UNKNOWN in views,
    }
    return tuple(warning for warning, holds in noticed.items() if holds)


def _names_another_part(study: Study) -> bool:
    """Whether any element that names a body part names another one than the chest."""
    stated = filter(None, (study.body_part, *study.body_parts))
    return not all(map(is_chest, stated)) or any(map(is_other_part, study.descriptions))


def _views(study: Study) -> set[View]:
    """Every view that the header names. Some writers name it with the part of the body."""
    named = set(map(view_of, (study.view_position, *study.views))) - {None}
    if any(map(side_view_only, (study.body_part, *study.descriptions))):
        named.add(View.OTHER)
    return named  # type: ignore[return-value]


def _is_view_known(view: View, views: tuple[str, ...]) -> bool:
    """Whether a model knows a view; one that cannot be read has a warning of its own."""
    frontal = {View.AP, View.PA} <= set(views)
    return view in views or view is View.UNKNOWN or (view is View.FRONTAL and frontal)


def _is_age_known(age: float, limits: tuple[float, float]) -> bool:
    """Whether an age is in scope; one is five years old until the sixth birthday."""
    youngest, oldest = limits
    return youngest <= age < math.floor(oldest) + 1


def pixel_warnings(image: DecodedImage, film: InnerFilm, size: int) -> tuple[InputWarning, ...]:
    """Warnings from the size and the grey levels.

    Args:
        image: the film.
        film: the same inside its border.
        size: S, pixels a side of the network input.
    """
    levels = _cells(image.pixels)
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
        return tuple(warnings)
    inside = levels[_content(levels, 1), _content(levels, 0)]
    grid = _grid(inside)
    if _agreement(grid) < 0:
        return (*warnings, InputWarning.INVERTED, *_clipped(inside))
    warnings += _clipped(inside)
    turned = InputWarning.ORIENTATION_APPLIED in image.warnings
    if _is_upside_down(grid, 0.0 if turned else _UPSIDE_DOWN):
        warnings.append(InputWarning.ORIENTATION)
    return tuple(warnings)


def _cells(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The film on a coarse square."""
    from PIL import Image

    # With a box filter `reducing_gap` skips nothing and takes a third of the time.
    size, box = (_SIDE, _SIDE), Image.Resampling.BOX
    return np.asarray(Image.fromarray(pixels).resize(size, box, reducing_gap=1.0))


def _middle(levels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Without borders and labels, which lie outside it, or are few."""
    rows, columns = (slice(side // 4, side - side // 4) for side in levels.shape)
    return levels[rows, columns]


def _clipped(inside: NDArray[np.uint8]) -> list[InputWarning]:
    """A warning where much of the film's middle is plain black or plain white."""
    middle = _middle(inside)
    clipped = np.count_nonzero(middle <= _BLACK) + np.count_nonzero(middle >= _WHITE)
    return [InputWarning.CLIPPED] if clipped > CLIPPED_SHARE * middle.size else []


def _is_upside_down(grid: NDArray[np.int64], limit: float) -> bool:
    """Whether a turn by 180 degrees gains more than `limit` of the best possible agreement."""
    gain = _agreement(grid[::-1, ::-1]) - _agreement(grid)
    return gain > 0 and gain > limit * float(np.std(grid) * np.std(_CHEST_FILM)) * grid.size


def _is_blank(levels: NDArray[np.uint8]) -> bool:
    """Whether the middle of the film has hardly any range."""
    ordered = np.sort(_middle(levels), axis=None).tolist()
    return quantile(ordered, 0.95) - quantile(ordered, 0.05) < _BLANK_RANGE


def _grid(inside: NDArray[np.uint8]) -> NDArray[np.int64]:
    """The film inside its border, on the cells of the mean chest film."""
    from PIL import Image

    grid = Image.fromarray(inside).resize(_CHEST_FILM.shape, Image.Resampling.BOX)
    return np.asarray(grid, dtype=np.int64)


def _agreement(grid: NDArray[np.int64]) -> int:
    """Below zero: the film is darker where chest films are brighter, on the whole."""
    return int((grid * _CHEST_FILM).sum())


def _content(levels: NDArray[np.uint8], across: int) -> slice:
    """Rows (across 1) or columns (across 0) from the first to the last that is not one level."""
    varied = np.flatnonzero(np.ptp(levels, axis=across) > BORDER_RANGE)
    return slice(varied[0], varied[-1] + 1) if varied.size else slice(None)
