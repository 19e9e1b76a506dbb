"""What more cores bring, and what one process must do alone however many there are.

The first is measured on the cores at hand: the same folder on 1, 2, 4, ... of them. The second is
counted: the main thread's CPU time in two folders; the difference is what a film costs it, and its
inverse the films per second at which it would become the limit.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from cxr_edge.support.cores import usable_cores
from tests.latency.measure import ENVIRONMENT, ROOT, Times, timed

_SECONDS_BETWEEN_LOOKS = 0.005
_PIN = "import os, sys; os.sched_setaffinity(0, set(map(int, sys.argv[1].split(','))))"
_PIN += "; os.execv(sys.argv[2], sys.argv[2:])"


def measure(command: Sequence[str], few: Path, many: Path, runs: int) -> dict[str, Any]:
    """Seconds of `score` by cores, in turn, and of its main thread over two folders.

    Args:
        command: `score` and a model; folder and options come behind it.
        few: a folder of films.
        many: another with more of them, which is also the one that is scored on fewer cores.
        runs: how often.
    """
    cores = sorted(os.sched_getaffinity(0))[: usable_cores()]
    counts = steps(len(cores))
    walls: dict[int, list[float]] = {count: [] for count in counts}
    for _ in range(runs):
        for count in counts:
            walls[count].append(_scored(command, many, cores[:count]).wall)
    threads = {each: [_main_thread(command, each) for _ in range(runs)] for each in (few, many)}
    return {
        "films": _films(many),
        "wall": {str(count): seconds for count, seconds in walls.items()},
        "main_thread": {str(_films(each)): seconds for each, seconds in threads.items()},
    }


def steps(cores: int) -> list[int]:
    """1, 2, 4, ... up to all of them."""
    return [*(2**k for k in range(cores.bit_length()) if 2**k < cores), cores]


def cpu_seconds(stat: str) -> float:
    """User and system time in a `/proc/<pid>/task/<tid>/stat`, proc(5)."""
    fields = stat.rpartition(")")[2].split()  # the name before it may hold anything
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _scored(command: Sequence[str], folder: Path, cores: Sequence[int]) -> Times:
    with tempfile.TemporaryDirectory() as own:
        pin = [sys.executable, "-c", _PIN, ",".join(map(str, cores))]
        return timed([*pin, *_over(command, folder, own)])


def _main_thread(command: Sequence[str], folder: Path) -> float:
    """CPU seconds of the thread that started it all; what runs beside it is left out."""
    with tempfile.TemporaryDirectory() as own:
        quiet = subprocess.DEVNULL
        whole = _over(command, folder, own)
        process = subprocess.Popen(whole, cwd=ROOT, env=ENVIRONMENT, stdout=quiet, stderr=quiet)
        stat, seconds = Path(f"/proc/{process.pid}/task/{process.pid}/stat"), 0.0
        while process.poll() is None:
            seconds = max(seconds, cpu_seconds(stat.read_text()))
            time.sleep(_SECONDS_BETWEEN_LOOKS)
        if process.returncode:
            raise RuntimeError(f"exit code {process.returncode}: {whole}")
        return seconds


def _over(command: Sequence[str], folder: Path, own: str) -> list[str]:
    return [*command, str(folder), "-q", "--state", f"{own}/state", "--out", f"{own}/out"]


def _films(folder: Path) -> int:
    return sum(path.is_file() for path in folder.rglob("*"))
