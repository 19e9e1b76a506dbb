"""The nights of a state folder, as a table, as plain values and for the page."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cxr_edge.ledger.runs import Ledger, read_ledger
from cxr_edge.report.summary import NightSummary
from cxr_edge.statistics.operating_points import Proportion

SCHEMA_VERSION = 1
_HEADER = (
    *("run", "model", "threshold", "found", "scored", "attention", "flagged", "unflagged"),
    *("other", "new", "flag rate (95 %)", "median score", "seconds"),
)
_LEFT = ("run", "model")


@dataclass(frozen=True)
class History:
    """The nights that have a report.

    Attributes:
        nights: earliest first.
        unreadable: runs whose summary is damaged or of another version.
    """

    nights: tuple[NightSummary, ...]
    unreadable: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """Plain values for programs."""
        return {
            "schema_version": SCHEMA_VERSION,
            "nights": [night.to_dict() for night in self.nights],
            "unreadable": list(self.unreadable),
        }


def read_history(folder: Path) -> History:
    """Read the nights of a state folder; a run may be writing it.

    Raises:
        StateError: there is no ledger, or it cannot be read.
    """
    with read_ledger(folder) as ledger:
        return history_of(ledger)


def history_of(ledger: Ledger) -> History:
    """The same from an open ledger."""
    kept = ledger.nights.kept()
    nights, unreadable = [], [*kept.damaged]
    for run, values in kept.summaries.items():
        try:
            nights.append(NightSummary.from_dict(values))
        except ValueError:
            unreadable.append(run)
    return History(tuple(nights), tuple(unreadable))


def flag_rate(night: NightSummary) -> Proportion | None:
    """Share of scored films at or above the threshold; None without a film."""
    return Proportion.of(night.flags, night.films) if night.films else None


def median_score(night: NightSummary) -> float | None:
    """The middle one; None without a film."""
    return night.scores[len(night.scores) // 2] if night.scores else None


def table(nights: Sequence[NightSummary]) -> Iterator[str]:
    """Lines of a table for people, a header first."""
    rows = [_HEADER, *map(_row, nights)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = zip(_HEADER, row, widths, strict=True)
        padded = [cell.ljust(w) if name in _LEFT else cell.rjust(w) for name, cell, w in cells]
        yield "  ".join(padded).rstrip()


def _row(night: NightSummary) -> tuple[str, ...]:
    counts, rate, median = night.counts, flag_rate(night), median_score(night)
    bands = (counts.attention, counts.flagged, counts.unflagged, counts.other)
    return (
        night.run,
        f"{night.model} {night.model_version}",
        f"{night.threshold:.3f}",
        *map(str, (counts.found, counts.scored, *bands, night.new)),
        f"{rate.value:.3f} ({rate.low:.3f} to {rate.high:.3f})" if rate else "-",
        "-" if median is None else f"{median:.2f}",
        f"{night.seconds:.0f}",
    )
