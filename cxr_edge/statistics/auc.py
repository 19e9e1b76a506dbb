"""Area under the ROC curve, with an interval that takes patients for independent, not films."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from cxr_edge.statistics.measurements import Estimate

REPLICATES = 2000
LEAST_PATIENTS = 10  # of each class: drawn from fewer, the same few come up again and again
_SEED = 0
_INTERVAL = (2.5, 97.5)
_Z_95 = NormalDist().inv_cdf(0.975)
_HALVINGS = 60

Counts = NDArray[np.int64]


def auc_estimate(
    labels: NDArray[np.generic], probability: NDArray[np.floating], patients: Sequence[str]
) -> Estimate | None:
    """Area under the ROC curve with its 95 % interval.

    Where every draw has the same area, as where the classes are fully apart, the bootstrap has no
    width and says nothing: then the interval is Newcombe's.

    Args:
        labels: [N], 1 for the positive class, 0 for the negative one.
        probability: [N].
        patients: [N], who is on each film.

    Returns:
        None with fewer than `LEAST_PATIENTS` patients of a class.
    """
    if not enough_patients(labels, patients):
        return None
    from sklearn.metrics import roc_auc_score  # of the extra `evaluate`: not for who only scores

    resampled = resampled_auc(labels, probability)
    area = estimate(float(roc_auc_score(labels, probability)), resampled, patients)
    if area.low < area.high:
        return area
    low, high = newcombe_interval(area.value, *class_patients(labels, patients))
    return replace(area, low=low, high=high)


def class_patients(labels: NDArray[np.generic], patients: Sequence[str]) -> tuple[int, int]:
    """Patients of the negative and of the positive class; who has films of both is in both.

    Args:
        labels: [N], 1 for the positive class, 0 for the negative one.
        patients: [N], who is on each film.
    """
    pairs = set(zip((np.asarray(labels) == 1).tolist(), patients, strict=True))
    positive = sum(label for label, _ in pairs)
    return len(pairs) - positive, positive


def enough_patients(labels: NDArray[np.generic], patients: Sequence[str]) -> bool:
    """Check that a bootstrap by patient has enough to draw from; arguments as `class_patients`."""
    return min(class_patients(labels, patients)) >= LEAST_PATIENTS


def newcombe_interval(area: float, negative: int, positive: int) -> tuple[float, float]:
    """95 % score interval of an area under the ROC curve; it has a width at 0 and 1 too.

    Source: Newcombe, Stat. Med. 25:559 (2006), method 5.

    Args:
        area: in [0, 1].
        negative: patients of the negative class.
        positive: patients of the positive class.
    """

    def variance(theta: float) -> float:
        others = (negative + positive) / 2 - 1
        pairs = 1 + others * ((1 - theta) / (2 - theta) + theta / (1 + theta))
        return theta * (1 - theta) * pairs / (negative * positive)

    def lower(reached: float) -> float:
        """Smallest area from which this one is not too far off, found by halving."""
        low, high = 0.0, reached
        for _ in range(_HALVINGS):
            middle = (low + high) / 2
            if (reached - middle) ** 2 > _Z_95**2 * variance(middle):
                low = middle
            else:
                high = middle
        return low

    return lower(area), 1 - lower(1 - area)  # the variance is the same at 1 - theta


def estimate(
    value: float, resampled: Callable[[Counts], float | None], patients: Sequence[str]
) -> Estimate:
    """A figure with its 95 % percentile interval from a bootstrap by patient.

    Args:
        value: of the whole set.
        resampled: the figure where each film counts as often as [N] says; None where it has none.
            Such a replicate is left out, which is the same as drawing until one has a figure.
        patients: [N], who is on each film.
    """
    figures = (resampled(counts) for counts in _draws(patients))
    replicates = [figure for figure in figures if figure is not None]
    low, high = np.percentile(replicates, _INTERVAL)
    return Estimate(value, float(low), float(high), len(set(patients)), len(replicates))


def resampled_auc(
    labels: NDArray[np.generic], probability: NDArray[np.floating]
) -> Callable[[Counts], float | None]:
    """The area of this set, to be asked again and again with other counts per film.

    Share of the pairs of a positive and a negative film in which the positive one scores higher;
    equal scores count half. Source: Hanley, McNeil, Radiology 143:29 (1982).

    Returns:
        A function of [N] counts; it gives None where they leave a class without films.
    """
    levels, level = np.unique(probability, return_inverse=True)
    positive = np.asarray(labels) == 1
    sides = [(np.flatnonzero(side), level[side]) for side in (positive, ~positive)]

    def area(counts: Counts) -> float | None:
        above, below = (np.bincount(at, counts[films], len(levels)) for films, at in sides)
        pairs = above.sum() * below.sum()
        won = above @ (np.cumsum(below) - below / 2)
        return float(won / pairs) if pairs else None

    return area


def _draws(patients: Sequence[str]) -> Iterator[Counts]:
    """Weights of the films, replicate by replicate; the same every time.

    As many patients as there are, drawn with replacement, each with all films.
    """
    people, owner = np.unique(np.asarray(patients), return_inverse=True)
    random = np.random.default_rng(_SEED)
    for _ in range(REPLICATES):
        drawn = random.integers(len(people), size=len(people))
        yield np.bincount(drawn, minlength=len(people))[owner]
