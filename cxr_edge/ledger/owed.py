"""Results for the PACS that runs owe: requested with the report, but not written yet.

A run owes them from the moment its report lies in its place. One that was killed before they were
written still does, and the next one that writes results pays for it.
"""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass

from cxr_edge.ledger.file import errors_translated, transaction
from cxr_edge.ledger.run import NIGHT, OWES_RESULTS, REPORTED, STUDY, Run
from cxr_edge.types import Reason, Status

_FIRST_OWING = (
    f"SELECT MIN(number) FROM run WHERE reported = {OWES_RESULTS} AND kind = ? AND number <= ?"
)
_REPORTED_BEFORE = (
    f"SELECT MAX(number) FROM run WHERE reported AND (kind = '{NIGHT}' OR ? = '{STUDY}') "
    "AND number < ?"
)
_OUTCOME = "SELECT status, reason FROM item WHERE sha256 = ? AND run = ?"
_WAS_NEW = (
    "SELECT 1 FROM item JOIN run ON number = run WHERE sha256 = ? AND run >= ? AND run < ? "
    f"AND item.new AND reported = {OWES_RESULTS} AND kind = ?"
)
_SETTLE = (
    f"UPDATE run SET reported = {REPORTED} "
    f"WHERE reported = {OWES_RESULTS} AND kind = ? AND number <= ?"
)


@dataclass(frozen=True)
class OwedResults:
    """Results that are owed when those of a run are written.

    Attributes:
        number: of that run.
        kind: of that run; results of nights and of study runs are owed separately.
        first: number of the first run up to this one that owes any; None where none does.
        compared: number of the last reported run before all of these; 0 for none.
    """

    connection: sqlite3.Connection
    number: int
    kind: str
    first: int | None
    compared: int

    @classmethod
    def of(cls, run: Run) -> OwedResults:
        """Find what is owed.

        Raises:
            StateError: the ledger cannot be read.
        """
        with errors_translated():
            (first,) = run.connection.execute(_FIRST_OWING, (run.kind, run.number)).fetchone()
            began = (run.kind, first or run.number)
            (compared,) = run.connection.execute(_REPORTED_BEFORE, began).fetchone()
        return cls(run.connection, run.number, run.kind, first, compared or 0)

    def was_new(self, sha256: str) -> bool:
        """Whether these bytes were new to a run before this one that owes results still."""
        if self.first is None or self.first == self.number or not sha256:
            return False
        key = (bytes.fromhex(sha256), self.first, self.number, self.kind)
        with errors_translated():
            return self.connection.execute(_WAS_NEW, key).fetchone() is not None

    def outcome_before(self, sha256: str) -> tuple[Status, Reason | None] | None:
        """Outcome of these bytes in the run that this one is compared with; None if it had none.

        That is a night; for the run of a study it may be one of a study as well.
        """
        with errors_translated():
            key = (bytes.fromhex(sha256), self.compared)
            row = self.connection.execute(_OUTCOME, key).fetchone()
        return row and (Status(row[0]), Reason(row[1]) if row[1] else None)

    def settle(self, connection: sqlite3.Connection) -> None:
        """Record that all of these are written.

        Args:
            connection: to the same ledger, opened for writing.

        Raises:
            StateError: the ledger cannot be written.
        """
        with transaction(connection):
            connection.execute(_SETTLE, (self.kind, self.number))
