"""The ledger: what every run found, in SQLite, so that a kill or a power cut costs one batch.

A run's rows are committed batch by batch. A later run, whether it goes on after a kill or comes the
next night, takes over the rows of files that have not changed, and the scores of bytes it has seen,
as long as the settings (model, versions, software, device) are the same.
"""

from __future__ import annotations

import contextlib
import json
import os
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cxr_edge.errors import StateError
from cxr_edge.ledger.file import errors_translated, opened, opened_for_reading, transaction
from cxr_edge.types import (
    DETERMINISTIC_REASONS,
    FoundFile,
    InputWarning,
    Reason,
    Result,
    Stamp,
    Status,
)

RUNS_KEPT = 30  # finished ones of one settings hash, with the unfinished ones between them
RUNS_KEPT_IN_ALL = 120  # after a new model or library the old settings never run again
# A file can change twice within one tick of the file system's clock and keep its stamp.
_STAMP_TICK_NS = 2 * 10**9
_KEPT = {"later.settings_sha256 = run.settings_sha256": RUNS_KEPT, "TRUE": RUNS_KEPT_IN_ALL}

_FACTS = (
    "sha256, display, status, reason, probability, warnings, width, height, format, modified_utc, "
    "identifier, device"
)
# What another device had to score holds only for a run that goes on (it has no context yet): the
# hash is that of the device the run began on.
_RECALLABLE = "(status = 'scored' AND (device = '' OR context IS NULL) OR reason IN ({}))".format(
    ", ".join(sorted(f"'{reason.value}'" for reason in DETERMINISTIC_REASONS))
)


_RECALL = (
    f"SELECT {_FACTS} FROM item JOIN run ON run.number = item.run "
    f"WHERE path = ? AND stamp = ? AND settings_sha256 = ? AND {_RECALLABLE} "
    "ORDER BY run DESC LIMIT 1"
)
_LAST_REASON = "SELECT reason FROM item WHERE path = ? AND stamp = ? ORDER BY run DESC LIMIT 1"
_RECORD = f"INSERT OR REPLACE INTO item (run, path, stamp, {_FACTS}) VALUES ({', '.join('?' * 15)})"
_HASHES_PER_QUERY = 500  # parameters of a statement; SQLite may have been built for 999


@dataclass(frozen=True)
class Entry:
    """One file's row as it is recorded."""

    file: FoundFile
    result: Result
    stamp: Stamp | None = None


class Ledger:
    """An open ledger file."""

    def __init__(self, connection: sqlite3.Connection, set_aside: Path | None = None) -> None:
        """Use `open_ledger`; `set_aside` is where a damaged predecessor lies now."""
        self._connection = connection
        self.set_aside = set_aside

    def begin(self, run_id: str, settings_sha256: str) -> Run:
        """Start a run; forget those before the last finished ones, of these settings and in all."""
        with transaction(self._connection) as connection:
            for scope, kept in _KEPT.items():
                connection.execute(
                    "DELETE FROM run WHERE number < (SELECT number FROM run AS later "
                    f"WHERE {scope} AND context IS NOT NULL ORDER BY number DESC LIMIT 1 OFFSET ?)",
                    (kept - 1,),
                )
            number = connection.execute(
                "INSERT INTO run (id, settings_sha256) VALUES (?, ?)", (run_id, settings_sha256)
            ).lastrowid
        return Run(self._connection, int(number or 0), settings_sha256)

    def finished(self, run_id: str) -> tuple[Run, dict[str, Any]]:
        """A finished run and its context.

        Raises:
            KeyError: there is none of that name.
        """
        with errors_translated():
            row = self._connection.execute(
                "SELECT number, settings_sha256, context FROM run "
                "WHERE id = ? AND context IS NOT NULL",
                (run_id,),
            ).fetchone()
        if row is None:
            raise KeyError(run_id)
        return Run(self._connection, row[0], row[1]), json.loads(row[2])

    def finished_ids(self) -> list[str]:
        """The finished runs, latest first."""
        with errors_translated():
            rows = self._connection.execute(
                "SELECT id FROM run WHERE context IS NOT NULL ORDER BY number DESC"
            ).fetchall()
        return [run_id for (run_id,) in rows]


@dataclass(frozen=True)
class Run:
    """One run's part of the ledger."""

    connection: sqlite3.Connection
    number: int
    settings_sha256: str

    def recall(self, file: FoundFile) -> Result | None:
        """The row that an earlier run with these settings gave a file that is unchanged since."""
        if file.stamp is None:
            return None
        with errors_translated():
            try:
                key = (os.fsencode(file.path), _stamp_text(file.stamp), self.settings_sha256)
                row = self.connection.execute(_RECALL, key).fetchone()
                return None if row is None else _result(row, file.display)
            except (AttributeError, TypeError, ValueError):  # a flipped bit: read the film
                return None

    def timed_out(self, file: FoundFile) -> bool:
        """Whether a file that is unchanged since held a decoder too long in an earlier run."""
        if file.stamp is None:
            return False
        with errors_translated():
            key = (os.fsencode(file.path), _stamp_text(file.stamp))
            row = self.connection.execute(_LAST_REASON, key).fetchone()
        return row is not None and bool(row[0] == Reason.TIMEOUT.value)

    def known_probabilities(self, sha256s: Sequence[str]) -> dict[str, float]:
        """The scores of these bytes under these settings, whatever files they were in."""
        probabilities: dict[str, float] = {}
        for start in range(0, len(sha256s), _HASHES_PER_QUERY):
            hashes = [bytes.fromhex(each) for each in sha256s[start : start + _HASHES_PER_QUERY]]
            with errors_translated():
                rows = self.connection.execute(
                    "SELECT sha256, probability FROM item JOIN run ON run.number = item.run "
                    f"WHERE sha256 IN ({', '.join('?' * len(hashes))}) AND settings_sha256 = ? "
                    "AND status = 'scored' AND device = '' GROUP BY sha256",
                    (*hashes, self.settings_sha256),
                ).fetchall()
            for sha256, probability in rows:
                # Anything else is a flipped bit.
                if isinstance(probability, float) and 0.0 <= probability <= 1.0:
                    probabilities[sha256.hex()] = probability
        return probabilities

    def record(self, entries: Sequence[Entry]) -> None:
        """Commit rows, all or none; a file that has a row already gets the new one instead.

        Raises:
            StateError: they could not be written; what was committed before is safe.
        """
        with transaction(self.connection) as connection:
            connection.executemany(_RECORD, [(self.number, *_values(each)) for each in entries])

    def unsettled(self) -> list[FoundFile]:
        """Files that were still changing, with the stamp they had when last seen."""
        with errors_translated():
            rows = self.connection.execute(
                "SELECT path, display, stamp FROM item WHERE run = ? AND reason = ? ORDER BY path",
                (self.number, Reason.STILL_CHANGING.value),
            ).fetchall()
        return [
            FoundFile(Path(os.fsdecode(path)), display, stamp=_stamp(stamp))
            for path, display, stamp in rows
        ]

    def found(self, sha256: str) -> FoundFile:
        """A file of this run that had these bytes, under the name that the run gives it.

        Raises:
            KeyError: there is none.
        """
        with errors_translated():
            row = self.connection.execute(
                "SELECT path, display FROM item WHERE run = ? AND sha256 = ? ORDER BY path LIMIT 1",
                (self.number, bytes.fromhex(sha256)),
            ).fetchone()
        if row is None:
            raise KeyError(sha256)
        return FoundFile(Path(os.fsdecode(row[0])), row[1])

    def finish(self, context: dict[str, Any]) -> None:
        """Every file has a row: from now on the report can be rendered from here.

        Raises:
            StateError: it could not be written.
        """
        with transaction(self.connection) as connection:
            connection.execute(
                "UPDATE run SET context = ? WHERE number = ?", (json.dumps(context), self.number)
            )

    def results(self, order: Callable[..., Any]) -> Iterator[Result]:
        """Every row, one at a time, in the order of the key that `order` makes.

        Args:
            order: `(probability or None, has warnings, modified_utc, path) -> key`.
        """
        with errors_translated():
            self.connection.create_function("reading_key", 4, order, deterministic=True)
            cursor = self.connection.execute(
                f"SELECT {_FACTS}, MIN(display) OVER (PARTITION BY sha256) FROM item WHERE run = ? "
                "ORDER BY reading_key(probability, warnings <> '', modified_utc, display)",
                (self.number,),
            )
            # Not closed by name: who stops half-way may have closed the connection before.
            for *facts, first in cursor:
                yield _checked(tuple(facts), first)


@contextlib.contextmanager
def open_ledger(folder: Path) -> Iterator[Ledger]:
    """The ledger of a state folder whose lock is held; as `ledger_file.opened`."""
    with opened(folder) as (connection, set_aside):
        yield Ledger(connection, set_aside)


@contextlib.contextmanager
def read_ledger(folder: Path) -> Iterator[Ledger]:
    """A ledger that somebody else may be writing; as `ledger_file.opened_for_reading`."""
    with opened_for_reading(folder) as connection:
        yield Ledger(connection)


def _values(entry: Entry) -> tuple[Any, ...]:
    result = entry.result
    return (
        os.fsencode(entry.file.path),
        _stamp_text(entry.stamp) if entry.stamp and _is_quiet(entry, entry.stamp) else None,
        bytes.fromhex(result.sha256) or None,
        result.path,
        result.status.value,
        result.reason and result.reason.value,
        result.probability,
        ",".join(result.warnings),
        result.width,
        result.height,
        result.format,
        result.modified_utc,
        result.identifier,
        result.device,
    )


def _is_quiet(entry: Entry, stamp: Stamp) -> bool:
    """A stamp that tells a later change; one that waits to settle is only compared in this run."""
    if entry.result.reason is Reason.STILL_CHANGING:
        return True
    return entry.file.seen_ns - max(stamp.ctime_ns, stamp.mtime_ns) > _STAMP_TICK_NS


def _stamp_text(stamp: Stamp) -> str:
    return f"{stamp.size}:{stamp.mtime_ns}:{stamp.ctime_ns}:{stamp.inode}"


def _stamp(text: str | None) -> Stamp | None:
    return None if text is None else Stamp(*map(int, text.split(":")))


def _checked(facts: tuple[Any, ...], first: str | None) -> Result:
    """A row for a report; one whose bits have flipped on the disk cannot be in it."""
    try:
        return _result(facts, facts[1], first)
    except (ValueError, TypeError, AttributeError):
        raise StateError("a row of the ledger is damaged", tip="run score again") from None


def _result(facts: tuple[Any, ...], display: str, first: str | None = None) -> Result:
    """A row as a result, under the name that this run gives the file."""
    sha256, _, status, reason, probability, warnings, *shape, kind, modified, tag, device = facts
    width, height = shape
    return Result(
        display,
        Status(status),
        Reason(reason) if reason else None,
        probability,
        tuple(InputWarning(name) for name in warnings.split(",") if name),
        width,
        height,
        kind,
        sha256.hex() if sha256 else "",
        modified,
        first if sha256 and first and first != display else "",
        tag,
        device,
    )
