"""Operating points: thresholds chosen on labelled scores, and what they measured there. Pure."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from cxr_edge.support.strict_json import OMITTABLE
from cxr_edge.types import PROBABILITY_DECIMALS

SCREENING_SENSITIVITY = 0.98
_Z_95 = 1.959963984540054


@dataclass(frozen=True)
class Proportion:
    """A measured share with its 95 % Wilson score interval.

    Source of the interval: Wilson, J. Am. Stat. Assoc. 22:209 (1927).
    """

    value: float
    low: float
    high: float
    n: int

    def __post_init__(self) -> None:
        """Refuse an interval that does not hold its value."""
        if not (0 <= self.low <= self.value <= self.high <= 1 and self.n > 0):
            raise ValueError(f"not a proportion with its interval: {self}")

    @classmethod
    def of(cls, successes: int, n: int, independent: float | None = None) -> Proportion:
        """Build it from counts.

        Args:
            successes: at most n.
            n: of how many.
            independent: how many independent ones these n are worth, for the interval; n where
                nobody says.

        Raises:
            ValueError: n is 0.
        """
        if n <= 0:
            raise ValueError("a proportion of nothing cannot be computed")
        p = successes / n
        worth = n if independent is None else independent
        z2 = _Z_95**2
        centre = (p + z2 / (2 * worth)) / (1 + z2 / worth)
        half = _Z_95 / (1 + z2 / worth) * math.sqrt(p * (1 - p) / worth + z2 / (4 * worth**2))
        return cls(p, min(p, max(0.0, centre - half)), max(p, min(1.0, centre + half)), n)


@dataclass(frozen=True)
class OnCopies:
    """Figures of a threshold on changed copies of the films that it was measured on.

    Attributes:
        version: of the list of changes.
        draws: copies of each film, all pooled; the intervals count films, `n` counts copies.
    """

    version: int
    draws: int
    sensitivity: Proportion
    specificity: Proportion

    def __post_init__(self) -> None:
        """Figures of no draw say nothing."""
        if min(self.version, self.draws) < 1:
            raise ValueError(f"not a list of changes and its draws: {self}")


@dataclass(frozen=True)
class OperatingPoint:
    """A threshold on the probability: flagged means at or above it.

    Attributes:
        chosen_by: the rule, in words.
        sensitivity: on films as they are, as `specificity`.
        data: what these films are.
        copies: the same on their changed copies; None where the rule looked at none.
    """

    threshold: float
    chosen_by: str
    sensitivity: Proportion
    specificity: Proportion
    data: str
    copies: OnCopies | None = field(default=None, metadata=OMITTABLE)

    def __post_init__(self) -> None:
        """Refuse a threshold that flags everything or nothing by construction."""
        if not 0 < self.threshold < 1:
            raise ValueError(f"threshold {self.threshold} is not inside (0, 1)")


def predictive_shares(
    sensitivity: float, specificity: float, prevalence: float
) -> tuple[float, float]:
    """Positive and negative predictive value, by Bayes' theorem.

    Source: Altman, Bland, BMJ 309:102 (1994).

    Returns:
        Not a number where no film would be called so.
    """
    healthy = 1 - prevalence
    hits, misses = sensitivity * prevalence, (1 - sensitivity) * prevalence
    passes, alarms = specificity * healthy, (1 - specificity) * healthy
    return (
        hits / (hits + alarms) if hits + alarms else math.nan,
        passes / (passes + misses) if passes + misses else math.nan,
    )


def measure(
    labels: NDArray[np.generic], probability: NDArray[np.floating], threshold: float
) -> tuple[Proportion, Proportion]:
    """Sensitivity and specificity of `probability >= threshold`.

    Args:
        labels: [N], 1 for pneumonia, 0 for normal.
        probability: [N].
        threshold: flagged at or above it.

    Raises:
        ValueError: a class has no member.
    """
    flagged = _printed(probability) >= threshold
    positive = np.asarray(labels) == 1
    sensitivity = Proportion.of(int((flagged & positive).sum()), int(positive.sum()))
    specificity = Proportion.of(int((~flagged & ~positive).sum()), int((~positive).sum()))
    return sensitivity, specificity


@dataclass(frozen=True)
class CopyScores:
    """Scores of changed copies of N films.

    Attributes:
        version: of the list of changes.
        probability: [draws, N].
    """

    version: int
    probability: NDArray[np.floating]

    def measure(self, labels: NDArray[np.generic], threshold: float) -> OnCopies:
        """Sensitivity and specificity on all draws at once.

        Args:
            labels: [N], 1 for pneumonia, 0 for normal.
            threshold: flagged at or above it.

        Raises:
            ValueError: a class has no member.
        """
        flagged = _printed(self.probability) >= threshold
        positive = np.asarray(labels) == 1

        def pooled(right: NDArray[np.bool_]) -> Proportion:
            return Proportion.of(int(right.sum()), right.size, right.shape[1])

        shares = pooled(flagged[:, positive]), pooled(~flagged[:, ~positive])
        return OnCopies(self.version, len(flagged), *shares)


def choose_on_copies(
    labels: NDArray[np.generic],
    probability: NDArray[np.floating],
    copies: CopyScores,
    data: str,
) -> dict[str, OperatingPoint]:
    """The two operating points that every model ships with, chosen on changed copies.

    `screening` is the highest threshold whose sensitivity is at least 0.98: a missed pneumonia
    costs most. `balanced` is where sensitivity and specificity are equal. Normals of another series
    score higher than in validation while pneumonias stay; the copies foretell that, films as they
    are do not.

    Args:
        labels: [N], 1 for pneumonia, 0 for normal.
        probability: [N], of the films as they are; only measured.
        copies: of the same films.
        data: what these films are, for the record.
    """
    draws = len(copies.probability)
    everything = np.tile(np.asarray(labels), draws), copies.probability.ravel()
    on = f"on changed copies (version {copies.version}, {draws} draws)"
    rules = {
        "screening": (
            f"highest threshold with sensitivity >= {SCREENING_SENSITIVITY} {on}",
            highest_with_sensitivity(*everything, SCREENING_SENSITIVITY),
        ),
        "balanced": (f"equal sensitivity and specificity {on}", equal_error(*everything)),
    }
    return {
        name: OperatingPoint(
            threshold,
            rule,
            *measure(labels, probability, threshold),
            data,
            copies.measure(labels, threshold),
        )
        for name, (rule, threshold) in rules.items()
    }


def choose(
    labels: NDArray[np.generic], probability: NDArray[np.floating], data: str
) -> dict[str, OperatingPoint]:
    """Operating points from scores of films as they are, as `--out-of-fold` has them.

    `screening` is the highest threshold whose sensitivity is at least 0.98. `balanced` is the
    threshold nearest to 0.5 whose sensitivity + specificity (Youden, Cancer 3:32, 1950) is within
    one standard error of the best: on a nearly separable set the exact maximum is noise, and
    training with class weights aims at 0.5.

    Args:
        labels: [N], 1 for pneumonia, 0 for normal.
        probability: [N].
        data: what these images are, for the record.
    """
    rules = {
        "screening": (
            f"highest threshold with sensitivity >= {SCREENING_SENSITIVITY}",
            highest_with_sensitivity(labels, probability, SCREENING_SENSITIVITY),
        ),
        "balanced": (
            "nearest to 0.5 within one standard error of the highest sensitivity + specificity",
            _near_youden(labels, probability),
        ),
    }
    return {
        name: OperatingPoint(threshold, rule, *measure(labels, probability, threshold), data)
        for name, (rule, threshold) in rules.items()
    }


def _printed(probability: NDArray[np.floating]) -> NDArray[np.float64]:
    """Scores as reports print them, in double precision whatever they came in."""
    return probability.astype(np.float64).round(PROBABILITY_DECIMALS)


def candidates(probability: NDArray[np.floating]) -> NDArray[np.float64]:
    """Every threshold that tells two neighbouring scores apart, ascending, inside (0, 1)."""
    step = 10.0**-PROBABILITY_DECIMALS
    scores = np.unique(_printed(probability))
    # Half-way between neighbours, rounded as scores are: the decision on what is printed and the
    # decision on what was computed are the same.
    between = np.ceil((scores[:-1] + scores[1:]) / 2 / step) * step
    edges = np.concatenate(([scores[0]], between))
    return np.unique(np.clip(np.round(edges, PROBABILITY_DECIMALS), step, 1 - step))


def highest_with_sensitivity(
    labels: NDArray[np.generic], probability: NDArray[np.floating], least: float
) -> float:
    """The highest threshold with at least this sensitivity.

    Args:
        labels: [N], 1 for pneumonia, 0 for normal; at least one of them is 1.
        probability: [N].
        least: in (0, 1].
    """
    positives = np.sort(_printed(probability)[np.asarray(labels) == 1])
    thresholds = candidates(probability)
    flagged = len(positives) - np.searchsorted(positives, thresholds, side="left")
    enough = thresholds[flagged / len(positives) >= least]
    # A pneumonia scored 0.000000 lies below every threshold; the lowest one misses fewest.
    return float(enough.max(initial=thresholds[0]))


def equal_error(labels: NDArray[np.generic], probability: NDArray[np.floating]) -> float:
    """The threshold at which sensitivity and specificity differ least; the lowest of several.

    Args:
        labels: [N], 1 for pneumonia, 0 for normal; both occur.
        probability: [N].
    """
    thresholds, sensitivity, specificity = _shares(labels, probability)
    return float(thresholds[np.abs(sensitivity - specificity).argmin()])


def _shares(
    labels: NDArray[np.generic], probability: NDArray[np.floating]
) -> tuple[NDArray[np.float64], ...]:
    """Every threshold, ascending, with its sensitivity and specificity: [T] each."""
    scores = _printed(probability)
    positives = np.sort(scores[np.asarray(labels) == 1])
    negatives = np.sort(scores[np.asarray(labels) == 0])
    thresholds = candidates(probability)
    sensitivity = 1 - np.searchsorted(positives, thresholds, side="left") / len(positives)
    specificity = np.searchsorted(negatives, thresholds, side="left") / len(negatives)
    return thresholds, sensitivity, specificity


def _near_youden(labels: NDArray[np.generic], probability: NDArray[np.floating]) -> float:
    thresholds, sensitivity, specificity = _shares(labels, probability)
    positive = np.asarray(labels) == 1
    gain = sensitivity + specificity
    variance = sensitivity * (1 - sensitivity) / positive.sum()
    variance += specificity * (1 - specificity) / (~positive).sum()
    best = int(gain.argmax())
    good = thresholds[gain >= gain[best] - np.sqrt(variance[best]) - 1e-12]
    return float(good[np.abs(good - 0.5).argmin()])
