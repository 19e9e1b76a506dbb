"""Measurements on labelled films, as specs keep them and pages print them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from cxr_edge.features import FEATURES, FEATURES_VERSION
from cxr_edge.statistics.operating_points import Proportion
from cxr_edge.statistics.quantiles import quantiles as quantiles_of

SCORE_BINS = 20
FEATURE_STEPS = 20  # shares of the films between two quantiles: a twentieth each


@dataclass(frozen=True)
class Decisions:
    """Measurements of one operating point on a labelled set."""

    accuracy: Proportion
    sensitivity: Proportion
    specificity: Proportion


@dataclass(frozen=True)
class Estimate:
    """A figure with its 95 % interval: percentiles of a bootstrap that draws patients, not films.

    Where that has no width, as at an area of 1, it is Newcombe's interval over patients.

    Source: Efron, Tibshirani: An Introduction to the Bootstrap (1993), chapter 13; Newcombe, Stat.
    Med. 25:559 (2006), method 5.
    """

    value: float
    low: float
    high: float
    patients: int
    replicates: int

    def __post_init__(self) -> None:
        """Refuse an interval without a bootstrap, or upside down."""
        if not (self.low <= self.high and self.patients > 0 and self.replicates > 0):
            raise ValueError(f"not an estimate with its interval: {self}")


@dataclass(frozen=True)
class MeasuredSet:
    """A labelled set that chose nothing, measured once the model was finished."""

    data: str
    data_sha256: str
    counts: dict[str, int]
    auc: Estimate
    operating_points: dict[str, Decisions]


@dataclass(frozen=True)
class ScoreDistribution:
    """Histogram of the scores of a labelled set: films per twentieth of [0, 1], by class.

    Attributes:
        data: what these films are.
        counts: class name to `SCORE_BINS` counts, from 0 upwards; 1.0 falls into the last.
    """

    data: str
    counts: dict[str, tuple[int, ...]]

    def __post_init__(self) -> None:
        """Every class has every bin."""
        if not self.counts or any(len(bins) != SCORE_BINS for bins in self.counts.values()):
            raise ValueError(f"not {SCORE_BINS} bins per class")
        if any(films < 0 for bins in self.counts.values() for films in bins):
            raise ValueError("a bin with fewer than no films")

    @classmethod
    def of(cls, data: str, scores: Mapping[str, ArrayLike]) -> ScoreDistribution:
        """Measure the probabilities of each class."""
        edges = np.arange(SCORE_BINS + 1) / SCORE_BINS  # unlike linspace: 0.15 where a score has it
        counts = {
            name: tuple(np.histogram(probabilities, edges)[0].tolist())
            for name, probabilities in scores.items()
        }
        return cls(data, counts)


@dataclass(frozen=True)
class FeatureDistribution:
    """Distribution of the films' features on a set, to hold the films of a site against.

    Attributes:
        version: of the features.
        data: what these films are.
        films: how many.
        quantiles: by feature, those at 0, 1/20, ... 1; a feature that was not measured is left out.
    """

    version: int
    data: str
    films: int
    quantiles: dict[str, tuple[float, ...]]

    def __post_init__(self) -> None:
        """Quantiles ascend, and are of something."""
        if self.films < 1 or not self.quantiles:
            raise ValueError("a distribution of no films, or of no feature")
        for name, values in self.quantiles.items():
            if len(values) != FEATURE_STEPS + 1 or list(values) != sorted(values):
                raise ValueError(f"{name}: not {FEATURE_STEPS + 1} ascending quantiles")

    @classmethod
    def of(cls, data: str, features: Mapping[str, ArrayLike]) -> FeatureDistribution:
        """Measure the features of each film, by name; all of `FEATURES` but those not measured."""
        columns = {name: np.asarray(features[name], float) for name in FEATURES if name in features}
        (films,) = {len(column) for column in columns.values()}
        shares = np.linspace(0, 1, FEATURE_STEPS + 1).tolist()
        quantiles = {
            # Six digits: processors differ in the last ones, and the same films give the same spec.
            name: tuple(float(f"{value:.6g}") for value in quantiles_of(column.tolist(), shares))
            for name, column in columns.items()
        }
        return cls(FEATURES_VERSION, data, films, quantiles)

    def to_dict(self) -> dict[str, Any]:
        """Plain values, as `json.loads` gives them."""
        quantiles = {name: list(values) for name, values in self.quantiles.items()}
        return {**asdict(self), "quantiles": quantiles}


def with_interval(figure: Proportion | Estimate) -> str:
    """A figure as cards and `models show` print it."""
    return f"{figure.value:.3f} ({figure.low:.3f} to {figure.high:.3f})"
