"""Summaries of nights: what stays when the rows of a run are forgotten."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from cxr_edge.ledger.checksums import checksum
from cxr_edge.ledger.file import errors_translated
from cxr_edge.support.utc import utc_text

DAYS_KEPT = 400
# Whatever the clock says: one that was wrong for a night must not cost a year.
_NIGHTS_KEPT = 400

_RECORD = "INSERT OR REPLACE INTO night (checksum, id, started_utc, summary) VALUES (?, ?, ?, ?)"
_FORGET = (
    "DELETE FROM night WHERE started_utc < ? "
    "AND id NOT IN (SELECT id FROM night ORDER BY rowid DESC LIMIT ?)"
)
# Answers about a night last as long as the night.
_FORGET_READINGS = "DELETE FROM reading WHERE run NOT IN (SELECT id FROM night)"
_ALL = "SELECT checksum, id, started_utc, summary FROM night ORDER BY rowid"


@dataclass(frozen=True)
class KeptNights:
    """Summaries, in the order in which the nights ended.

    Attributes:
        summaries: plain values by run.
        damaged: runs whose summary is not as it was recorded, and is left out.
    """

    summaries: dict[str, dict[str, Any]]
    damaged: tuple[str, ...]


@dataclass(frozen=True)
class Nights:
    """The nights in a ledger."""

    connection: sqlite3.Connection

    def record(self, summary: Mapping[str, Any]) -> None:
        """Keep a night, inside a transaction of the caller's.

        Args:
            summary: plain values, `run` and `started_utc` among them.
        """
        row = (summary["run"], summary["started_utc"], json.dumps(summary))
        self.connection.execute(_RECORD, (checksum(*row), *row))

    def forget_old(self) -> None:
        """Drop what is kept no longer, inside a transaction of the caller's."""
        before = utc_text(datetime.now(UTC) - timedelta(days=DAYS_KEPT))
        if self.connection.execute(_FORGET, (before, _NIGHTS_KEPT)).rowcount:
            self.connection.execute(_FORGET_READINGS)

    def kept(self) -> KeptNights:
        """All of them.

        Raises:
            StateError: the ledger cannot be read.
        """
        summaries, damaged = {}, []
        with errors_translated():
            for checked, *row in self.connection.execute(_ALL):
                if checked == checksum(*row):
                    summaries[row[0]] = json.loads(row[2])
                else:
                    damaged.append(row[0])
        return KeptNights(summaries, tuple(damaged))
