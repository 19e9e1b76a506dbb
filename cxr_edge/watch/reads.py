"""Readers' answers to the flags so far, and when to stop."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from cxr_edge.ledger.readings import NO, YES, Reading
from cxr_edge.model.site_profile import Limits
from cxr_edge.report.summary import NightSummary
from cxr_edge.statistics.operating_points import Proportion

BASELINE = 50  # flagged films read, whose share of wrong flags the CUSUM takes for usual
_ODDS = 2  # times the usual odds: the rise that the CUSUM looks for
_LEAST, _MOST = 0.02, 0.9  # of the usual share, so that both outcomes have a weight
VERIFICATION_BIAS = (
    "Readers have not read every film. Misses among unread films are unknown: the share of "
    "pneumonias found among read films alone would be too high (verification bias)."
)


@dataclass(frozen=True)
class Bounds:
    """Sensitivity, if every unread film is as bad as it can be, or as good."""

    low: float
    high: float


@dataclass(frozen=True)
class ReadFigures:
    """Figures of all films that were read; a film counts once, by the majority of its readers.

    Attributes:
        undecided: films on which the readers are divided, or cannot tell.
        confirmed: flagged, and pneumonia by the readers; `wrong` is the rest of the flagged.
        missed: unflagged, and pneumonia by the readers; `rest` is the rest of the unflagged.
        unread_flags: films of these nights that were flagged and not read.
        unread_rest: the same of unflagged ones.
        ppv: share of flags that the readers confirm; None without one.
        sensitivity: None where no pneumonia was found or could be.
        weeks: agreement of answers with flags by ISO week of the night.
        cusum: running sum of wrong flags; None before `BASELINE` flags were read.
        passed: limits that are passed, in words.
    """

    readers: tuple[str, ...]
    films: int
    undecided: int
    confirmed: int
    wrong: int
    missed: int
    rest: int
    unread_flags: int
    unread_rest: int
    ppv: Proportion | None
    sensitivity: Bounds | None
    weeks: dict[str, Proportion]
    cusum: float | None
    passed: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """Plain values for programs."""
        return {"schema_version": 1, **asdict(self), "note": VERIFICATION_BIAS}


def figures(
    readings: Sequence[Reading], nights: Mapping[str, NightSummary], limits: Limits
) -> ReadFigures:
    """Figures of all answers so far.

    Args:
        readings: in the order of nights and ranks.
        nights: by run.
        limits: of the site.
    """
    films = _films(readings)
    decided = [(film[0], answer) for film in films if (answer := _answer(film))]
    counts = Counter((first.flagged, answer) for first, answer in decided)
    flags = [answer == NO for first, answer in decided if first.flagged]
    confirmed, wrong = counts[True, YES], counts[True, NO]
    missed, rest = counts[False, YES], counts[False, NO]
    read = [nights[run] for run in dict.fromkeys(each.run for each in readings)]
    unread_flags, unread_rest = _unread(read, Counter((r.run, r.flagged) for r, _ in decided))
    ppv = Proportion.of(confirmed, confirmed + wrong) if flags else None
    sensitivity = _bounds(confirmed, missed, unread_flags, unread_rest)
    cusum = _cusum(flags)
    return ReadFigures(
        readers=tuple(sorted({reading.read_by for reading in readings})),
        films=len(films),
        undecided=len(films) - len(decided),
        confirmed=confirmed,
        wrong=wrong,
        missed=missed,
        rest=rest,
        unread_flags=unread_flags,
        unread_rest=unread_rest,
        ppv=ppv,
        sensitivity=sensitivity,
        weeks=_weeks([reading for film in films for reading in film], nights),
        cusum=cusum,
        passed=tuple(_passed(ppv, sensitivity, cusum, limits)),
    )


def _films(readings: Sequence[Reading]) -> list[list[Reading]]:
    """Readings of each film, one for each reader: the last, in the place of the first."""
    by_film: dict[str, dict[str, Reading]] = defaultdict(dict)
    for reading in readings:
        by_film[reading.sha256][reading.read_by] = reading
    return [[*each.values()] for each in by_film.values()]


def _unread(nights: Sequence[NightSummary], decided: Counter[tuple[str, bool]]) -> tuple[int, int]:
    """The most new films of these nights that may be undecided: flagged ones, and the rest.

    A page lists films of earlier nights too. Which ones were answered is not kept for as long as
    the answers are: as many as can be are taken for earlier ones, so that the bounds hold.

    Args:
        nights: with answers.
        decided: films by the night of their answers and whether they are flagged.
    """
    flags = rest = 0
    for night in nights:
        old_flags = night.flags - night.new_flags
        old_rest = night.films - night.new_films - old_flags
        new_rest = night.new_films - night.new_flags
        flags += max(night.new_flags - max(decided[night.run, True] - old_flags, 0), 0)
        rest += max(new_rest - max(decided[night.run, False] - old_rest, 0), 0)
    return flags, rest


def _answer(film: Sequence[Reading]) -> str:
    """The majority of yes and no; empty where there is none."""
    answers = Counter(reading.pneumonia for reading in film)
    if answers[YES] == answers[NO]:
        return ""
    return YES if answers[YES] > answers[NO] else NO


def _bounds(confirmed: int, missed: int, unread_flags: int, unread_rest: int) -> Bounds | None:
    """Worst and best case of what nobody read: Begg, Greenes, Biometrics 39:207 (1983)."""
    worst, best = confirmed + missed + unread_rest, confirmed + unread_flags + missed
    if not worst or not best:
        return None
    return Bounds(confirmed / worst, (confirmed + unread_flags) / best)


def _cusum(wrong: Sequence[bool]) -> float | None:
    """Height now, after the baseline: Steiner and others, Biostatistics 1:441 (2000)."""
    if len(wrong) < BASELINE:
        return None
    usual = min(max(sum(wrong[:BASELINE]) / BASELINE, _LEAST), _MOST)
    risen = _ODDS * usual / (1 - usual + _ODDS * usual)
    height = 0.0
    for each in wrong[BASELINE:]:
        step = math.log(risen / usual) if each else math.log((1 - risen) / (1 - usual))
        height = max(0.0, height + step)
    return height


def _weeks(
    readings: Sequence[Reading], nights: Mapping[str, NightSummary]
) -> dict[str, Proportion]:
    agreed: dict[str, list[bool]] = defaultdict(list)
    for reading in readings:
        if reading.pneumonia in (YES, NO):
            year, week, _ = datetime.fromisoformat(nights[reading.run].started_utc).isocalendar()
            agreed[f"{year}-W{week:02d}"].append((reading.pneumonia == YES) == reading.flagged)
    return {week: Proportion.of(sum(each), len(each)) for week, each in agreed.items()}


def _passed(
    ppv: Proportion | None, sensitivity: Bounds | None, cusum: float | None, limits: Limits
) -> Iterator[str]:
    if ppv and limits.ppv is not None and ppv.high < limits.ppv:
        yield f"PPV is below {limits.ppv:g}, with its whole interval"
    if sensitivity and limits.sensitivity is not None and sensitivity.high < limits.sensitivity:
        yield f"sensitivity is below {limits.sensitivity:g}, whatever the unread films are"
    if cusum is not None and cusum >= limits.cusum:
        yield f"the running sum of wrong flags is at {cusum:.1f}, the limit is {limits.cusum:g}"


def table(found: ReadFigures) -> Iterator[str]:
    """Lines for people."""
    yield f"films read: {found.films}, undecided: {found.undecided}, readers: {len(found.readers)}"
    yield f"flagged: {found.confirmed} confirmed, {found.wrong} wrong, {found.unread_flags} unread"
    yield f"unflagged: {found.missed} missed, {found.rest} right, {found.unread_rest} unread"
    yield f"PPV: {_interval(found.ppv) if found.ppv else 'no flag was read'}"
    if found.sensitivity:
        low, high = found.sensitivity.low, found.sensitivity.high
        yield f"sensitivity: between {low:.3f} and {high:.3f}, whatever the unread films are"
    yield VERIFICATION_BIAS
    for week, share in found.weeks.items():
        yield f"agreement {week}: {_interval(share)} of {share.n}"
    height = f"from {BASELINE} read flags on" if found.cusum is None else f"{found.cusum:.1f}"
    yield f"CUSUM of wrong flags: {height}"
    yield f"passed: {'; '.join(found.passed) or 'no limit'}"


def _interval(share: Proportion) -> str:
    return f"{share.value:.3f} (95 % {share.low:.3f} to {share.high:.3f})"
