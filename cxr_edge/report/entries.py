"""Entries of the page: one for each film, or one for each study where films say whose they are."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

from cxr_edge.report.context import Report
from cxr_edge.report.distribution import Spread, Tally
from cxr_edge.report.texts import remarks_of
from cxr_edge.triage import TriageRow
from cxr_edge.types import PATIENT_ID, STUDY_UID, Band, Result

# So many entries a browser shows at once; the CSV has them all. Nothing in `attention` should be
# looked for elsewhere.
LISTED = {Band.ATTENTION: 10_000, Band.FLAGGED: 5_000, Band.UNFLAGGED: 5_000, Band.OTHER: 1_000}
FILMS_OF_STUDY = 20  # that an entry shows besides its first; some scanners send hundreds


@dataclass
class _Study:
    """Films of a study so far.

    Attributes:
        rank: of the first, which stands for all of them.
        listed: whether the page has room for it.
        others: rows of the rest, the first ones.
        films: all of them.
        codes: remarks of any.
        new: whether one is new.
    """

    rank: int
    listed: bool
    others: list[TriageRow] = field(default_factory=list)
    films: int = 0
    codes: set[str] = field(default_factory=set)
    new: bool = False


@dataclass(frozen=True)
class Entry:
    """A film, or a study with its films.

    Attributes:
        row: the film, or that of the study which is to be read first.
        others: further films of the study, in reading order.
        films: all of them, those that the page leaves out too.
        new: whether one of them is new.
    """

    row: TriageRow
    others: tuple[TriageRow, ...] = ()
    films: int = 1
    new: bool = False


@dataclass
class Entries:
    """Facts of all rows that must be known before the first entry is written.

    Attributes:
        sizes: entries by band.
        remarks: listed entries by code of a reason or a warning.
        new: listed entries with a new film.
    """

    sizes: Counter[Band] = field(default_factory=Counter)
    remarks: Counter[str] = field(default_factory=Counter)
    new: int = 0
    _tally: Tally = field(default_factory=Tally)
    _studies: dict[str, _Study] = field(default_factory=dict)

    @classmethod
    def of(cls, report: Report) -> Entries:
        """Go through the rows once."""
        found = cls()
        for row in report.rows:
            found._tally.add(row)
            found._add(row)
        return found

    @property
    def spread(self) -> Spread:
        """Scores of all films."""
        return self._tally.spread()

    @property
    def studies(self) -> int:
        """Studies that films name."""
        return len(self._studies)

    def listed(self, band: Band) -> int:
        """Entries of a band that the page shows."""
        return min(self.sizes[band], LISTED[band])

    def _add(self, row: TriageRow) -> None:
        name = _study_of(row.result)
        study = self._studies.get(name) if name else None
        if study is None:
            self.sizes[row.band] += 1
            study = _Study(row.rank, self.sizes[row.band] <= LISTED[row.band])
            if name:
                self._studies[name] = study
        elif study.listed and len(study.others) < FILMS_OF_STUDY:
            study.others.append(row)
        study.films += 1
        if study.listed:
            self._count(row, study)

    def _count(self, row: TriageRow, study: _Study) -> None:
        self.new += row.result.new and not study.new
        study.new |= row.result.new
        codes = {code.value for code in remarks_of(row.result)} - study.codes
        self.remarks.update(codes)
        study.codes |= codes

    def heads(self, report: Report) -> Iterator[Entry]:
        """Every entry in reading order; a study stands where its first film does."""
        for row in report.rows:
            study = self._studies.get(_study_of(row.result))
            if study is None:
                yield Entry(row, new=row.result.new)
            elif study.rank == row.rank:
                yield Entry(row, tuple(study.others), study.films, study.new)


def _study_of(result: Result) -> str:
    """Name of a film's study; archives hold films of several patients under one UID."""
    uid = result.identity.get(STUDY_UID, "")
    return uid and f"{result.identity.get(PATIENT_ID, '')}\0{uid}"
