"""Answers of readers about films of nights, one for each reader and film."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from dataclasses import astuple, dataclass, fields
from typing import Any

from cxr_edge.ledger.checksums import checksum
from cxr_edge.ledger.file import errors_translated

YES, NO, CANNOT_TELL = "yes", "no", "cannot tell"


@dataclass(frozen=True)
class Reading:
    """One reader's answer to: pneumonia?

    Attributes:
        run: the night.
        rank: of the film in its list.
        sha256: of the film's file, in hex.
        flagged: whether the night flagged it.
        pneumonia: `YES`, `NO` or `CANNOT_TELL`.
    """

    run: str
    rank: int
    path: str
    sha256: str
    probability: float
    flagged: bool
    read_by: str
    pneumonia: str
    comment: str

    def __post_init__(self) -> None:
        """An answer, about a score."""
        if self.pneumonia not in (YES, NO, CANNOT_TELL) or not 0 <= self.probability <= 1:
            raise ValueError(f"no answer about a film with a score: {self}")


_COLUMNS = ", ".join(entry.name for entry in fields(Reading))
_RECORD = f"INSERT OR REPLACE INTO reading (checksum, {_COLUMNS}) VALUES (?{', ?' * 9})"
_ALL = (
    f"SELECT reading.checksum, {_COLUMNS} FROM reading JOIN night ON id = run "
    "ORDER BY night.rowid, rank"
)
_FILMS = (
    "SELECT lower(hex(sha256)) FROM item JOIN run ON number = run "
    "WHERE id = ? AND sha256 IS NOT NULL"
)


@dataclass(frozen=True)
class Readings:
    """The readings in a ledger."""

    connection: sqlite3.Connection

    def record(self, readings: Iterable[Reading]) -> None:
        """Add readings, or replace those of the same reader, inside a transaction."""
        rows = (_values(each) for each in readings)
        self.connection.executemany(_RECORD, ((checksum(*row), *row) for row in rows))

    def kept(self) -> list[Reading]:
        """All of them in the order of nights and ranks; a damaged one is left out.

        Raises:
            StateError: the ledger cannot be read.
        """
        with errors_translated():
            rows = self.connection.execute(_ALL).fetchall()
        kept = [row for checked, *row in rows if checked == checksum(*row)]
        return [_reading(**dict(zip(_NAMES, row, strict=True))) for row in kept]

    def films_of(self, run: str) -> set[str]:
        """The films of a night by sha256, as long as its rows are kept."""
        with errors_translated():
            return {sha256 for (sha256,) in self.connection.execute(_FILMS, (run,))}


_NAMES = tuple(entry.name for entry in fields(Reading))


def _reading(flagged: int, **values: Any) -> Reading:
    return Reading(flagged=bool(flagged), **values)


def _values(reading: Reading) -> tuple[str | int | float, ...]:
    return tuple(int(v) if isinstance(v, bool) else v for v in astuple(reading))
