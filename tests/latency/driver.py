"""What a film costs the driver of a cluster: `python -m tests.latency.driver FILES`.

Workers answer at once with made-up rows, so that the driver's own work is counted alone: the walk,
the settle rule, the ledger, chunks and commits. Nothing is sent anywhere.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import os
import sys
import tempfile
import time
from collections import deque
from dataclasses import dataclass, field, replace
from pathlib import Path

from cxr_edge.engines.chunks import Chunk, Distributed, Ended, Row
from cxr_edge.features import FEATURES
from cxr_edge.intake.ahead import ahead
from cxr_edge.intake.discover import discover
from cxr_edge.intake.settle import SettleRule
from cxr_edge.ledger.runs import open_ledger
from cxr_edge.scoring.observer import Progress, StopRequest
from cxr_edge.scoring.scorer import Scorer
from cxr_edge.types import FoundFile, Result, Status

_FILES_IN_A_FOLDER = 1000
_CHUNKS_UNDER_WAY = 64
_LONG_AGO = 1_700_000_000  # a stamp that is young is not kept
_MADE_UP = Result(
    *("film", Status.SCORED, None, 0.123456, (), 2000, 2500, "JPEG"),
    modified_utc="2023-11-14T22:13:20Z",
    features=tuple(0.123456 + each for each in range(len(FEATURES))),
)


@dataclass
class Instantly:
    """A pool whose workers have answered before anybody waits.

    Attributes:
        seconds: CPU time of making the answers up, which is no work of a driver.
    """

    seconds: float = 0.0
    _waiting: deque[Chunk] = field(default_factory=deque)

    @property
    def under_way(self) -> int:
        """As `chunks.Pool` has it."""
        return len(self._waiting)

    def has_place(self) -> bool:
        """As `chunks.Pool` has it."""
        return len(self._waiting) < _CHUNKS_UNDER_WAY

    def begin(self, chunk: Chunk) -> None:
        """As `chunks.Pool` has it."""
        self._waiting.append(chunk)

    def ended(self, seconds: float) -> list[Ended]:
        """As `chunks.Pool` has it."""
        then = time.thread_time()
        ended = [
            Ended(each, list(itertools.starmap(_row, enumerate(each.files))))
            for each in self._waiting
        ]
        self._waiting.clear()
        self.seconds += time.thread_time() - then
        return ended

    def stop(self) -> None:
        """As `chunks.Pool` has it."""


def _row(place: int, file: FoundFile) -> Row:
    sha256 = hashlib.sha256(os.fsencode(file.path)).hexdigest()
    return place, replace(_MADE_UP, path=file.display, sha256=sha256), file.stamp


def cost(folder: Path, state: Path) -> float:
    """CPU milliseconds of the driver for each film of a folder, in all its threads.

    Args:
        folder: of files; nothing reads them.
        state: of a ledger; a second call with the same one finds every row there.
    """
    pool, progress = Instantly(), Progress()
    with open_ledger(state) as ledger:
        run = ledger.begin(f"run-{time.monotonic_ns()}", "settings")
        then = time.process_time()
        scorer = Scorer(Distributed(pool), run, SettleRule(), StopRequest(), progress)
        scorer.score(ahead(discover([folder]), lambda: False))
        seconds = time.process_time() - then - pool.seconds
    return 1000 * seconds / progress.done


def write_files(folder: Path, count: int) -> None:
    """So many empty files that are old, a thousand in a folder."""
    for number in range(count):
        place = folder / f"{number // _FILES_IN_A_FOLDER:05}"
        if number % _FILES_IN_A_FOLDER == 0:
            place.mkdir(parents=True)
        path = place / f"1.2.826.0.1.{number:08}.dcm"
        path.touch()
        os.utime(path, (_LONG_AGO, _LONG_AGO))


def measure(folder: Path, runs: int) -> dict[str, list[float]]:
    """Milliseconds of a film by kind, in turn: `new`, and `recalled` from an earlier run."""
    found: dict[str, list[float]] = {"new": [], "recalled": []}
    for _ in range(runs):
        with tempfile.TemporaryDirectory() as state:
            os.chmod(state, 0o700)  # noqa: PTH101 - as the state folder must be
            for each in found.values():
                each.append(cost(folder, Path(state)))
    return found


def main(files: int, runs: int = 3) -> None:
    """Measure, and print JSON."""
    with tempfile.TemporaryDirectory() as place:
        write_files(Path(place, "films"), files)
        time.sleep(3)  # their ctime is of now
        found = measure(Path(place, "films"), runs)
    sys.stdout.write(f"{json.dumps({'files': files, 'ms': found, 'load': os.getloadavg()[0]})}\n")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
