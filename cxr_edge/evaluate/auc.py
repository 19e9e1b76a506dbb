"""Area under the ROC curve, with an interval that takes patients for independent, not films."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from cxr_edge.measurements import Estimate

REPLICATES = 2000
_SEED = 0
_INTERVAL = (2.5, 97.5)

Counts = NDArray[np.int64]


def auc_estimate(
    labels: NDArray[np.generic], probability: NDArray[np.floating], patients: Sequence[str]
) -> Estimate | None:
    """Area under the ROC curve with its 95 % interval.

    Args:
        labels: [N], 1 for the positive class, 0 for the negative one.
        probability: [N].
        patients: [N], who is on each film.

    Returns:
        None where a class is missing.
    """
    if len(np.unique(labels)) < 2:
        return None
    from sklearn.metrics import roc_auc_score  # of the extra `evaluate`: not for who only scores

    resampled = resampled_auc(labels, probability)
    return estimate(float(roc_auc_score(labels, probability)), resampled, patients)


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
    known = [figure for figure in figures if figure is not None]
    low, high = np.percentile(known, _INTERVAL)
    return Estimate(value, float(low), float(high), len(set(patients)), len(known))


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

    def area(counts: Counts) -> float | None:
        above, below = (
            np.bincount(level[side], counts[side], len(levels)) for side in (positive, ~positive)
        )
        pairs = above.sum() * below.sum()
        won = above @ (np.cumsum(below) - below / 2)
        return float(won / pairs) if pairs else None

    return area


def _draws(patients: Sequence[str]) -> Iterator[Counts]:
    """How often each film counts, replicate by replicate; the same every time.

    As many patients as there are, drawn with replacement, each with all films.
    """
    people, owner = np.unique(np.asarray(patients), return_inverse=True)
    random = np.random.default_rng(_SEED)
    for _ in range(REPLICATES):
        drawn = random.integers(len(people), size=len(people))
        yield np.bincount(drawn, minlength=len(people))[owner]
