"""Goals of the project on `test_a`, beside the figures that a model reached there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from cxr_edge.statistics.measurements import MeasuredSet, with_interval


@dataclass(frozen=True)
class Goal:
    """One figure, and what it should be.

    Attributes:
        point: operating point, or None for the area under the ROC curve.
        figure: `auc`, or a field of `Decisions`.
        aim: from 0 to 1.
        strictly: it should be above the aim; else the aim itself is enough.
    """

    point: str | None
    figure: str
    aim: float
    strictly: bool = False


_SCREENING = (Goal("screening", "sensitivity", 0.98), Goal("screening", "specificity", 0.85))
# The project's own aims. `cnn3_128` is to beat the best results of MedMNIST v2 on the official test
# set (AUC 0.991, accuracy 0.946) by a little; `screening` is for every network, ours as well.
GOALS: Mapping[str, tuple[Goal, ...]] = {
    "cnn3_50": (Goal(None, "auc", 0.987), *_SCREENING),
    "cnn4_50": (Goal(None, "auc", 0.975), *_SCREENING),
    "cnn3_128": (
        Goal(None, "auc", 0.992, strictly=True),
        Goal("balanced", "accuracy", 0.955, strictly=True),
        *_SCREENING,
    ),
    "resnet50v2_50": (Goal(None, "auc", 0.975), *_SCREENING),
    "resnet18_96": _SCREENING,
}


@dataclass(frozen=True)
class Reached:
    """A row of the card: a figure, its aim and what was measured, in words."""

    figure: str
    aim: str
    measured: str
    outcome: str
    missed: bool


def reached(architecture: str, test: MeasuredSet) -> tuple[Reached, ...]:
    """Goals of an architecture and their outcome; none where it has none."""
    return tuple(_one(goal, test) for goal in GOALS.get(architecture, ()))


def _one(goal: Goal, test: MeasuredSet) -> Reached:
    if goal.point is None:
        name, measured = "area under the ROC curve", test.auc
    else:
        name = f"{goal.figure} at `{goal.point}`"
        measured = getattr(test.operating_points[goal.point], goal.figure)
    aim = f"{'above' if goal.strictly else 'at least'} {goal.aim:.3f}"
    short = goal.aim - measured.value
    missed = short > 0 or (goal.strictly and short == 0)
    by = f"{short:.3f}" if short >= 0.0005 else "less than 0.001"
    outcome = f"**missed by {by}**" if missed else "met"
    return Reached(name, aim, with_interval(measured), outcome, missed)
