"""Worth of a flag among the films of a site."""

from __future__ import annotations

import math
from dataclasses import dataclass

from cxr_edge.report.context import RunContext
from cxr_edge.statistics.operating_points import predictive_shares


@dataclass(frozen=True)
class Worth:
    """Shares of films in small whole numbers: `flagged` is (4, 10) for 4 of 10.

    Attributes:
        prevalence: as the site states it.
        flagged: of the flagged films, those with pneumonia.
        unflagged: of the other films, those with pneumonia.
        sensitivity: what both follow from, and `specificity`.
        data: films that these were measured on; empty for those of the site.
    """

    prevalence: float
    flagged: tuple[int, int]
    unflagged: tuple[int, int]
    sensitivity: float
    specificity: float
    data: str


def worth(context: RunContext) -> Worth | None:
    """Predictive values at the prevalence that the site states.

    Films that did not set the threshold are believed before those that did.

    Returns:
        None where no prevalence is stated, or nobody has measured this threshold.
    """
    measured = _measured(context)
    if context.prevalence is None or measured is None:
        return None
    sensitivity, specificity, data = measured
    positive, negative = predictive_shares(sensitivity, specificity, context.prevalence)
    if math.isnan(positive) or math.isnan(negative):
        return None
    shares = _in_people(positive), _in_people(1 - negative)
    return Worth(context.prevalence, *shares, sensitivity, specificity, data)


def _measured(context: RunContext) -> tuple[float, float, str] | None:
    """Sensitivity, specificity and the films they are from."""
    if context.profile:
        point = context.profile.point
        return point.sensitivity.value, point.specificity.value, ""
    for films in context.spec.evaluations:
        if found := films.operating_points.get(context.operating_point):
            return found.sensitivity.value, found.specificity.value, films.data
    chosen = context.spec.operating_points.get(context.operating_point)
    if chosen is None:
        return None
    return chosen.sensitivity.value, chosen.specificity.value, chosen.data


def _in_people(share: float) -> tuple[int, int]:
    """A share as so many of 10, 100, 1,000 or 10,000: the first that is neither none nor all."""
    for whole in (10, 100, 1_000, 10_000):
        if 0 < round(share * whole) < whole:
            return round(share * whole), whole
    return round(share) * 10_000, 10_000
