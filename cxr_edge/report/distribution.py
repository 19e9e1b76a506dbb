"""The scores of a run against those that the model gave to its validation films."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cached_property

from cxr_edge.report.context import RunContext
from cxr_edge.statistics.measurements import SCORE_BINS
from cxr_edge.triage import TriageRow

FEW = 30  # scored films; fewer show no shape
_TICKS = (0.01, 0.05, 0.2, 0.5, 1.0)


@dataclass(frozen=True)
class Spread:
    """Scores of one set of films.

    Attributes:
        name: class of validation films; empty for those of this run.
        counts: films per twentieth of [0, 1].
        flagged: share at or above the threshold; None where nobody measured it.
    """

    name: str
    counts: tuple[int, ...]
    flagged: float | None

    @property
    def films(self) -> int:
        """Number of films."""
        return sum(self.counts)

    @property
    def shares(self) -> tuple[float, ...]:
        """Counts as shares of all films."""
        return tuple(count / max(self.films, 1) for count in self.counts)

    @property
    def undecided(self) -> float | None:
        """Share outside the lowest and the highest bin; None without a film."""
        return sum(self.shares[1:-1]) if self.films else None


@dataclass
class Tally:
    """Counts the scores of a run, row by row."""

    counts: list[int] = field(default_factory=lambda: [0] * SCORE_BINS)
    flagged: int = 0

    def add(self, row: TriageRow) -> None:
        """One row; those without a score do not count."""
        probability = row.result.probability
        if probability is not None:
            self.counts[min(int(probability * SCORE_BINS), SCORE_BINS - 1)] += 1
            self.flagged += bool(row.flagged)

    def spread(self) -> Spread:
        """Scores counted so far."""
        films = sum(self.counts)
        return Spread("", tuple(self.counts), self.flagged / films if films else None)


def validation_spreads(context: RunContext) -> tuple[Spread, ...]:
    """The validation films by class, the one without the finding first; empty where none came.

    What share of them is flagged is known at the model's own operating points alone.
    """
    scores = context.spec.validation_scores
    if scores is None:
        return ()
    point = context.spec.operating_points.get(context.operating_point)
    measured = (1 - point.specificity.value, point.sensitivity.value) if point else ()
    flagged = dict(zip(scores.counts, measured, strict=False))
    return tuple(Spread(name, counts, flagged.get(name)) for name, counts in scores.counts.items())


@dataclass(frozen=True)
class Histogram:
    """Shares per bin on a square-root scale, which shows the few films between two heaps.

    Lengths are in the units of the drawing, whose origin is its upper left corner.
    """

    spreads: tuple[Spread, ...]
    width: float = 400
    height: float = 120

    @cached_property
    def top(self) -> float:
        """The share that the upper edge stands for."""
        largest = max(max(spread.shares) for spread in self.spreads)
        return next(tick for tick in _TICKS if tick >= min(largest, 1.0))

    def x(self, probability: float) -> float:
        """Distance from the left edge."""
        return probability * self.width

    def y(self, share: float) -> float:
        """Distance from the upper edge."""
        return self.height * (1 - math.sqrt(share / self.top))

    def ticks(self) -> Iterator[tuple[str, float]]:
        """Labels and heights of the lines that can be read off."""
        return ((f"{100 * tick:.0f} %", self.y(tick)) for tick in _TICKS if tick <= self.top)

    def bars(self, spread: Spread) -> str:
        """An SVG path of one rectangle per bin that is not empty."""
        gap = 1.5
        step = self.width / SCORE_BINS
        return "".join(
            f"M{number * step + gap:.1f} {self.height:.0f}V{self.y(share):.1f}"
            f"h{step - 2 * gap:.1f}V{self.height:.0f}z"
            for number, share in enumerate(spread.shares)
            if share
        )

    def outline(self, spread: Spread) -> str:
        """An SVG path along the tops of the bins."""
        step = self.width / SCORE_BINS
        return f"M0 {self.height:.0f}" + "".join(
            _steps(step, (self.y(share) for share in spread.shares))
        )


def _steps(step: float, heights: Iterable[float]) -> Iterator[str]:
    return (f"V{height:.1f}h{step:.1f}" for height in heights)
