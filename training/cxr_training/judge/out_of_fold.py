"""Figures over out-of-fold scores: each film judged by networks that never saw its patient."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from cxr_edge.statistics.auc import Counts, enough_patients, estimate, resampled_auc
from cxr_edge.statistics.operating_points import (
    SCREENING_SENSITIVITY,
    OperatingPoint,
    Proportion,
    choose,
    highest_with_sensitivity,
)
from cxr_training.films.data import ImageSet

Figure = Callable[[Counts], float | None]
_DECIMALS = 6


@dataclass(frozen=True)
class OutOfFold:
    """Scores of N films in K folds by K networks per seed.

    The logits of a network are divided by the temperature that fits its own validation patients:
    then networks of other confidence can share a threshold.

    Attributes:
        images: N films.
        fold_of: int [N], 1 to K.
        logits: float64 [seeds, N], divided by each network's temperature.
        own_thresholds: float64 [seeds, K], on the same scale: where each network has a sensitivity
            of 0.98 on its own validation patients.
    """

    images: ImageSet
    fold_of: NDArray[np.int64]
    logits: NDArray[np.float64]
    own_thresholds: NDArray[np.float64]

    def __post_init__(self) -> None:
        """Refuse scores that belong to other films."""
        seeds, folds = self.own_thresholds.shape
        films = len(self.images.files)
        if self.logits.shape != (seeds, films) or self.fold_of.shape != (films,):
            raise ValueError(f"not {seeds} seeds of {films} films: {self.logits.shape}")
        if self.fold_of.min() < 1 or self.fold_of.max() > folds:
            raise ValueError(f"folds must be 1 to {folds}")


def specificity_at_sensitivity(
    labels: NDArray[np.generic], scores: NDArray[np.float64], least: float
) -> Figure:
    """Specificity at the highest threshold of that sensitivity, chosen anew for other counts.

    A threshold that stays fixed in a bootstrap hides that it was estimated, which is most of its
    error: 98 % of 700 pneumonias is the rank of the 14th.

    Args:
        labels: [N], 1 for pneumonia, 0 for normal.
        scores: [N].
        least: sensitivity, in (0, 1].
    """
    order = np.argsort(scores, kind="stable")
    positive = np.asarray(labels)[order] == 1
    first_equal = np.searchsorted(scores[order], scores[order], side="left")

    def specificity(counts: Counts) -> float | None:
        weights = counts[order]
        missed = np.cumsum(weights * positive)
        below = np.concatenate(([0], np.cumsum(weights * ~positive)))
        if not (missed[-1] and below[-1]):
            return None
        # The first positive that may not be missed; the tolerance is for 0.02 * 50 in binary.
        threshold = np.searchsorted(missed, (1 - least) * missed[-1] + 1e-9, side="right")
        return float(below[first_equal[threshold]] / below[-1])

    return specificity


def share(chosen: NDArray[np.bool_], among: NDArray[np.bool_]) -> Figure:
    """Share of the films `among` that are `chosen`: [N] each."""

    def of(counts: Counts) -> float | None:
        total = counts[among].sum()
        return float(counts[among & chosen].sum() / total) if total else None

    return of


def pooled_threshold(scores: OutOfFold, films: NDArray[np.bool_]) -> float:
    """The highest logit with a sensitivity of 0.98 over all seeds' scores of some films: [N]."""
    labels = np.tile(scores.images.labels[films], len(scores.logits))
    probability = expit(scores.logits[:, films].ravel())
    threshold = highest_with_sensitivity(labels, probability, SCREENING_SENSITIVITY)
    return float(np.log(threshold / (1 - threshold)))


def pooled_points(
    labels: NDArray[np.generic], logits: NDArray[np.float64], data: str
) -> dict[str, OperatingPoint]:
    """Operating points chosen over all seeds at once; n counts films, not scores.

    Args:
        labels: [N].
        logits: [seeds, N], divided by temperatures.
        data: what the scores are, for the record.
    """
    seeds = len(logits)
    points = choose(np.tile(labels, seeds), expit(logits.ravel()), data)

    def of_films(share: Proportion) -> Proportion:
        n = share.n // seeds
        return Proportion.of(round(share.value * n), n)

    return {
        name: replace(
            point,
            sensitivity=of_films(point.sensitivity),
            specificity=of_films(point.specificity),
        )
        for name, point in points.items()
    }


def summarize(scores: OutOfFold) -> dict[str, Any]:
    """Figures per fold and pooled, each the mean over seeds with an interval by patient.

    A fold is judged by a threshold that its own scores had no part in.
    """
    held_out = [scores.fold_of == fold for fold in range(1, scores.own_thresholds.shape[1] + 1)]
    elsewhere = np.array([pooled_threshold(scores, ~films) for films in held_out])
    everything = np.ones(len(scores.fold_of), np.bool_)
    return {
        "other_folds_threshold_logits": elsewhere.round(_DECIMALS).tolist(),
        "folds": [
            {"fold": fold, **_figures(scores, films, elsewhere)}
            for fold, films in enumerate(held_out, start=1)
        ],
        "pooled": _figures(scores, everything, elsewhere),
    }


def _figures(
    scores: OutOfFold, films: NDArray[np.bool_], elsewhere: NDArray[np.float64]
) -> dict[str, Any]:
    """Figures of `summarize` over some of the films; `elsewhere` is a threshold per fold."""
    images = scores.images.subset(np.flatnonzero(films))
    labels, logits = images.labels, scores.logits[:, films]
    fold = scores.fold_of[films] - 1
    own, others = scores.own_thresholds[:, fold], elsewhere[fold]
    figures: dict[str, list[Figure]] = {
        "auc": [resampled_auc(labels, z) for z in logits],
        "specificity_at_own_98": [
            specificity_at_sensitivity(labels, z, SCREENING_SENSITIVITY) for z in logits
        ],
    }
    for name, flagged in (("validation", logits >= own), ("other_folds", logits >= others)):
        figures[f"sensitivity_at_{name}"] = [share(f, labels == 1) for f in flagged]
        figures[f"specificity_at_{name}"] = [share(~f, labels == 0) for f in flagged]
    patients = [file.patient for file in images.files]
    return {
        **images.counts(),
        **{name: mean_figure(each, labels, patients) for name, each in figures.items()},
    }


def mean_figure(
    figures: Sequence[Figure], labels: NDArray[np.generic], patients: Sequence[str]
) -> dict[str, Any]:
    """Mean over seeds, its 95 % interval by patient, and what each seed gave.

    `low` and `high` are None where a class has fewer than ten patients, and where every draw has
    the same figure: a bootstrap without width says nothing.
    """
    once = np.ones(len(patients), np.int64)
    per_seed = [figure(once) for figure in figures]

    def mean(counts: Counts) -> float | None:
        values = [value for figure in figures if (value := figure(counts)) is not None]
        return float(np.mean(values)) if values else None

    value, low, high = mean(once), None, None
    if value is not None and enough_patients(labels, patients):
        interval = estimate(value, mean, patients)
        if interval.low < interval.high:
            low, high = round(interval.low, _DECIMALS), round(interval.high, _DECIMALS)
        value = round(value, _DECIMALS)
    return {"value": value, "low": low, "high": high, "per_seed": per_seed}
