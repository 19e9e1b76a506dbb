"""One run's rows in the ledger: recalled from earlier runs, recorded, and read for a report."""

from __future__ import annotations

import itertools
import json
import os
import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from cxr_edge.ledger.checksums import FACTS, ROW, checksum
from cxr_edge.ledger.file import errors_translated, transaction
from cxr_edge.ledger.identities import Identities
from cxr_edge.ledger.nights import Nights
from cxr_edge.ledger.rows import (
    Entry,
    checked_result,
    names,
    result_of,
    stamp_of,
    stamp_text,
    values,
)
from cxr_edge.support.text import display_name
from cxr_edge.types import (
    DETERMINISTIC_REASONS,
    FoundFile,
    Reason,
    Result,
    doubts,
    place_of,
)

NIGHT, STUDY = "night", "study"  # kinds of runs; those of single studies do not count as nights
REPORTED, OWES_RESULTS = 1, 2  # of a run whose report lies in its place: `OwedResults` pays

_FACTS = ", ".join(FACTS)
_ROW = ", ".join(ROW)
# What another device had to score holds only for a run that goes on (it has no context yet): the
# hash is that of the device the run began on.
_RECALLABLE = "(status = 'scored' AND (device = '' OR context IS NULL) OR reason IN ({}))".format(
    ", ".join(sorted(f"'{reason.value}'" for reason in DETERMINISTIC_REASONS))
)
# Of many files at once: a statement for each took three times as long.
_RECALL = (
    "WITH asked (place, path, stamp) AS (VALUES {}) SELECT place, item.rowid, checksum, run, "
    + ", ".join(f"item.{column}" for column in ROW)
    + " FROM asked JOIN item ON item.rowid = (SELECT item.rowid FROM item "
    "JOIN run ON run.number = item.run WHERE path = asked.path AND stamp = asked.stamp "
    f"AND settings_sha256 = ? AND {_RECALLABLE} ORDER BY run DESC LIMIT 1)"
)
_LAST_REASON = "SELECT reason FROM item WHERE path = ? AND stamp = ? ORDER BY run DESC LIMIT 1"
_RECORD = "INSERT OR REPLACE INTO item (checksum, run, {}) VALUES ({})".format(
    _ROW, ", ".join("?" * (2 + len(ROW)))
)
_HAD_BYTES = "SELECT 1 FROM item WHERE sha256 = ? AND run = ?"
_HAD_PATH = "SELECT 1 FROM item WHERE path = ? AND run = ?"
# Each half has an index of its own; one condition for both would look through all rows for each.
_GONE = (
    "SELECT COUNT(*) FROM item AS before WHERE run = ?1 AND CASE WHEN sha256 IS NULL "
    "THEN NOT EXISTS (SELECT 1 FROM item WHERE path = before.path AND run = ?2) "
    "ELSE NOT EXISTS (SELECT 1 FROM item WHERE sha256 = before.sha256 AND run = ?2) END"
)
# Of the rows with the same bytes, SQLite takes the other columns from the one of the latest run.
_KNOWN = (
    f"SELECT item.rowid, item.checksum, MAX(run), {_ROW} "
    "FROM item JOIN run ON run.number = item.run WHERE sha256 IN ({}) AND settings_sha256 = ? "
    "AND status = 'scored' AND device = '' GROUP BY sha256"
)
FILES_PER_RECALL = 64
_HASHES_PER_QUERY = 500  # parameters of a statement; SQLite may have been built for 999
_FIRST_FACT, _PROBABILITY = ROW.index(FACTS[0]), ROW.index("probability")
_DISPLAY = ROW.index("display")


@dataclass(frozen=True)
class Run:
    """One run's part of the ledger.

    Attributes:
        damaged: names of files by row id, for rows of a finished run that are not as they were
            recorded; reports show them as unreadable.
        not_recalled: the same for rows of earlier runs; their films are read again.
        last_reported: number of the last night with a report in its place; 0 for none.
        kind: `NIGHT` or `STUDY`.
        has_earlier: whether there are rows of other runs, which are worth asking for.
        owes_results: whether results for the PACS are to follow its report.
    """

    connection: sqlite3.Connection
    number: int
    settings_sha256: str
    last_reported: int = 0
    kind: str = NIGHT
    damaged: dict[int, str] = field(default_factory=dict)
    not_recalled: dict[int, str] = field(default_factory=dict)
    has_earlier: bool = True
    owes_results: bool = False

    def recall(self, files: Sequence[FoundFile]) -> dict[int, Result]:
        """The rows that earlier runs with these settings gave files that are unchanged since.

        Args:
            files: no more than `FILES_PER_RECALL`.

        Returns:
            By place in `files`, those that have one.
        """
        keys = [
            (place, os.fsencode(file.path), stamp_text(file.stamp))
            for place, file in enumerate(files)
            if file.stamp is not None and file.problem is None
        ]
        if not keys or not self.has_earlier:
            return {}
        statement = _RECALL.format(", ".join(["(?, ?, ?)"] * len(keys)))
        parameters = (*itertools.chain.from_iterable(keys), self.settings_sha256)
        with errors_translated():
            rows = self.connection.execute(statement, parameters).fetchall()
        results = ((place, self._recalled(row, files[place])) for place, *row in rows)
        return {place: result for place, result in results if result is not None}

    def _recalled(self, row: Sequence[Any], file: FoundFile) -> Result | None:
        values = self._checked(row, self.not_recalled)
        try:
            return None if values is None else result_of(values[_FIRST_FACT:], file.display)
        except (AttributeError, TypeError, ValueError):  # as this version would not write it
            return None

    def timed_out(self, file: FoundFile) -> bool:
        """Whether a file that is unchanged since held a decoder too long in an earlier run."""
        if file.stamp is None or not self.has_earlier:
            return False
        with errors_translated():
            key = (os.fsencode(file.path), stamp_text(file.stamp))
            row = self.connection.execute(_LAST_REASON, key).fetchone()
        return row is not None and bool(row[0] == Reason.TIMEOUT.value)

    def known_probabilities(self, sha256s: Sequence[str]) -> dict[str, float]:
        """The scores of these bytes under these settings, whatever files they were in."""
        probabilities: dict[str, float] = {}
        for start in range(0, len(sha256s), _HASHES_PER_QUERY):
            hashes = [bytes.fromhex(each) for each in sha256s[start : start + _HASHES_PER_QUERY]]
            statement = _KNOWN.format(", ".join("?" * len(hashes)))
            with errors_translated():
                rows = self.connection.execute(
                    statement, (*hashes, self.settings_sha256)
                ).fetchall()
            for row in rows:
                if values := self._checked(row, self.not_recalled):
                    probabilities[values[_FIRST_FACT].hex()] = values[_PROBABILITY]
        return probabilities

    def _checked(self, row: Sequence[Any], damaged: dict[int, str]) -> tuple[Any, ...] | None:
        """The columns of `ROW`, or None and an entry in `damaged` where a bit has flipped."""
        number, checked, run, *values = row
        if checked == checksum(run, self.settings_sha256, *values):
            return tuple(values)
        damaged[number] = str(values[_DISPLAY])
        return None

    def check_rows(self) -> None:
        """Add to `damaged` what is, of all rows."""
        with errors_translated():
            rows = self.connection.execute(
                f"SELECT rowid, checksum, run, {_ROW} FROM item WHERE run = ?", (self.number,)
            )
            for row in rows:
                self._checked(row, self.damaged)

    def record(self, entries: Sequence[Entry]) -> None:
        """Commit rows, all or none; a file that has a row already gets the new one instead.

        Raises:
            StateError: they could not be written; what was committed before is safe.
        """
        with transaction(self.connection) as connection:
            connection.executemany(_RECORD, map(self._recorded, entries))
            results = (entry.result for entry in entries)
            Identities(connection).record(
                (each.sha256, each.identity) for each in results if each.sha256
            )

    def identify(self, results: Sequence[Result]) -> None:
        """Commit whom films are of, all or none, whose rows are recorded already."""
        with transaction(self.connection) as connection:
            Identities(connection).record((each.sha256, each.identity) for each in results)

    def _recorded(self, entry: Entry) -> tuple[Any, ...]:
        row = values(entry, new=self._is_new(entry))
        return (checksum(self.number, self.settings_sha256, *row), self.number, *row)

    def _is_new(self, entry: Entry) -> bool:
        """Whether the last night with a report had neither these bytes nor, unread, this path."""
        if not self.last_reported:
            return True
        if entry.result.sha256:
            key, statement = bytes.fromhex(entry.result.sha256), _HAD_BYTES
        else:
            key, statement = os.fsencode(entry.file.path), _HAD_PATH
        return self.connection.execute(statement, (key, self.last_reported)).fetchone() is None

    def gone(self) -> int:
        """Number of files that the last night with a report listed, and this run does not."""
        with errors_translated():
            row = self.connection.execute(_GONE, (self.last_reported, self.number)).fetchone()
        return int(row[0])

    def reported(self, summary: Mapping[str, Any] | None = None) -> None:
        """The report of this run lies in its place: from now on its films are not new.

        Args:
            summary: what is kept of a night for 400 days, see `Nights.record`.
        """
        state = OWES_RESULTS if self.owes_results else REPORTED
        with transaction(self.connection) as connection:
            connection.execute("UPDATE run SET reported = ? WHERE number = ?", (state, self.number))
            if summary and self.kind == NIGHT:
                Nights(connection).record(summary)

    @property
    def identities(self) -> Identities:
        """Identities of the films of all runs."""
        return Identities(self.connection)

    def unsettled(self) -> list[FoundFile]:
        """Files that were still changing, with the stamp they had when last seen."""
        with errors_translated():
            rows = self.connection.execute(
                "SELECT path, display, stamp FROM item WHERE run = ? AND reason = ? ORDER BY path",
                (self.number, Reason.STILL_CHANGING.value),
            ).fetchall()
        return [
            FoundFile(place_of(os.fsdecode(path)), display, stamp=stamp_of(stamp))
            for path, display, stamp in rows
        ]

    def found(self, sha256: str) -> FoundFile:
        """A file of this run that had these bytes, under the name that the run gives it.

        Raises:
            KeyError: no file of this run had them.
        """
        with errors_translated():
            row = self.connection.execute(
                "SELECT path, display FROM item WHERE run = ? AND sha256 = ? ORDER BY path LIMIT 1",
                (self.number, bytes.fromhex(sha256)),
            ).fetchone()
        if row is None:
            raise KeyError(sha256)
        return FoundFile(place_of(os.fsdecode(row[0])), row[1])

    def finish(self, context: dict[str, Any]) -> None:
        """Every file has a row: from now on the report can be rendered from here.

        Raises:
            StateError: it could not be written.
        """
        text = json.dumps(context)
        with transaction(self.connection) as connection:
            (name, files) = connection.execute(
                "SELECT id, (SELECT COUNT(*) FROM item WHERE run = number) FROM run "
                "WHERE number = ?",
                (self.number,),
            ).fetchone()
            checked = checksum(self.number, name, self.settings_sha256, text, files)
            connection.execute(
                "UPDATE run SET context = ?, files = ?, checksum = ? WHERE number = ?",
                (text, files, checked, self.number),
            )

    def results(
        self, order: Callable[..., Any], identity_fields: Sequence[str] = ()
    ) -> Iterator[Result]:
        """Every row, one at a time, in the order of the key that `order` makes.

        Damaged ones come first, as files that could not be read.

        Args:
            identity_fields: whom each film is of; none where the run did not ask.
            order: `(probability or None, has a doubt, reason, modified_utc, path) -> key`.
        """
        for name in self.damaged.values():
            yield Result.without_score(display_name(name), Reason.IO_ERROR)
        with errors_translated():
            self.connection.create_function("reading_key", 5, order, deterministic=True)
            self.connection.create_function(
                "has_doubt", 1, lambda joined: bool(doubts(names(joined))), deterministic=True
            )
            cursor = self.connection.execute(
                f"SELECT {_FACTS}, MIN(display) OVER (PARTITION BY sha256) FROM item WHERE run = ? "
                "AND rowid NOT IN (SELECT value FROM json_each(?)) "
                "ORDER BY "
                "reading_key(probability, has_doubt(warnings), reason, modified_utc, display)",
                (self.number, json.dumps([*self.damaged])),
            )
            # Not closed by name: who stops half-way may have closed the connection before.
            for *facts, first in cursor:
                result = checked_result(tuple(facts), first)
                if identity_fields and result.sha256:
                    known = self.identities.of(result.sha256)
                    fields = {each: known.get(each, "") for each in identity_fields}
                    result = replace(result, identity=fields)
                yield result
