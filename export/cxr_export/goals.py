"""Goals of the project on `test_a`, beside the figures that a model reached there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from cxr_edge.statistics.measurements import MeasuredSet


@dataclass(frozen=True)
class Goal:
    """One figure at one operating point, and what it should be at least, from 0 to 1."""

    point: str
    figure: Literal["accuracy", "sensitivity", "specificity"]
    aim: float


# The project's own aims for every network of it; `docs/training.md` says where they come from.
_EVERY = (
    Goal("screening", "sensitivity", 0.98),
    Goal("screening", "specificity", 0.82),
    Goal("balanced", "accuracy", 0.945),
    Goal("balanced", "sensitivity", 0.96),
)
# And of the one that starts from ImageNet.
_BEST = (
    Goal("screening", "sensitivity", 0.98),
    Goal("screening", "specificity", 0.87),
    *_EVERY[2:],
)
GOALS: Mapping[str, tuple[Goal, ...]] = {
    **dict.fromkeys(("cnn3_50", "cnn4_50", "cnn3_128", "resnet50v2_50", "resnet18_96"), _EVERY),
    "efficientnet_lite0_160": _BEST,
}


@dataclass(frozen=True)
class Reached:
    """A goal and its outcome, in words."""

    goal: str
    outcome: str


def reached(architecture: str, test: MeasuredSet) -> tuple[Reached, ...]:
    """Goals of an architecture and their outcome; none where it has none."""
    return tuple(_one(goal, test) for goal in GOALS.get(architecture, ()))


def _one(goal: Goal, test: MeasuredSet) -> Reached:
    measured = getattr(test.operating_points[goal.point], goal.figure)
    short = goal.aim - measured.value
    by = f"{short:.3f}" if short >= 0.0005 else "less than 0.001"
    outcome = f"**missed by {by}**" if short > 0 else "met"
    return Reached(f"{goal.figure} at `{goal.point}` at least {goal.aim:.3f}", outcome)
