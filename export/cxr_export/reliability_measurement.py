"""Measures how far an exported file can be trusted, on the films that its run validated on."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from cxr_edge.images import decode
from cxr_edge.model.reliability import Reliability
from cxr_edge.runtime.protocol import Runner
from cxr_edge.statistics.operating_points import OperatingPoint
from cxr_edge.types import PROBABILITY_DECIMALS
from cxr_export.calibration import Scores, calibrate, read_pooled
from cxr_export.precision import logits_with, score_with
from cxr_export.robustness import robustness
from cxr_export.shortcuts import shortcuts
from cxr_training.crossval.crossval import SCORES_FILE
from cxr_training.films.data import ImageSet, Split


@dataclass(frozen=True)
class Judged:
    """A file to judge, and the films to judge it by.

    Attributes:
        runner: the exported file.
        points: operating points that it decides by.
        films: those that the run was trained and validated on.
        data: what the validation films are called.
        out_of_fold: OUT of `cxr-edge train --folds` of the same recipe, if there is one.
    """

    runner: Runner
    points: Mapping[str, OperatingPoint]
    films: Split
    data: str
    out_of_fold: Path | None


def measure_reliability(judged: Judged) -> Reliability:
    """Changed films, shortcuts and calibration.

    Raises:
        DataError: too few patients of a class.
        InputError: the out-of-fold scores cannot be read.
    """
    films = judged.films.validation
    score = score_with(judged.runner)
    logits = logits_with(judged.runner)(films.pixels)
    probability = score(films.pixels).round(PROBABILITY_DECIMALS)
    patients = np.array([file.patient for file in films.files])
    folds = judged.out_of_fold
    pooled = None if folds is None else read_pooled(folds / SCORES_FILE)
    return Reliability(
        data=judged.data,
        counts=films.counts(),
        film_size=_usual_size(films),
        changes=robustness(films, score, judged.points),
        shortcuts=shortcuts(judged.films, probability),
        calibration=calibrate(Scores(films.labels, logits, patients), pooled),
    )


def _usual_size(films: ImageSet) -> tuple[int, int]:
    """Width and height that most films have."""
    sizes: Counter[tuple[int, int]] = Counter()
    for file in films.files:
        film = decode(file.path.read_bytes(), file.path.name)
        sizes[film.width, film.height] += 1
    return sizes.most_common(1)[0][0]
