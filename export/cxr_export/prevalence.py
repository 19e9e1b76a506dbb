"""Cost of an operating point to a site where pneumonia is rarer than among labelled films."""

from __future__ import annotations

from dataclasses import dataclass

from cxr_edge.evaluate.confusion import predictive_values
from cxr_edge.evaluate.results import PredictiveValues
from cxr_edge.model.spec import ModelSpec
from cxr_edge.statistics.operating_points import Proportion

PREVALENCES = (0.05, 0.1, 0.2)
PER = 1000  # films


@dataclass(frozen=True)
class AtPrevalence:
    """One operating point at one share of pneumonia films.

    Attributes:
        missed: pneumonia films of `PER` films that are not flagged.
        alarms: normal films of them that are flagged.
    """

    point: str
    values: PredictiveValues
    missed: float
    alarms: float


@dataclass(frozen=True)
class OtherPrevalences:
    """Figures of `data` carried to films of which fewer show pneumonia."""

    data: str
    rows: tuple[AtPrevalence, ...]


def at_prevalences(spec: ModelSpec) -> OtherPrevalences:
    """Every operating point at `PREVALENCES`, from the first test set, copies or validation.

    The ends of an interval take sensitivity and specificity at the ends of their own that lie
    furthest that way, both at once.
    """
    data, shares = _shares(spec)
    rows = [
        _row(name, *found, prevalence)
        for name, found in shares.items()
        for prevalence in PREVALENCES
    ]
    return OtherPrevalences(data, tuple(rows))


def _shares(spec: ModelSpec) -> tuple[str, dict[str, tuple[Proportion, Proportion]]]:
    """Sensitivity and specificity by operating point, and what they were measured on."""
    points = spec.operating_points
    if spec.evaluations:
        test = spec.evaluations[0]
        of_test = test.operating_points.items()
        return f"`{test.data}`", {name: (d.sensitivity, d.specificity) for name, d in of_test}
    if all(point.copies for point in points.values()):
        of_copies = {name: p.copies for name, p in points.items() if p.copies}
        return "changed copies of the films that chose the thresholds", {
            name: (copies.sensitivity, copies.specificity) for name, copies in of_copies.items()
        }
    return "the films that chose the thresholds", {
        name: (point.sensitivity, point.specificity) for name, point in points.items()
    }


def _row(
    point: str, sensitivity: Proportion, specificity: Proportion, prevalence: float
) -> AtPrevalence:
    values = predictive_values(sensitivity, specificity, prevalence)
    if values is None:  # only where no prevalence is asked for
        raise ValueError("no prevalence")
    return AtPrevalence(
        point,
        values,
        missed=PER * prevalence * (1 - sensitivity.value),
        alarms=PER * (1 - prevalence) * (1 - specificity.value),
    )
