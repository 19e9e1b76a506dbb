"""Objects on their way to another machine: each until it says Success, never as another object."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from pathlib import Path
from typing import Any

from cxr_edge.ledger.checksums import checksum
from cxr_edge.ledger.file import errors_translated, transaction
from cxr_edge.support.utc import utc_text

DAYS_KEPT = 400  # of what has been sent: as long as the summaries of nights


class Sending(StrEnum):
    """State of an object on its way."""

    PENDING = "pending"
    SENT = "sent"  # answered with Success
    COMMITTED = "committed"  # the other side has taken it into its care
    REFUSED = "refused"  # answered with a failure that would be the same again
    LOST = "lost"  # its file is gone, or another one, before it was sent


@dataclass(frozen=True)
class Outgoing:
    """One object for one peer.

    Attributes:
        peer: `AET@HOST:PORT`.
        instance: SOP Instance UID; one object of that UID goes to a peer.
        sop_class: SOP Class UID.
        sha256: of its file, in hex.
        path: of its file.
        status: what the peer last answered; None before it has.
        tries: how often it was sent.
        next_try: seconds since 1970 before which it is left alone.
    """

    peer: str
    instance: str
    sop_class: str
    sha256: str
    path: Path
    state: Sending = Sending.PENDING
    status: int | None = None
    tries: int = 0
    next_try: float = 0.0


_COLUMNS = (
    *("peer", "instance_uid", "sop_class", "sha256", "path", "state", "status", "tries"),
    *("next_try", "changed_utc"),
)
_NAMES = ", ".join(_COLUMNS)
_RECORD = f"INSERT OR REPLACE INTO outbox (checksum, {_NAMES}) VALUES (?{', ?' * len(_COLUMNS)})"
_ONE = f"SELECT checksum, {_NAMES} FROM outbox WHERE peer = ? AND instance_uid = ?"
_IN_STATE = f"SELECT checksum, {_NAMES} FROM outbox WHERE peer = ? AND state = ? ORDER BY rowid"
_GONE_OUT = (
    f"SELECT checksum, {_NAMES} FROM outbox WHERE peer = ? AND state IN ('sent', 'committed') "
    "AND path > ? AND path < ?"
)
_FORGET = "DELETE FROM outbox WHERE changed_utc < ? AND state <> 'pending'"


@dataclass(frozen=True)
class Outbox:
    """The outgoing objects in a ledger."""

    connection: sqlite3.Connection

    def add(self, objects: Iterable[Outgoing]) -> list[Outgoing]:
        """Take objects in that are not known; what was refused or lost is tried once more.

        Returns:
            Objects that are not taken: another one goes, or has gone, to that peer under their
            UID, and lies elsewhere if it has not been tried.

        Raises:
            StateError: the ledger cannot be written.
        """
        others = []
        with transaction(self.connection):
            self._forget_old()
            for each in objects:
                known = self.find(each.peer, each.instance)
                if known is None or known.state in (Sending.REFUSED, Sending.LOST):
                    self._record(each)
                elif known.sha256 == each.sha256:
                    if known.state is Sending.PENDING:
                        self._record(replace(known, path=each.path))
                elif _is_rewritten(known, each):
                    self._record(each)
                else:
                    others.append(each)
        return others

    def record(self, *objects: Outgoing) -> None:
        """Commit what has become of objects, all or none.

        Raises:
            StateError: the ledger cannot be written.
        """
        with transaction(self.connection):
            for each in objects:
                self._record(each)

    def find(self, peer: str, instance: str) -> Outgoing | None:
        """An object; one whose row is damaged is not known, and so sent again: no harm is done."""
        row = self.connection.execute(_ONE, (peer, instance)).fetchone()
        return _object_of(row) if row else None

    def in_state(self, peer: str, state: Sending) -> list[Outgoing]:
        """A peer's objects that are so far, in the order in which they came.

        Raises:
            StateError: the ledger cannot be read.
        """
        with errors_translated():
            rows = self.connection.execute(_IN_STATE, (peer, state.value)).fetchall()
        return [found for row in rows if (found := _object_of(row))]

    def gone_out(self, peer: str, folder: Path) -> dict[Path, tuple[Outgoing, datetime]]:
        """A peer's objects that have arrived from below a folder, by path, and when.

        Raises:
            StateError: the ledger cannot be read.
        """
        name = os.fsencode(folder)
        with errors_translated():
            rows = self.connection.execute(_GONE_OUT, (peer, name + b"/", name + b"0")).fetchall()
        return {
            each.path: (each, datetime.fromisoformat(row[-1]))
            for row in rows
            if (each := _object_of(row))
        }

    def _record(self, each: Outgoing) -> None:
        row = (
            *(each.peer, each.instance, each.sop_class, bytes.fromhex(each.sha256)),
            *(os.fsencode(each.path), each.state.value, each.status, each.tries, each.next_try),
            utc_text(datetime.now(UTC)),
        )
        self.connection.execute(_RECORD, (checksum(*row), *row))

    def _forget_old(self) -> None:
        before = utc_text(datetime.now(UTC) - timedelta(days=DAYS_KEPT))
        self.connection.execute(_FORGET, (before,))


def _is_rewritten(known: Outgoing, each: Outgoing) -> bool:
    """Whether an object that was never tried is gone, and another one there under its UID."""
    is_gone = known.path == each.path or not known.path.exists()
    return known.state is Sending.PENDING and not known.tries and is_gone


def _object_of(row: tuple[Any, ...]) -> Outgoing | None:
    checked, *values = row
    if checked != checksum(*values):
        return None
    peer, instance, sop_class, sha256, path, state, status, tries, next_try, _ = values
    return Outgoing(
        *(peer, instance, sop_class, sha256.hex(), Path(os.fsdecode(path)), Sending(state)),
        *(status, tries, next_try),
    )
