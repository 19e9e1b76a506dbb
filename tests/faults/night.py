"""A small hospital's night: films, broken ones among them, and the installed tool over them."""

from __future__ import annotations

import csv
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from tests.cli.installed import BINARY, environment
from tests.cli.reports import is_night_line
from tests.factories import chest, names_in, write_tree
from tests.images.films import png

BATCH = 4
REPORT = ["run.json", "triage.csv", "triage.html"]
INCOMPLETE = 3  # what a night with broken films exits with
SECONDS = 120
_MARK = "CXR_NIGHT"

Item = TypeVar("Item")
Outcome = TypeVar("Outcome")
Ended = subprocess.CompletedProcess[bytes]


@dataclass(frozen=True)
class Ward:
    """Films and the model that scores them."""

    films: Path
    model: Path

    def score(self, place: Path, *more: object, out: str = "out") -> list[str]:
        """The arguments of a run whose state and report lie in `place`; later options win."""
        return [
            *("score", str(self.films), "--model", str(self.model), "-q", "--settle", "0"),
            *("--state", str(place / "state"), "--out", str(place / out)),
            *("--batch-size", str(BATCH), "--workers", "1", *map(str, more)),
        ]


@dataclass(frozen=True)
class Plan:
    """A ward, and the report that it must end with."""

    ward: Ward
    expected: bytes
    folder: Path


def film(number: int) -> bytes:
    """A small film; another one for every number up to 200."""
    return png(chest(tilt=number - 100))


def broken(number: int) -> bytes:
    """No bytes, a text, a film cut off, or film 0 once more."""
    return (b"", b"no film", film(number)[:200], film(0))[number % 4]


def write_films(folder: Path, count: int) -> Path:
    """So many films; every fifth is broken or a copy, and one more is on its way."""
    files = {f"{n:03}.png": broken(n // 5) if n % 5 == 4 else film(n) for n in range(count)}
    return write_tree(folder, {**files, "late.png.part": film(0)})


def cxr_edge(arguments: Sequence[str], env: dict[str, str] | None = None, **options: Any) -> Ended:
    """The installed command, to its end."""
    return to_its_end([str(BINARY), *arguments], env, **options)


def patched(patch: str, arguments: Sequence[str]) -> list[str]:
    """The same in a process that runs some Python first."""
    return [sys.executable, "-c", f"{patch}\nfrom cxr_edge.cli import main\nmain()", *arguments]


def to_its_end(command: Sequence[str], env: dict[str, str] | None = None, **options: Any) -> Ended:
    options = {"env": environment() if env is None else env, "timeout": SECONDS, **options}
    return subprocess.run(command, capture_output=True, **options)


def rows_of(out: Path) -> list[dict[str, str]]:
    """The rows of a report."""
    with (out / "triage.csv").open(newline="", encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


def csv_of(out: Path) -> bytes:
    return (out / "triage.csv").read_bytes()


def reference(ward: Ward, place: Path, *more: object) -> bytes:
    """The CSV of a run that nothing disturbs, with a row for every file."""
    ended = cxr_edge(ward.score(place, *more))
    assert (ended.returncode, is_night_line(ended.stderr)) == (INCOMPLETE, True)
    assert sorted(row["path"] for row in rows_of(place / "out")) == names_in(ward.films)
    return csv_of(place / "out")


def check_whole_or_absent(out: Path, expected: bytes) -> bool:
    """No reader ever sees a part of a report; returns whether there is one.

    What is new in it depends on whether an earlier report was there, and is no part of this.
    """
    if not out.exists():
        return False
    assert names_in(out) == REPORT
    assert without_new(csv_of(out)) == without_new(expected)
    assert (out / "triage.html").read_bytes().rstrip().endswith(b"</html>")
    return True


def without_new(csv: bytes) -> bytes:
    """But for its last column, which tells the first night from the second."""
    return re.sub(rb",(true|false)$", b"", csv, flags=re.MULTILINE)


def check_tidy(place: Path, *reports: str) -> None:
    """State, reports and the way to them, and nothing that somebody would have to clear away."""
    assert names_in(place) == sorted(["state", "index.html", "latest", *reports])
    kept = ["ledger.sqlite3", "lock"]  # the audit log is there once a night had a report
    assert names_in(place / "state") in (kept, ["audit.jsonl", *kept])


def marked(place: Path) -> dict[str, str]:
    """An environment by which processes of this place are known, and their children."""
    return environment(**{_MARK: str(place)})


def check_nobody_left(place: Path) -> None:
    """No process of a place goes on; a worker may need a moment to see that its parent is gone."""
    mark, until = f"{_MARK}={place}\0".encode(), time.monotonic() + 20
    while left := [each for each in Path("/proc").glob("[0-9]*") if mark in _environment(each)]:
        assert time.monotonic() < until, f"left running: {left}"
        time.sleep(0.05)


def _environment(process: Path) -> bytes:
    try:
        return (process / "environ").read_bytes() + b"\0"
    except OSError:
        return b""


def in_pairs(work: Callable[[Item], Outcome], items: Iterable[Item]) -> list[Outcome]:
    """Two at a time: most of a run is start-up, on one core."""
    with ThreadPoolExecutor(2) as pool:
        return list(pool.map(work, items))


def spread(count: int, most: int) -> list[int]:
    """1 to `count`, or `most` of them, evenly and with both ends."""
    if count <= most:
        return list(range(1, count + 1))
    return [1 + round(each * (count - 1) / (most - 1)) for each in range(most)]


def kill(process: subprocess.Popen[bytes]) -> None:
    """As the out-of-memory killer does."""
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
