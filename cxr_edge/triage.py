"""From results to the reading list: bands, ranks and duplicates. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from cxr_edge.types import Band, Result, Status


@dataclass(frozen=True)
class TriageRow:
    """One file's place in the reading list; `flagged` is None where there is no score."""

    rank: int
    band: Band
    flagged: bool | None
    result: Result

    def __post_init__(self) -> None:
        """Flagged needs a score, and a row without a score needs attention."""
        scored = self.result.status is Status.SCORED
        if scored != (self.flagged is not None):
            raise ValueError(f"{self.result.path}: flagged {self.flagged} at {self.result.status}")
        if not scored and self.band is not Band.ATTENTION:
            raise ValueError(f"{self.result.path}: {self.result.status} in band {self.band}")
        if self.band is not Band.ATTENTION and self.flagged != (self.band is Band.FLAGGED):
            raise ValueError(f"{self.result.path}: flagged {self.flagged} in band {self.band}")


@dataclass(frozen=True)
class Counts:
    """How many files were found and what became of them."""

    found: int
    scored: int
    not_scored: int
    deferred: int
    attention: int
    flagged: int
    unflagged: int

    def __post_init__(self) -> None:
        """Nothing lost, nothing doubled."""
        if self.found != self.scored + self.not_scored + self.deferred:
            raise ValueError(f"files do not add up: {self}")
        if self.found != self.attention + self.flagged + self.unflagged:
            raise ValueError(f"bands do not add up: {self}")

    @property
    def complete(self) -> bool:
        """Every file has a score."""
        return self.scored == self.found


def triage(results: Iterable[Result], threshold: float) -> list[TriageRow]:
    """Sort results into the order in which they should be read.

    Bands come as `attention`, `flagged`, `unflagged`. In `attention`, films scored with a warning
    come first, highest probability first, then what has no score. `unflagged` keeps the order of
    arrival: time of last change, then path.

    Args:
        results: one per file, in any order; the outcome does not depend on it.
        threshold: flagged at or above it.
    """
    ordered = sorted(_mark_duplicates(results), key=lambda r: _key(_band(r, threshold), r))
    return [
        TriageRow(rank, _band(result, threshold), _flagged(result, threshold), result)
        for rank, result in enumerate(ordered, start=1)
    ]


def count(rows: Sequence[TriageRow]) -> Counts:
    """Count rows by status and by band."""
    status = Counter(row.result.status for row in rows)
    band = Counter(row.band for row in rows)
    return Counts(
        found=len(rows),
        scored=status[Status.SCORED],
        not_scored=status[Status.NOT_SCORED],
        deferred=status[Status.DEFERRED],
        attention=band[Band.ATTENTION],
        flagged=band[Band.FLAGGED],
        unflagged=band[Band.UNFLAGGED],
    )


def _flagged(result: Result, threshold: float) -> bool | None:
    return None if result.probability is None else result.probability >= threshold


def _band(result: Result, threshold: float) -> Band:
    if result.probability is None or result.warnings:
        return Band.ATTENTION
    return Band.FLAGGED if result.probability >= threshold else Band.UNFLAGGED


_BAND_ORDER = {band: position for position, band in enumerate(Band)}


def _key(band: Band, result: Result) -> tuple[int, float, str, str]:
    if result.probability is None or band is Band.UNFLAGGED:
        return _BAND_ORDER[band], 0.0, result.modified_utc, result.path
    # A probability of 0 still sorts before what has none: -p - 1 is never above -1.
    return _BAND_ORDER[band], -result.probability - 1, "", result.path


def _mark_duplicates(results: Iterable[Result]) -> list[Result]:
    """The same bytes under several names: each keeps its row and names the first by path."""
    by_path = sorted(results, key=lambda result: result.path)
    first: dict[str, str] = {}
    for result in by_path:
        if result.sha256:
            first.setdefault(result.sha256, result.path)
    return [
        replace(result, duplicate_of=first[result.sha256])
        if result.sha256 and first[result.sha256] != result.path
        else result
        for result in by_path
    ]
