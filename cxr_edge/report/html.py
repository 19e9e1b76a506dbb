"""`triage.html`: one file that opens from disk with no network."""

from __future__ import annotations

import itertools
import json
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from cxr_edge.ledger.identities import EarlierScore
from cxr_edge.report.context import BANNER, Report
from cxr_edge.report.distribution import FEW, Histogram, validation_spreads
from cxr_edge.report.entries import Entries, Entry
from cxr_edge.report.environment import page_environment, policy, source
from cxr_edge.report.texts import Texts, texts
from cxr_edge.report.times import Moment, local_moment, moment_of
from cxr_edge.report.worth import worth
from cxr_edge.support.viewer_url import viewer_link
from cxr_edge.triage import TriageRow
from cxr_edge.types import IDENTITY_FIELDS, PATIENT_ID, Band, Picture, Result

if TYPE_CHECKING:
    from cxr_edge.report.film import FilmView

_CHUNK = 200  # pieces of a template that are encoded together
_DAY = len("2026-11-30")


@dataclass(frozen=True)
class _Section:
    """One band.

    Attributes:
        size: its entries, on the page or not.
        entries: the first of them, to be gone through once.
        listed: how many those are.
    """

    band: Band
    size: int
    entries: Iterator[Entry]
    listed: int


@dataclass(frozen=True)
class _Rows:
    """Values that the template of a row asks for.

    Attributes:
        marks_new: whether new films are marked: not where all are new.
        tags: identity fields besides patient and accession number that were asked for by name.
    """

    report: Report
    texts: Texts
    marks_new: bool
    _unshown: dict[str, Picture] = field(default_factory=dict)

    @property
    def tags(self) -> tuple[str, ...]:
        """DICOM keywords that were asked for."""
        fields = self.report.context.identity_fields
        return tuple(each for each in fields if each not in IDENTITY_FIELDS)

    def film(self, row: TriageRow) -> FilmView | None:
        """The film of a row; the second row of the same bytes says whose they are instead."""
        picture = self._unshown.pop(row.result.sha256, None) if row.flagged is not None else None
        if picture is None:
            return None
        # Not above: a report that is rendered again shows no film and needs no image library.
        from cxr_edge.report.film import film_view

        return film_view(picture, self.report.context.spec)

    @staticmethod
    def score(probability: float) -> str:
        """Two digits, but that no score is printed as certain."""
        if 0.995 <= probability < 1:
            return "> 0.99"
        return "< 0.01" if 0 < probability < 0.005 else f"{probability:.2f}"

    def moment(self, result: Result) -> Moment | None:
        """Time at which the film was taken or its file last changed."""
        return moment_of(result, self.texts)

    def changed(self, result: Result) -> Moment | None:
        """Time at which the file was last changed."""
        return local_moment(result.modified_utc, self.texts)

    def link(self, result: Result) -> str:
        """The study's address in the site's viewer, or an empty string."""
        template = self.report.context.viewer_url
        return viewer_link(template, result.identity) if template else ""

    def earlier(self, result: Result) -> Sequence[EarlierScore]:
        """Scores of the same patient's films that are no younger than this one."""
        if not result.identity.get(PATIENT_ID) or not result.sha256:
            return ()
        moment = moment_of(result, self.texts)
        return self.report.earlier(result.sha256, moment.iso[:_DAY] if moment else "")


def render_html(report: Report) -> Iterator[bytes]:
    """The report page, a piece at a time; rows are never held together.

    Every value is escaped by Jinja; the policy in the page allows its own style sheet and script,
    by hash, the films inside it, and no request.
    """
    context, environment = report.context, page_environment()
    words = texts(context.language)
    style = source(environment, "base.css", "triage.css") + _style(words)
    script = source(environment, "triage.js")
    look = Entries.of(report)
    marks_new = 0 < report.new < report.counts.found
    page = environment.get_template("triage.html.j2").generate(
        banner=BANNER,
        context=context,
        devices=report.devices,
        counts=report.counts,
        few=FEW,
        histogram=Histogram((look.spread, *validation_spreads(context))),
        look=look,
        policy=policy(style, script),
        report=report,
        rows=_Rows(report, words, marks_new, dict(report.pictures)),
        script=script,
        script_words=json.dumps(words.for_script(), ensure_ascii=False),
        sections=_sections(report, look),
        started=local_moment(context.started_utc, words),
        style=style,
        t=words,
        worth=worth(context),
    )
    while pieces := list(itertools.islice(page, _CHUNK)):
        yield "".join(pieces).encode("utf-8")


def _style(words: Texts) -> str:
    """The line that a printed row leaves for its reader; pages have no `style` attributes."""
    return f":root {{ --blank: {json.dumps(words('print_blank'), ensure_ascii=False)}; }}\n"


def _sections(report: Report, look: Entries) -> Iterator[_Section]:
    """The bands in reading order; entries of one are gone through before the next is taken."""
    entries = look.heads(report)
    for band in Band:
        size = look.sizes[band]
        if band is Band.OTHER and not size:
            return
        listed = look.listed(band)
        yield _Section(band, size, itertools.islice(entries, listed), listed)
        deque(itertools.islice(entries, size - listed), maxlen=0)
