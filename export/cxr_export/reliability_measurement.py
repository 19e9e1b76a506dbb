"""Measures how far an exported file can be trusted, on the films that its run validated on."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from cxr_edge.images import decode
from cxr_edge.model.reliability import Calibration, Reliability
from cxr_edge.runtime.protocol import Runner
from cxr_edge.statistics.operating_points import OperatingPoint
from cxr_edge.types import PROBABILITY_DECIMALS
from cxr_export.calibration import calibration_on
from cxr_export.precision import score_with
from cxr_export.robustness import robustness
from cxr_export.shortcuts import shortcuts
from cxr_export.spec_draft import Score
from cxr_training.films.copies import COPIES_VERSION, scores_of_copies
from cxr_training.films.data import ImageSet, Split


@dataclass(frozen=True)
class Judged:
    """A file to judge, and the films to judge it by.

    Attributes:
        runner: the exported file.
        points: operating points that it decides by.
        films: those that the run was trained and validated on.
        data: what the validation films are called.
        tests: sets that chose nothing, by name.
    """

    runner: Runner
    points: Mapping[str, OperatingPoint]
    films: Split
    data: str
    tests: Mapping[str, ImageSet]


def measure_reliability(judged: Judged) -> Reliability:
    """Changed films, shortcuts and calibration.

    Raises:
        DataError: too few patients of a class.
    """
    films = judged.films.validation
    score = score_with(judged.runner)
    probability = score(films.pixels).round(PROBABILITY_DECIMALS)
    return Reliability(
        data=judged.data,
        counts=films.counts(),
        film_size=_usual_size(films),
        changes=robustness(films, score, judged.points),
        shortcuts=shortcuts(judged.films, probability),
        calibration=tuple(_calibration(judged, score)),
    )


def _calibration(judged: Judged, score: Score) -> Iterator[Calibration]:
    """Calibration on validation, on its changed copies, and on every test set."""
    films = judged.films.validation
    patients = [file.patient for file in films.files]
    yield calibration_on(judged.data, films.labels, score(films.pixels), patients)
    copies = scores_of_copies(score, films.pixels)
    labels = np.tile(films.labels, len(copies))
    named = f"their changed copies (version {COPIES_VERSION}, {len(copies)} draws)"
    yield calibration_on(named, labels, copies.ravel(), patients * len(copies))
    for name, test in judged.tests.items():
        people = [file.patient for file in test.files]
        yield calibration_on(name, test.labels, score(test.pixels), people)


def _usual_size(films: ImageSet) -> tuple[int, int]:
    """Width and height that most films have."""
    sizes: Counter[tuple[int, int]] = Counter()
    for file in films.files:
        film = decode(file.path.read_bytes(), file.path.name)
        sizes[film.width, film.height] += 1
    return sizes.most_common(1)[0][0]
