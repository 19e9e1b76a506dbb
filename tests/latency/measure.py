"""One whole process, its children included: how long, how much CPU, how much memory."""

from __future__ import annotations

import os
import subprocess
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
_SECONDS_BETWEEN_LOOKS = 0.02
# TensorFlow greets at length; and a program that is used has its bytecode beside it.
ENVIRONMENT = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"}
ENVIRONMENT.pop("PYTHONDONTWRITEBYTECODE", None)


@dataclass(frozen=True)
class Times:
    """Seconds of one run.

    Attributes:
        wall: from start to end.
        cpu: user and system, of the process and all its children.
        output: what it wrote to stdout.
    """

    wall: float
    cpu: float
    output: str


@dataclass(frozen=True)
class Memory:
    """Megabytes at the worst moment that was seen.

    Attributes:
        tree: resident in all processes together; a page of a file (a library) that several of
            them map counts once. Resident sizes would count it in each, and proportional ones
            (PSS) would leave a part of it to strangers who run on the same machine.
        largest: resident size of the largest process, as `/usr/bin/time` has it.
        processes: how many there were at once.
    """

    tree: float
    largest: float
    processes: int


def product(python: str) -> list[str]:
    """The command line as installed there; -P keeps a checkout that we stand in out of the way."""
    return [python, "-P", "-m", "cxr_edge"]


def timed(command: Sequence[str]) -> Times:
    """Run to the end, unwatched; RuntimeError with what it said when it fails."""
    with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as err:
        begun = time.perf_counter()
        process = subprocess.Popen(command, cwd=ROOT, env=ENVIRONMENT, stdout=out, stderr=err)
        _, status, usage = os.wait4(process.pid, 0)
        wall = time.perf_counter() - begun
        process.returncode = os.waitstatus_to_exitcode(status)
        out.seek(0)
        err.seek(0)
        if process.returncode:
            raise RuntimeError(f"exit code {process.returncode}: {command}\n{err.read()[-2000:]}")
        return Times(wall, usage.ru_utime + usage.ru_stime, out.read())


def watched(command: Sequence[str]) -> Memory:
    """Run to the end and look at its memory often, which costs time: not to be timed."""
    quiet = subprocess.DEVNULL
    process = subprocess.Popen(command, cwd=ROOT, env=ENVIRONMENT, stdout=quiet, stderr=quiet)
    tree, largest, processes = 0, 0, 0
    while process.poll() is None:
        pids = family(process.pid)
        tree = max(tree, resident([_text(f"/proc/{pid}/smaps") for pid in pids]))
        largest = max(largest, *map(_high_water, pids))
        processes = max(processes, len(pids))
        time.sleep(_SECONDS_BETWEEN_LOOKS)
    if process.returncode:
        raise RuntimeError(f"exit code {process.returncode}: {command}")
    # The high-water mark misses nothing, looking now and then does.
    return Memory(max(tree, largest) * 1024 / 1e6, largest * 1024 / 1e6, processes)


def family(pid: int) -> list[int]:
    """A process and all that descend from it."""
    found = [pid]
    for parent in found:  # grows on the way
        for task in Path(f"/proc/{parent}/task").glob("*/children"):
            found += map(int, _text(task).split())
    return found


def resident(maps: Sequence[str]) -> int:
    """Kilobytes of several `/proc/<pid>/smaps`: anonymous pages add up, a file's count once."""
    anonymous, files, mapping, rss = 0, dict[str, int](), "", 0
    for line in "".join(maps).splitlines():
        name, _, rest = line.partition(" ")
        if not name.endswith(":"):  # addresses; then rights, offset, device, inode and path
            mapping = rest
        elif name == "Rss:":
            rss = int(rest.split()[0])
        elif name == "Anonymous:":
            own = int(rest.split()[0])
            anonymous += own
            files[mapping] = max(files.get(mapping, 0), rss - own)
    return anonymous + sum(files.values())


def _high_water(pid: int) -> int:
    lines = _text(f"/proc/{pid}/status").splitlines()
    return next((int(line.split()[1]) for line in lines if line.startswith("VmHWM:")), 0)


def _text(path: str | Path) -> str:
    try:
        return Path(path).read_text()
    except OSError:  # it ended in between
        return ""
