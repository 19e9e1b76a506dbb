"""`triage.html`: one file that opens from disk with no network."""

from __future__ import annotations

import functools
import itertools
from collections import Counter, deque
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cxr_edge.model.spec import ModelSpec
from cxr_edge.report.context import BANNER, Report
from cxr_edge.report.distribution import FEW, Histogram, Spread, Tally, validation_spreads
from cxr_edge.report.environment import page_environment, policy, source
from cxr_edge.report.words import explanations, in_words, kind_of, remarks_of
from cxr_edge.triage import TriageRow
from cxr_edge.types import Band, Picture

if TYPE_CHECKING:
    from cxr_edge.report.film import FilmView

# So many rows a browser shows at once; the CSV has them all. Nothing in `attention` should be
# looked for elsewhere.
LISTED = {Band.ATTENTION: 10_000, Band.FLAGGED: 5_000, Band.UNFLAGGED: 5_000, Band.OTHER: 1_000}

_CHUNK = 200  # pieces of a template that are encoded together

_BAND_TITLES = {
    Band.ATTENTION: (
        "Attention",
        "Not scored, deferred, or scored with a doubt. Read these first.",
    ),
    Band.FLAGGED: ("Flagged", "At or above the operating point, highest probability first."),
    Band.UNFLAGGED: ("Unflagged", "Below the operating point, in the order they arrived."),
    Band.OTHER: ("No films", "Reports, directories, programs, texts: told by what they hold."),
}


@dataclass(frozen=True)
class _Section:
    """One band.

    Attributes:
        size: its rows, on the page or not.
        rows: the first of them, to be gone through once.
        listed: how many those are.
    """

    band: Band
    title: str
    meaning: str
    size: int
    rows: Iterator[TriageRow]
    listed: int


@dataclass(frozen=True)
class _FirstLook:
    """Facts that are needed before the first row is written.

    Attributes:
        remarks: every reason and warning of a listed row, with how many have it.
    """

    spread: Spread
    remarks: dict[str, int]


def render_html(report: Report) -> bytes:
    """The report page.

    Every value is escaped by Jinja; the policy in the page allows its own style sheet and script,
    by hash, the films inside it, and no request.
    """
    return b"".join(_chunks(report))


def _chunks(report: Report) -> Iterator[bytes]:
    """The page a piece at a time; rows are never held together."""
    environment = page_environment()
    style = source(environment, "base.css", "triage.css")
    script = source(environment, "triage.js")
    look = _first_look(report)
    validation = validation_spreads(report.context)
    page = environment.get_template("triage.html.j2").generate(
        banner=BANNER,
        context=report.context,
        devices=report.devices,
        counts=report.counts,
        explanations=explanations,
        few=FEW,
        film_of=functools.partial(_film, dict(report.pictures), report.context.spec),
        in_words=in_words,
        kind_of=kind_of,
        histogram=Histogram((look.spread, *validation)),
        policy=policy(style, script),
        remarks=look.remarks,
        script=script,
        sections=_sections(report),
        shown_films=len(report.pictures),
        style=style,
    )
    while pieces := list(itertools.islice(page, _CHUNK)):
        yield "".join(pieces).encode("utf-8")


def _film(unshown: dict[str, Picture], spec: ModelSpec, row: TriageRow) -> FilmView | None:
    """The film of a row; the second row of the same bytes says whose they are instead."""
    picture = unshown.pop(row.result.sha256, None) if row.flagged is not None else None
    if picture is None:
        return None
    # Not above: a report that is rendered again shows no film and needs no image library.
    from cxr_edge.report.film import film_view

    return film_view(picture, spec)


def _sections(report: Report) -> Iterator[_Section]:
    """The bands in reading order; the rows of one are gone through before the next is taken."""
    rows = iter(report.rows)
    for band, (title, meaning) in _BAND_TITLES.items():
        size = getattr(report.counts, band.value)
        if band is Band.OTHER and not size:
            return
        listed = min(size, LISTED[band])
        yield _Section(band, title, meaning, size, itertools.islice(rows, listed), listed)
        deque(itertools.islice(rows, size - listed), maxlen=0)


def _first_look(report: Report) -> _FirstLook:
    tally, seen, remarks = Tally(), Counter[Band](), Counter[str]()
    for row in report.rows:
        tally.add(row)
        seen[row.band] += 1
        if seen[row.band] <= LISTED[row.band]:
            remarks.update(remarks_of(row.result))
    return _FirstLook(tally.spread(), dict(sorted(remarks.items())))
