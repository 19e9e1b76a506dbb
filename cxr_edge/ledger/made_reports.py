"""Reports that were made about films, so that a new report names its predecessor.

Nothing here says whose film it is: of that a hash is kept, and the UIDs are our own.
"""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Iterable, Mapping
from dataclasses import astuple, dataclass

from cxr_edge.ledger.checksums import checksum
from cxr_edge.ledger.file import errors_translated, transaction
from cxr_edge.ledger.identities import Identities

_NAMES = "film, run, content_uid, instance_uid, series_uid, sop_class, predecessor"
_RECORD = f"INSERT OR IGNORE INTO made_report ({_NAMES}, checksum) VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
_FILM = "film_key"  # field of an identity: what `MadeReport.film` is of these bytes
_OF_FILM = f"SELECT {_NAMES}, checksum FROM made_report WHERE film = ? ORDER BY rowid"


@dataclass(frozen=True)
class MadeReport:
    """One report.

    Attributes:
        film: as `film_key` names it.
        run: the run whose result it states.
        content_uid: hash of its content without its predecessor.
        instance_uid: its own.
        predecessor: `instance_uid` of the one before it; empty for the first.
    """

    film: str
    run: str
    content_uid: str
    instance_uid: str
    series_uid: str
    sop_class: str
    predecessor: str


@dataclass(frozen=True)
class MadeReports:
    """The reports in a ledger."""

    connection: sqlite3.Connection

    def before(self, film: str, run: str, content_uid: str) -> MadeReport | None:
        """The report that a run's report replaces; None for a first one.

        What the same run has made, or the last one that made any, keeps the predecessor that it
        had. What an earlier run said is said anew: an archive's latest report is another by now.
        """
        known = self._of(film)
        runs = {run, *(each.run for each in known[-1:])}
        same = [each for each in known if each.content_uid == content_uid and each.run in runs]
        if not same:
            return known[-1] if known else None
        made = next((each for each in same if each.run == run), same[-1])
        return next((each for each in known if each.instance_uid == made.predecessor), None)

    def count_to(self, report: MadeReport | None) -> int:
        """Number of reports of a film up to this one: its predecessors, and itself."""
        by_name = {each.instance_uid: each for each in self._of(report.film)} if report else {}
        number = 0
        while report is not None and number < len(by_name):  # a damaged ledger could hold a circle
            number, report = number + 1, by_name.get(report.predecessor)
        return number

    def last(self, film: str) -> MadeReport | None:
        """The latest report of a film; None where none was made."""
        return next(reversed(self._of(film)), None)

    def has_answered(self, sha256: str) -> bool:
        """Whether a report was made of the film in these bytes, or none can be.

        Without a look at its header, which was read before. To what was recorded without
        `record`'s `films` the answer is no.
        """
        with errors_translated():
            film = Identities(self.connection).of(sha256).get(_FILM)
        return film is not None and (not film or self.last(film) is not None)

    def record(self, reports: Iterable[MadeReport], films: Mapping[str, str]) -> None:
        """Commit reports, all or none; those that are known stay as they are.

        Args:
            reports: that were made.
            films: key of the film by sha256 of its file, for headers that were read; empty where
                they allow no report.

        Raises:
            StateError: the ledger cannot be written.
        """
        keys = ((sha256, {_FILM: film}) for sha256, film in films.items())
        with transaction(self.connection) as connection:
            rows = map(astuple, reports)
            connection.executemany(_RECORD, ((*row, checksum(*row)) for row in rows))
            Identities(connection).record(keys)

    def _of(self, film: str) -> list[MadeReport]:
        """Reports of a film, the earliest first; a damaged one is not known."""
        with errors_translated():
            rows = self.connection.execute(_OF_FILM, (film,)).fetchall()
        return [MadeReport(*row) for *row, checked in rows if checked == checksum(*row)]


def film_key(*facts: str) -> str:
    """Key that stands for a film.

    Args:
        facts: its SOP Instance UID, and whose it is: no report takes another patient's place.
    """
    return hashlib.sha256("\0".join(facts).encode()).hexdigest()
