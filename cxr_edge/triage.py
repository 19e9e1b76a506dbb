"""From results to the reading list: bands, order and ranks. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from cxr_edge.types import Band, Reason, Result, Status, doubts, probability_text

_BAND_ORDER = {band: position for position, band in enumerate(Band)}


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
        if (self.result.reason is Reason.NO_FILM) != (self.band is Band.OTHER):
            raise ValueError(f"{self.result.path}: {self.result.reason} in band {self.band}")
        if not scored and self.band not in (Band.ATTENTION, Band.OTHER):
            raise ValueError(f"{self.result.path}: {self.result.status} in band {self.band}")
        if self.flagged != {Band.FLAGGED: True, Band.UNFLAGGED: False}.get(self.band, self.flagged):
            raise ValueError(f"{self.result.path}: flagged {self.flagged} in band {self.band}")


@dataclass(frozen=True)
class Counts:
    """Files found, by status and by band; those in `other` are no films."""

    found: int
    scored: int
    not_scored: int
    deferred: int
    attention: int
    flagged: int
    unflagged: int
    other: int = 0

    def __post_init__(self) -> None:
        """Nothing lost, nothing doubled."""
        if self.found != self.scored + self.not_scored + self.deferred:
            raise ValueError(f"files do not add up: {self}")
        if self.found != self.attention + self.flagged + self.unflagged + self.other:
            raise ValueError(f"bands do not add up: {self}")

    @property
    def complete(self) -> bool:
        """Every file that may be a film has a score."""
        return self.scored + self.other == self.found


def band(
    probability: float | None, doubtful: bool, threshold: float, reason: str | None = None
) -> Band:
    """The band of a result: no score or a doubt first, then by the threshold; no films last."""
    if reason == Reason.NO_FILM:
        return Band.OTHER
    if probability is None or doubtful:
        return Band.ATTENTION
    return Band.FLAGGED if probability >= threshold else Band.UNFLAGGED


def reading_key(
    threshold: float,
) -> Callable[[float | None, bool, str | None, str, str], str]:
    """The key that sorts files into the order in which they should be read.

    Bands come as `attention`, `flagged`, `unflagged`, `other`. In `attention`, films scored with a
    doubt come first, highest probability first, then what has no score. `unflagged` keeps the order
    of arrival: time of last change, then path.

    Returns:
        A function of (probability or None, has a doubt, reason or None, modified_utc, path); its
        texts sort by code point, so the ledger can sort 100,000 files without holding them in
        memory.
    """

    def key(
        probability: float | None, doubtful: bool, reason: str | None, modified: str, path: str
    ) -> str:
        where = band(probability, bool(doubtful), threshold, reason)
        urgency = "9"  # behind every score
        if probability is not None:
            urgent = where is not Band.UNFLAGGED
            urgency = probability_text(1 - probability) if urgent else ""
            modified = "" if urgent else modified
        return f"{_BAND_ORDER[where]} {urgency} {modified} {path}"

    return key


def place(results: Iterable[Result], threshold: float) -> Iterator[TriageRow]:
    """Ranks, bands and decisions for results that come in reading order.

    Args:
        results: sorted by `reading_key`.
        threshold: flagged at or above it.
    """
    for rank, result in enumerate(results, start=1):
        doubtful = bool(doubts(result.warnings))
        where = band(result.probability, doubtful, threshold, result.reason)
        decision = None if result.probability is None else result.probability >= threshold
        yield TriageRow(rank, where, decision, result)


def count(rows: Iterable[TriageRow]) -> Counts:
    """Count rows by status and by band."""
    status: Counter[Status] = Counter()
    bands: Counter[Band] = Counter()
    for row in rows:
        status[row.result.status] += 1
        bands[row.band] += 1
    return Counts(
        found=status.total(),
        scored=status[Status.SCORED],
        not_scored=status[Status.NOT_SCORED],
        deferred=status[Status.DEFERRED],
        attention=bands[Band.ATTENTION],
        flagged=bands[Band.FLAGGED],
        unflagged=bands[Band.UNFLAGGED],
        other=bands[Band.OTHER],
    )
