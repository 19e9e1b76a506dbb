"""A receiver in a process of its own, and senders that nobody here wrote."""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from pydicom.dataset import Dataset
from pydicom.uid import generate_uid

from cxr_edge.hospital.receive import receive
from cxr_edge.hospital.receive_job import ReceiveJob
from tests.images import dicoms

ROOT = Path(__file__).resolve().parents[2]
needs_dcmtk = pytest.mark.skipif(
    any(shutil.which(name) is None for name in ("storescu", "storescp", "echoscu")),
    reason="no dcmtk",
)
TITLE, PEER = "EDGE", "PACS"


def uid(*parts: object) -> str:
    """A UID of a test's own, the same each time."""
    return str(generate_uid(entropy_srcs=["tests", *map(str, parts)]))


def film(number: int, study: int = 0, **elements: object) -> bytes:
    """A film with identifiers that must never reach a log."""
    uids = {"StudyInstanceUID": uid("study", study), "SeriesInstanceUID": uid("series", study)}
    return dicoms.film(**{"SOPInstanceUID": uid(number), **uids, **elements})


def write_films(folder: Path, count: int, films_of_study: int = 2) -> Path:
    """So many films, some to a study."""
    folder.mkdir(parents=True)
    for number in range(count):
        (folder / f"{number}.dcm").write_bytes(film(number, number // films_of_study))
    return folder


def content(path: Path) -> bytes:
    """A data set without the header of its file."""
    data = path.read_bytes()
    (length,) = [int.from_bytes(data[140:144], "little")]
    return data[144 + length :]


def contents(folder: Path, pattern: str = "*.dcm") -> dict[str, str]:
    """Hash of each data set below a folder, by path."""
    return {str(path): hashlib.sha256(content(path)).hexdigest() for path in folder.rglob(pattern)}


class Receiving:
    """A receiver: its log, and where it keeps films."""

    def __init__(self, folder: Path, log: Callable[[], str], is_alive: Callable[[], bool]) -> None:
        """Wait until it listens."""
        self.spool, self.films = folder / "spool", folder / "spool/films"
        self._log, self._is_alive = log, is_alive
        self.port = int(self.wait_for(r"listens on \S+:(\d+)")[1])

    @property
    def log(self) -> str:
        """What it has printed."""
        return self._log()

    def wait_for(self, pattern: str, seconds: float = 60) -> re.Match[str]:
        """A line of its log."""
        end = time.monotonic() + seconds
        while not (found := re.search(pattern, self.log)):
            assert time.monotonic() < end and self._is_alive(), self.log
            time.sleep(0.02)
        return found


@contextlib.contextmanager
def receiving(folder: Path, **options: Any) -> Iterator[Receiving]:
    """A receiver in a thread, with its spool below a folder; stopped gently."""
    lines: list[str] = []
    stop = threading.Event()
    given = {"title": TITLE, "bind": "127.0.0.1:0", "senders": (PEER,), "spool": folder / "spool"}
    job = ReceiveJob(**{**given, **options})  # type: ignore[arg-type]
    thread = threading.Thread(target=receive, args=(job, lines.append, stop.is_set))
    thread.start()
    try:
        yield Receiving(folder, lambda: "\n".join(lines), thread.is_alive)
    finally:
        stop.set()
        thread.join(60)
        assert not thread.is_alive()


class Process(Receiving):
    """The same in a process of its own, which can be killed."""

    def __init__(self, process: subprocess.Popen[bytes], folder: Path, log: Path) -> None:
        """Wait until it listens."""
        self._process = process
        super().__init__(folder, log.read_text, lambda: process.poll() is None)

    def tell(self, number: int) -> None:
        """Send a signal, and wait for nothing."""
        self._process.send_signal(number)

    def end(self, number: int = signal.SIGTERM) -> int:
        """Its exit code after a signal."""
        self.tell(number)
        return self._process.wait(60)


def command(folder: Path, *options: object) -> tuple[list[str], dict[str, str]]:
    """The command line of a receiver, and its environment."""
    words = (
        *(sys.executable, "-m", "cxr_edge", "receive", "--aet", TITLE, "--from", PEER),
        *("--bind", "127.0.0.1:0", "--spool", folder / "spool", *options),
    )
    return list(map(str, words)), {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([str(ROOT), *sys.path]),
    }


@contextlib.contextmanager
def receiving_apart(folder: Path, *options: object) -> Iterator[Process]:
    """A receiver in a process of its own; killed at the end if it still runs."""
    words, environment = command(folder, *options)
    log = folder / f"log-{time.monotonic_ns()}"
    with log.open("wb") as stream:
        process = subprocess.Popen(words, stderr=stream, stdout=stream, env=environment)
    try:
        yield Process(process, folder, log)
    finally:
        process.kill()
        process.wait()


def storescu(
    port: int, *files: Path, options: tuple[str, ...] = ()
) -> subprocess.CompletedProcess[str]:
    """Send files and folders with dcmtk."""
    return subprocess.run(
        [
            *("storescu", "-v", "-aet", PEER, "-aec", TITLE, *options, "127.0.0.1", str(port)),
            *("+sd", "+r", *map(str, files)),
        ],
        capture_output=True,
        text=True,
        timeout=300,
    )


def dataset(number: int) -> Dataset:
    """A small object without pixels."""
    made = Dataset()
    made.SOPClassUID, made.SOPInstanceUID = dicoms.DX, uid(number)
    made.StudyInstanceUID, made.PatientName = uid("study", number), dicoms.NAME
    return made
