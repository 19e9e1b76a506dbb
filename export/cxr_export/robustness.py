"""Effects of changes of the films on scores and decisions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from numpy.typing import NDArray

from cxr_edge.errors import DataError
from cxr_edge.intake.gates import pixel_warnings
from cxr_edge.intake.prepare import film_of
from cxr_edge.intake.prepared import IntakeSettings, Scope
from cxr_edge.model.reliability import FilmChange, Turned
from cxr_edge.preprocess import to_network_input
from cxr_edge.statistics.auc import auc_estimate
from cxr_edge.statistics.measurements import Estimate
from cxr_edge.statistics.operating_points import OperatingPoint
from cxr_edge.types import PROBABILITY_DECIMALS
from cxr_export.film_changes import CHANGES, Change
from cxr_export.spec_draft import FIGURE_DECIMALS, Score, rounded
from cxr_training.films.data import ImageSet, LabelledFile
from cxr_training.support.progress import item_bar

Probability = NDArray[np.float64]
_ANYONE = Scope((0.0, 120.0), ())  # these films have no header to hold against a scope


def robustness(
    films: ImageSet,
    score: Score,
    points: Mapping[str, OperatingPoint],
    changes: Sequence[Change] = CHANGES,
) -> tuple[FilmChange, ...]:
    """Every change of every film, through the product's own way from bytes to score.

    Args:
        films: readable ones of both classes.
        score: the exported file, uint8 [N, S, S, 1] to float64 [N].
        points: operating points by name.
        changes: the first must leave the films as they are.

    Raises:
        DataError: too few patients of a class for an interval.
    """
    rows: list[FilmChange] = []
    before: Probability | None = None
    with item_bar("changing films", len(changes)) as advance:
        for change in changes:
            pixels, warned = seen(films.files, films.pixels.shape[1], change)
            # As reports print it: decisions rest on that.
            after = score(pixels).round(PROBABILITY_DECIMALS)
            before = after if before is None else before
            rows.append(_row(change.name, films, points, (before, after), warned))
            advance()
    return tuple(rows)


def seen(files: Sequence[LabelledFile], size: int, change: Change) -> tuple[NDArray[np.uint8], int]:
    """Network inputs of the changed films, and how many of them have a warning.

    Args:
        files: N films.
        size: S, pixels a side of the network input.
        change: made to the bytes of each.

    Returns:
        uint8 [N, S, S, 1], and a count.
    """
    settings = IntakeSettings(size, _ANYONE)

    def one(file: LabelledFile) -> tuple[NDArray[np.uint8], bool]:
        image, film = film_of(change(file.path.read_bytes(), file.name), "film", settings)
        warned = bool(image.warnings or pixel_warnings(image, film, size))
        return to_network_input(film, size), warned

    with ThreadPoolExecutor() as pool:
        inputs, warnings = zip(*pool.map(one, files), strict=True)
    return np.stack(inputs), sum(warnings)


def _row(
    name: str,
    films: ImageSet,
    points: Mapping[str, OperatingPoint],
    scores: tuple[Probability, Probability],
    warned: int,
) -> FilmChange:
    before, after = scores
    moved = np.abs(after - before)
    return FilmChange(
        change=name,
        auc=area(films, after),
        turned={
            key: turned(films.labels, before >= point.threshold, after >= point.threshold)
            for key, point in points.items()
        },
        mean=round(float(moved.mean()), FIGURE_DECIMALS),
        largest=round(float(moved.max()), FIGURE_DECIMALS),
        warned=warned,
    )


def turned(
    labels: NDArray[np.generic], before: NDArray[np.bool_], after: NDArray[np.bool_]
) -> Turned:
    """Decisions that differ.

    Args:
        labels: [N], 1 for pneumonia, 0 for normal.
        before: [N], flagged.
        after: [N], flagged.
    """
    ill = np.asarray(labels) == 1
    return Turned(
        films=int((before != after).sum()),
        missed=int((ill & before & ~after).sum()),
        alarms=int((~ill & ~before & after).sum()),
    )


def area(films: ImageSet, scores: Probability) -> Estimate:
    """Area under the ROC curve with its interval by patient.

    Raises:
        DataError: too few patients of a class.
    """
    area = auc_estimate(films.labels, scores, [file.patient for file in films.files])
    if area is None:
        raise DataError("too few validation patients of a class for an interval of the AUC")
    return rounded(area)
