"""Rows for a ledger, of files last changed long ago."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from cxr_edge.ledger.rows import Entry
from cxr_edge.ledger.run import Run
from cxr_edge.support.text import display_name
from cxr_edge.triage import reading_key
from cxr_edge.types import FoundFile, Result, Stamp
from tests.factories import result

SETTINGS = "some settings"
SECOND = 10**9
LONG_AGO = 1_000_000_000 * SECOND
NOW = LONG_AGO + 86400 * SECOND
STAMP = Stamp(size=100, mtime_ns=LONG_AGO, ctime_ns=LONG_AGO + 1, inode=2**64 - 1)
SHA256 = "ab" * 32


def found(name: str | bytes = "a.png", stamp: Stamp | None = STAMP) -> FoundFile:
    path = Path("in", os.fsdecode(name))
    return FoundFile(path, display_name(os.fsdecode(name)), stamp=stamp, seen_ns=NOW)


def entry(
    name: str | bytes = "a.png",
    probability: float | None = 0.5,
    stamp: Stamp | None = STAMP,
    **facts: Any,
) -> Entry:
    file = found(name, stamp)
    return Entry(file, result(file.display, probability, **facts), stamp)


def everything(run: Run, threshold: float = 0.5) -> list[Result]:
    return list(run.results(reading_key(threshold)))


def recall(run: Run, file: FoundFile) -> Result | None:
    """The row of one file that a run takes over."""
    return run.recall([file]).get(0)
