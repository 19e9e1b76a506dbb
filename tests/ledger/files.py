"""A ledger's file of one finished run, and what earlier versions made of it."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

from cxr_edge.ledger.file import LEDGER_NAME
from cxr_edge.ledger.runs import open_ledger
from tests.factories import names_in
from tests.ledger.entries import SETTINGS, entry

ROWS = 60
PAGE = 4096


def filled(folder: Path) -> Path:
    """A ledger of one finished run."""
    with open_ledger(folder) as ledger:
        run = ledger.begin("first", SETTINGS)
        run.record([entry(f"{n}.png", n / 100, sha256=f"{n:064x}") for n in range(ROWS)])
        run.finish({"a": 1})
    assert names_in(folder) == [LEDGER_NAME]
    return folder / LEDGER_NAME


def as_version(version: int, path: Path) -> None:
    """A ledger as an earlier release left it behind."""
    with closing(sqlite3.connect(path)) as connection:
        for number in range(3, version, -1):
            connection.execute(DOWNGRADES[number])
        connection.execute(f"PRAGMA user_version = {version}")
        connection.execute("PRAGMA journal_mode = WAL")
        connection.commit()


# What makes a ledger of a version one of the version before.
DOWNGRADES = {
    3: "ALTER TABLE run RENAME COLUMN settings_sha256 TO recipe",
    2: "ALTER TABLE item DROP COLUMN device",
}
