"""Runs of the command on a cluster, or beside it."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

from tests.engines.conftest import ROOT, RayCluster

SECONDS = 900  # of a run, on a busy machine
INCOMPLETE = 3


def command(folder: Path | str, place: Path, *more: str) -> list[str]:
    return [
        *(sys.executable, "-m", "cxr_edge", "score", str(folder), "--settle", "0"),
        *("--state", str(place / "state"), "--out", str(place / "out"), *more),
    ]


def environment(cluster: RayCluster | None) -> dict[str, str]:
    return {**(cluster.environment if cluster else os.environ), "PYTHONPATH": str(ROOT)}


def started(
    folder: Path, place: Path, cluster: RayCluster | None, *more: str
) -> subprocess.Popen[str]:
    on = ("--cluster", cluster.address) if cluster else ()
    return subprocess.Popen(
        command(folder, place, *on, *more),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        env=environment(cluster),
    )


def ended(process: subprocess.Popen[str], code: int = INCOMPLETE) -> str:
    _, stderr = process.communicate(timeout=SECONDS)
    assert process.returncode == code, stderr
    return stderr


def night(folder: Path, place: Path, cluster: RayCluster | None = None, *more: str) -> bytes:
    ended(started(folder, place, cluster, *more))
    return table(place)


def table(place: Path) -> bytes:
    return (place / "out" / "triage.csv").read_bytes()


def rows(place: Path) -> int:
    """Rows of the ledger so far."""
    path = place / "state" / "ledger.sqlite3"
    if not path.exists():
        return 0
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as ledger:
        try:
            return int(ledger.execute("SELECT COUNT(*) FROM item").fetchone()[0])
        except sqlite3.OperationalError:
            return 0


def until_it_scores(place: Path, process: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + SECONDS
    while not rows(place):
        assert process.poll() is None, process.communicate()[1]
        assert time.monotonic() < deadline
        time.sleep(0.1)
