"""Two models on the same films."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binomtest, norm, rankdata
from sklearn.metrics import roc_auc_score

from cxr_edge.evaluate.films import Scored
from cxr_edge.evaluate.results import Comparison, McNemar, ModelFigures
from cxr_edge.statistics.auc import Counts, enough_patients, estimate, resampled_auc
from cxr_edge.statistics.measurements import Estimate


def compare(first: ModelFigures, second: ModelFigures) -> Comparison:
    """Difference in AUC and in decisions, on the films that both models have scored.

    Decisions are compared at each operating point that both models name.
    """
    one, other = _on_common_films(first, second)
    theirs = {point.name: point.threshold for point in second.points}
    return Comparison(
        first=_name(first),
        second=_name(second),
        films=len(one.films),
        difference=_difference(one, other) if enough_patients(one.labels, one.patients) else None,
        delong_p_value=delong(one.labels, one.probability, other.probability),
        mcnemar=tuple(
            _mcnemar(point.name, _right(one, point.threshold), _right(other, theirs[point.name]))
            for point in first.points
            if point.name in theirs and one.films
        ),
    )


def _name(model: ModelFigures) -> str:
    """Two files may have one name; their hashes differ."""
    return f"{model.model_file} {model.model_sha256[:8]}"


def delong(
    labels: NDArray[np.int64], first: NDArray[np.float64], second: NDArray[np.float64]
) -> float | None:
    """Two-sided p value of DeLong's test for two areas under the ROC curve on the same films.

    Sources: DeLong et al., Biometrics 44:837 (1988); the way by midranks: Sun, Xu, IEEE Signal
    Process. Lett. 21:1389 (2014).

    Args:
        labels: [N], 1 for the positive class.
        first: [N], scores of one model.
        second: [N], of the other.

    Returns:
        None with fewer than two films of a class. Where the difference has no variance, as with
        scores in the same order, 1.0 if the areas are equal and None if they are not.
    """
    positive = labels == 1
    m, n = int(positive.sum()), int((~positive).sum())
    if min(m, n) < 2:
        return None
    beaten = _beaten(positive, first) - _beaten(positive, second)
    difference = beaten[positive].sum()
    # Of whole and half numbers: where they are all the same, it is exactly zero.
    variance = m * beaten[positive].var(ddof=1) + n * beaten[~positive].var(ddof=1)
    if variance == 0:
        return 1.0 if difference == 0 else None
    return float(2 * norm.sf(abs(difference) / math.sqrt(variance)))


def _beaten(positive: NDArray[np.bool_], scores: NDArray[np.float64]) -> NDArray[np.float64]:
    """Films of the other class that score lower than each film; equal ones count half."""
    beaten: NDArray[np.float64] = rankdata(scores)
    beaten[positive] -= rankdata(scores[positive])
    beaten[~positive] -= rankdata(scores[~positive])
    return beaten


def _on_common_films(first: ModelFigures, second: ModelFigures) -> tuple[Scored, Scored]:
    """The same films in the same order."""
    one, other = ({f.result.path: f for f in Scored.of(m.films).films} for m in (first, second))
    common = [path for path in one if path in other]
    return Scored.of(one[path] for path in common), Scored.of(other[path] for path in common)


def _difference(one: Scored, other: Scored) -> Estimate:
    """Compare both areas under the same draws of patients."""
    areas = [resampled_auc(each.labels, each.probability) for each in (one, other)]

    def resampled(counts: Counts) -> float | None:
        first, second = (area(counts) for area in areas)
        return None if first is None or second is None else first - second

    first, second = (float(roc_auc_score(each.labels, each.probability)) for each in (one, other))
    return estimate(first - second, resampled, one.patients)


def _right(scored: Scored, threshold: float) -> NDArray[np.bool_]:
    right: NDArray[np.bool_] = (scored.probability >= threshold) == (scored.labels == 1)
    return right


def _mcnemar(point: str, first: NDArray[np.bool_], second: NDArray[np.bool_]) -> McNemar:
    """Exact, two-sided. Source: McNemar, Psychometrika 12:153 (1947), with the binomial."""
    only_first, only_second = int((first & ~second).sum()), int((second & ~first).sum())
    differ = only_first + only_second
    p_value = float(binomtest(only_first, differ).pvalue) if differ else 1.0
    return McNemar(point, only_first, only_second, p_value)
