"""Reference of a drift test: what films, scores and warnings used to be."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from cxr_edge.features import FEATURES_VERSION, logit_of
from cxr_edge.model.spec import ModelSpec
from cxr_edge.report.summary import NightSummary
from cxr_edge.statistics.measurements import SCORE_BINS, FeatureDistribution

SCORE = "logit"


@dataclass(frozen=True)
class Marks:
    """A distribution, known at a few values.

    Attributes:
        values: float64 [K], ascending, each once.
        below: float64 [K]: at most this share lies below a value.
        upto: float64 [K]: at least this share lies at or below it.
        following: float64 [K]: less than this share lies at or below it.
    """

    values: NDArray[np.float64]
    below: NDArray[np.float64]
    upto: NDArray[np.float64]
    following: NDArray[np.float64]

    @classmethod
    def of(cls, values: NDArray[np.float64], shares: NDArray[np.float64]) -> Marks:
        """Build it from quantiles, of which several may be the same.

        Args:
            values: float64 [Q], ascending.
            shares: float64 [Q], of which these are the quantiles.
        """
        distinct, first, count = np.unique(values, return_index=True, return_counts=True)
        last = first + count - 1
        following = np.append(shares, 1.0)[last + 1]
        tied = count > 1
        return cls(distinct, shares[first], shares[last], np.where(tied, following, shares[last]))


@dataclass(frozen=True)
class Reference:
    """Films that a window is compared with.

    Attributes:
        name: of these films.
        films: how many they are.
        marks: by feature.
        patients_alike: whether about as many are ill as in the window; those of validation are
            chosen otherwise, so that scores and flags differ without a fault.
        warnings: films by warning; None where nobody counted.
        flags: films at or above the threshold of the window; None where nobody counted.
        run: a run of this state, of which no film belongs into the window; else empty.
    """

    name: str
    films: int
    marks: dict[str, Marks]
    patients_alike: bool
    warnings: Mapping[str, int] | None = None
    flags: int | None = None
    run: str = field(default="")


def of_validation(spec: ModelSpec) -> Reference | None:
    """Validation films of a model; None where its spec says nothing of them."""
    marks = marks_of(spec.validation_features)
    films = spec.validation_features.films if spec.validation_features else 0
    if SCORE not in marks and (scores := spec.validation_scores):
        counts = np.sum([*scores.counts.values()], axis=0)
        films = films or int(counts.sum())
        edges = np.arange(1, SCORE_BINS) / SCORE_BINS
        shares = counts.cumsum()[:-1] / counts.sum()
        marks[SCORE] = Marks.of(np.array([*map(logit_of, edges)]), shares)
    name = f"validation of {spec.name} {spec.version}"
    return Reference(name, films, marks, patients_alike=False) if marks else None


def of_night(night: NightSummary, threshold: float) -> Reference:
    """The films of one night.

    Args:
        night: it has films.
        threshold: of the window; flags of another one cannot be compared.
    """
    return Reference(
        f"run {night.run}",
        night.films,
        marks_of(night.features),
        patients_alike=True,
        warnings=night.warnings,
        flags=night.flags if night.threshold == threshold else None,
        run=night.run,
    )


def marks_of(features: FeatureDistribution | None) -> dict[str, Marks]:
    """Marks by feature; none of an older version, and none of what was not measured."""
    if features is None or features.version != FEATURES_VERSION:
        return {}
    return {
        name: Marks.of(np.array(values), np.linspace(0, 1, len(values)))
        for name, values in features.quantiles.items()
    }
