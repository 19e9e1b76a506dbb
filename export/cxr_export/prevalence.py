"""Predictive values where pneumonia is rarer than among labelled films."""

from __future__ import annotations

from dataclasses import dataclass

from cxr_edge.evaluate.confusion import predictive_values
from cxr_edge.evaluate.results import PredictiveValues
from cxr_edge.model.spec import ModelSpec
from cxr_edge.statistics.measurements import Decisions
from cxr_edge.statistics.operating_points import OperatingPoint, Proportion

PREVALENCES = (0.05, 0.1, 0.2)


@dataclass(frozen=True)
class FlaggedFilms:
    """Films of a hundred that would be flagged; `at_prevalences` explains the interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class AtPrevalence:
    """One operating point at one share of pneumonia films."""

    point: str
    values: PredictiveValues
    flagged: FlaggedFilms


@dataclass(frozen=True)
class OtherPrevalences:
    """Figures of `data` carried to films of which fewer show pneumonia."""

    data: str
    rows: tuple[AtPrevalence, ...]


def at_prevalences(spec: ModelSpec) -> OtherPrevalences:
    """Every operating point at `PREVALENCES`: from the first test set, or else from validation.

    The ends of an interval take sensitivity and specificity at the ends of their own that lie
    furthest that way, both at once.
    """
    measured: dict[str, Decisions] | dict[str, OperatingPoint] = spec.operating_points
    data = "the films that chose the thresholds"
    if spec.evaluations:
        measured, data = spec.evaluations[0].operating_points, f"`{spec.evaluations[0].data}`"
    rows = [
        _row(name, found.sensitivity, found.specificity, prevalence)
        for name, found in measured.items()
        for prevalence in PREVALENCES
    ]
    return OtherPrevalences(data, tuple(rows))


def _row(
    point: str, sensitivity: Proportion, specificity: Proportion, prevalence: float
) -> AtPrevalence:
    values = predictive_values(sensitivity, specificity, prevalence)
    if values is None:  # only where no prevalence is asked for
        raise ValueError("no prevalence")

    def flagged(of_ill: float, passing: float) -> float:
        return 100 * (of_ill * prevalence + (1 - passing) * (1 - prevalence))

    return AtPrevalence(
        point,
        values,
        FlaggedFilms(
            flagged(sensitivity.value, specificity.value),
            flagged(sensitivity.low, specificity.high),
            flagged(sensitivity.high, specificity.low),
        ),
    )
