"""Ledgers as finished, killed and earlier runs leave them, and a run that holds one."""

from __future__ import annotations

import contextlib
import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from cxr_edge.ledger.checksums import checksum
from cxr_edge.ledger.file import LEDGER_NAME
from cxr_edge.ledger.runs import open_ledger
from tests.factories import names_in
from tests.ledger.entries import SETTINGS, entry

ROOT = Path(__file__).resolve().parents[2]
WAL, SHM = f"{LEDGER_NAME}-wal", f"{LEDGER_NAME}-shm"
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
        connection.create_function("checksum", -1, checksum)
        for number in range(7, version, -1):
            connection.executescript(DOWNGRADES[number])
        connection.execute(f"PRAGMA user_version = {version}")
        connection.execute("PRAGMA journal_mode = WAL")
        connection.commit()


# What makes a ledger of a version one of the version before.
DOWNGRADES = {
    7: "DROP TABLE made_report; CREATE TABLE made_report (film TEXT NOT NULL, "
    "content_uid TEXT NOT NULL, instance_uid TEXT NOT NULL, series_uid TEXT NOT NULL, "
    "sop_class TEXT NOT NULL, predecessor TEXT NOT NULL, checksum BLOB, "
    "PRIMARY KEY (film, content_uid))",
    6: "DROP TABLE outbox; DROP TABLE made_report",
    5: "DROP TABLE identity; DROP TABLE night; DROP TABLE reading; "
    "ALTER TABLE run DROP COLUMN reported; "
    "ALTER TABLE run DROP COLUMN kind; DROP INDEX item_bytes; "
    "ALTER TABLE item DROP COLUMN new; ALTER TABLE item DROP COLUMN features; "
    "ALTER TABLE item ADD COLUMN identifier TEXT NOT NULL DEFAULT ''; "
    "CREATE INDEX item_sha256 ON item (sha256); "
    "UPDATE item SET checksum = checksum(run, (SELECT settings_sha256 FROM run WHERE number = run),"
    " path, stamp, sha256, display, status, reason, probability, warnings, width, height, format,"
    " modified_utc, identifier, device)",
    4: "ALTER TABLE item DROP COLUMN checksum; ALTER TABLE run DROP COLUMN checksum; "
    "ALTER TABLE run DROP COLUMN files",
    3: "ALTER TABLE run RENAME COLUMN settings_sha256 TO recipe",
    2: "ALTER TABLE item DROP COLUMN device",
}


# Commits one row after the other, says so, and is killed while it writes many more.
WRITER = """
import sys
from pathlib import Path
from cxr_edge.ledger.runs import open_ledger
from cxr_edge.ledger.file import transaction
from tests.ledger.entries import SETTINGS, entry
with open_ledger(Path(sys.argv[1])) as ledger:
    run = ledger.begin("killed", SETTINGS)
    for number in range(10):
        run.record([entry(f"{number}.png")])
    with transaction(run.connection) as connection:
        connection.execute("PRAGMA cache_size = 1")  # so that pages of the open one are written
        for number in range(5000):
            connection.execute("INSERT INTO item SELECT run, ?, stamp, sha256, display, status, "
                "reason, probability, warnings, width, height, format, modified_utc, "
                "device, features, new, checksum "
                "FROM item LIMIT 1", (b"%d" % number,))
        print("writing", flush=True)
        sys.stdin.read()
"""


def killed(folder: Path) -> Path:
    """What a run leaves that is killed while it writes."""
    with subprocess.Popen(
        [sys.executable, "-c", WRITER, str(folder)],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"writing\n"
        process.kill()
        assert process.wait() == -signal.SIGKILL
    assert names_in(folder) == [LEDGER_NAME, SHM, WAL]
    return folder / LEDGER_NAME


# Holds the lock until it is killed; a child of its own, started meanwhile, outlives it.
HOLDER = """
import subprocess, sys, time
from pathlib import Path
from cxr_edge.ledger.state import held
with held(Path(sys.argv[1]), ["cxr-edge", "score", "in"]):
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"],
                             stdout=subprocess.DEVNULL)
    print(child.pid, flush=True)
    time.sleep(60)
"""


@contextlib.contextmanager
def another_run(folder: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A process that holds the folder's lock by now."""
    command = [sys.executable, "-c", HOLDER, str(folder)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        child = int(process.stdout.readline())
        try:
            yield process
        finally:
            process.kill()
            os.kill(child, signal.SIGKILL)
