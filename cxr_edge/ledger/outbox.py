"""Objects on their way to a peer; each is sent until it is answered with Success."""

from __future__ import annotations

import errno
import os
import sqlite3
from collections.abc import Collection, Iterable
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
    COMMITTED = "committed"  # the peer has confirmed storage commitment
    REFUSED = "refused"  # answered with a failure that another try would not change
    LOST = "lost"  # its file was gone or changed before it was sent


DONE = (Sending.SENT, Sending.COMMITTED, Sending.REFUSED, Sending.LOST)  # nothing waits in these


@dataclass(frozen=True)
class Outgoing:
    """One object for one peer.

    Attributes:
        peer: `AET@HOST:PORT`.
        instance: SOP Instance UID; one object of that UID goes to a peer.
        sop_class: SOP Class UID.
        sha256: of its file, in hex.
        path: of its file.
        status: last answer of the peer; None before the first.
        tries: number of times it was sent.
        next_try: earliest time of the next try, in seconds since 1970.
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
_BESIDES = f"SELECT rowid, checksum, {_NAMES} FROM outbox WHERE state NOT IN "
_FORGET = "DELETE FROM outbox WHERE changed_utc < ? AND state <> 'pending'"
_FORGET_ONE = "DELETE FROM outbox WHERE rowid = ?"


@dataclass(frozen=True)
class Outbox:
    """The outgoing objects in a ledger."""

    connection: sqlite3.Connection

    def add(self, objects: Collection[Outgoing]) -> list[Outgoing]:
        """Add new objects; those that were refused or lost are tried once more.

        The damaged row of an object gives way to a new one.

        Returns:
            Objects that are not taken: another one goes, or has gone, to that peer under their
            UID, and lies elsewhere if it has not been tried.

        Raises:
            StateError: the ledger cannot be written.
        """
        others = []
        with transaction(self.connection):
            self._forget_old()
            self._forget_damaged(objects)
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
        """Commit new states of objects, all or none.

        Raises:
            StateError: the ledger cannot be written.
        """
        with transaction(self.connection):
            for each in objects:
                self._record(each)

    def find(self, peer: str, instance: str) -> Outgoing | None:
        """An object; one whose row is damaged is not known, and sent again if it is added again.

        Raises:
            StateError: the ledger cannot be read.
        """
        with errors_translated():
            row = self.connection.execute(_ONE, (peer, instance)).fetchone()
        return _object_of(row) if row else None

    def in_state(self, peer: str, state: Sending) -> list[Outgoing]:
        """A peer's objects in a state, in the order in which they were added.

        Raises:
            StateError: the ledger cannot be read.
        """
        with errors_translated():
            rows = self.connection.execute(_IN_STATE, (peer, state.value)).fetchall()
        return [found for row in rows if (found := _object_of(row))]

    def damaged(self, done: Iterable[Sending] = DONE) -> int:
        """Number of damaged rows, of any peer, besides those in the states that are done with.

        Raises:
            StateError: the ledger cannot be read.
        """
        with errors_translated():
            return len(self._damaged(done))

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

    def _forget_damaged(self, objects: Iterable[Outgoing]) -> None:
        """Delete rows with a damaged key whose object is here; a sound key replaces its own row."""
        here = {os.fsencode(each.path): each for each in objects}
        for number, checked, *values in self._damaged():
            _, _, *others = values
            each = here.get(values[_COLUMNS.index("path")])
            if each and checked == checksum(each.peer, each.instance, *others):
                self.connection.execute(_FORGET_ONE, (number,))

    def _damaged(self, done: Iterable[Sending] = DONE) -> list[tuple[Any, ...]]:
        """Rows with a damaged key; the checksum in SQL cannot find them: it refuses such text."""
        states = [each.value for each in done]
        statement = f"{_BESIDES} ({', '.join('?' * len(states))})"
        rows = self.connection.execute(statement, states).fetchall()
        return [row for row in rows if _object_of(row[1:]) is None]


def _is_rewritten(known: Outgoing, each: Outgoing) -> bool:
    """Whether an object that was never tried is gone, and another one there under its UID."""
    is_gone = known.path == each.path or _is_gone(known.path)
    return known.state is Sending.PENDING and not known.tries and is_gone


def _is_gone(path: Path) -> bool:
    """Whether there is no such file; a disk that fails now may be well again later."""
    try:
        path.stat()
    except OSError as error:
        return error.errno in (errno.ENOENT, errno.ENOTDIR)
    return False


def _object_of(row: tuple[Any, ...]) -> Outgoing | None:
    checked, *values = row
    if checked != checksum(*values):
        return None
    peer, instance, sop_class, sha256, path, state, status, tries, next_try, _ = values
    return Outgoing(
        *(peer, instance, sop_class, sha256.hex(), Path(os.fsdecode(path)), Sending(state)),
        *(status, tries, next_try),
    )
