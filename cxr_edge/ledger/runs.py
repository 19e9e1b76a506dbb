"""The ledger: what every run found, in SQLite, so that a kill or a power cut costs one batch.

A run's rows are committed batch by batch. A later run, whether it goes on after a kill or comes the
next night, takes over the rows of files that have not changed, and the scores of bytes it has seen,
as long as the settings (model, versions, software, device) are the same.
"""

from __future__ import annotations

import contextlib
import json
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from cxr_edge.errors import StateError
from cxr_edge.ledger.checksums import checksum
from cxr_edge.ledger.file import (
    errors_translated,
    opened,
    opened_for_reading,
    passing,
    transaction,
)
from cxr_edge.ledger.identities import Identities
from cxr_edge.ledger.nights import Nights
from cxr_edge.ledger.run import NIGHT, STUDY, Run

RUNS_KEPT = 30  # finished ones of one settings hash, with the unfinished ones between them
RUNS_KEPT_IN_ALL = 120  # after a new model or library the old settings never run again
STUDIES_KEPT = 1000  # runs that `receive` started
_KEPT = {
    f"later.settings_sha256 = run.settings_sha256 AND later.kind = '{NIGHT}'": RUNS_KEPT,
    f"later.kind = '{NIGHT}'": RUNS_KEPT_IN_ALL,
    f"later.kind = '{STUDY}' AND run.kind = '{STUDY}'": STUDIES_KEPT,
}
# The last night that somebody can have read: its report lies in its place.
_LAST_REPORTED = (
    f"SELECT number FROM run WHERE reported AND kind = '{NIGHT}' ORDER BY number DESC LIMIT 1"
)


class Ledger:
    """An open ledger file."""

    def __init__(self, connection: sqlite3.Connection, set_aside: Path | None = None) -> None:
        """Use `open_ledger`; `set_aside` is where a damaged predecessor lies now."""
        self.connection = connection
        self.set_aside = set_aside

    def begin(
        self, run_id: str, settings_sha256: str, kind: str = NIGHT, *, owes_results: bool = False
    ) -> Run:
        """Start a run; forget those before the last finished ones, of these settings and in all.

        Args:
            run_id: its name.
            settings_sha256: rows of runs with the same are taken over.
            kind: `NIGHT`, or `STUDY` for one that is not to count as a night.
            owes_results: whether results for the PACS are to follow its report.
        """
        with transaction(self.connection) as connection:
            forgotten = 0
            for scope, kept in _KEPT.items():
                forgotten += connection.execute(
                    "DELETE FROM run WHERE number < (SELECT number FROM run AS later "
                    f"WHERE {scope} AND context IS NOT NULL ORDER BY number DESC LIMIT 1 OFFSET ?)",
                    (kept - 1,),
                ).rowcount
            if forgotten:
                Identities(connection).forget_orphans()
            Nights(connection).forget_old()
            last = connection.execute(_LAST_REPORTED).fetchone()
            number = connection.execute(
                "INSERT INTO run (id, settings_sha256, kind) VALUES (?, ?, ?)",
                (run_id, settings_sha256, kind),
            ).lastrowid
            has_rows = connection.execute("SELECT EXISTS (SELECT 1 FROM item)").fetchone()[0]
        last_reported = last[0] if last else 0
        return Run(
            *(self.connection, int(number or 0), settings_sha256, last_reported, kind),
            has_earlier=bool(has_rows),
            owes_results=owes_results,
        )

    @property
    def nights(self) -> Nights:
        """Summaries of the nights that have a report."""
        return Nights(self.connection)

    def finished(self, run_id: str) -> tuple[Run, dict[str, Any]]:
        """A finished run and its context; it knows which of its rows are damaged.

        Raises:
            KeyError: there is none of that name.
            StateError: its context is damaged, or rows are missing.
        """
        with errors_translated():
            number, settings, context, files, kind = self._sound(run_id)
            rows = self.connection.execute("SELECT COUNT(*) FROM item WHERE run = ?", (number,))
            if files != rows.fetchone()[0]:
                raise _damaged(run_id)
            run = Run(self.connection, number, settings, kind=kind)
            run.check_rows()
        return run, json.loads(context)

    def context(self, run_id: str) -> dict[str, Any]:
        """The context of a finished run, without a look at its rows.

        Raises:
            KeyError, StateError: as `finished`.
        """
        with errors_translated():
            context = self._sound(run_id)[2]
        values: dict[str, Any] = json.loads(context)
        return values

    def _sound(self, run_id: str) -> tuple[int, str, str, int, str]:
        """Number, settings, context, count of rows and kind of a finished run, as recorded."""
        row = self.connection.execute(
            "SELECT checksum, kind, number, id, settings_sha256, context, files FROM run "
            "WHERE id = ? AND context IS NOT NULL",
            (run_id,),
        ).fetchone()
        if row is None:
            raise KeyError(run_id)
        checked, kind, *recorded = row
        if checked != checksum(*recorded):
            raise _damaged(run_id)
        number, _, settings, context, files = recorded
        return number, settings, context, files, kind

    def finished_ids(self) -> list[str]:
        """The finished runs, latest first."""
        with errors_translated():
            rows = self.connection.execute(
                "SELECT id FROM run WHERE context IS NOT NULL ORDER BY number DESC"
            ).fetchall()
        return [run_id for (run_id,) in rows]


@contextlib.contextmanager
def open_ledger(folder: Path, *, is_checked: bool = False) -> Iterator[Ledger]:
    """The ledger of a state folder whose lock is held; as `file.opened`."""
    with opened(folder, is_checked=is_checked) as (connection, set_aside):
        yield Ledger(connection, set_aside)


@contextlib.contextmanager
def passing_ledger() -> Iterator[Ledger]:
    """A ledger in memory, of which nothing is left on any disk."""
    with passing() as connection:
        yield Ledger(connection)


@contextlib.contextmanager
def read_ledger(folder: Path) -> Iterator[Ledger]:
    """A ledger that somebody else may be writing; as `file.opened_for_reading`."""
    with opened_for_reading(folder) as connection:
        yield Ledger(connection)


def _damaged(run_id: str) -> StateError:
    return StateError(f"run {run_id} is damaged in the ledger", tip="run score again")
