"""Receivers that begin at once: a process that has everything imported, and forks for each.

As a program: reads names of folders from stdin, and prints the number of the child that has begun
to receive into a spool there; its log is a file beside.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from cxr_edge.hospital.receive import receive
from cxr_edge.hospital.receive_job import ReceiveJob
from tests.hospital.receiving import PEER, TITLE, Receiving, command


@dataclass
class Forks:
    """Starts and kills receivers."""

    process: subprocess.Popen[str]

    def begin(self, folder: Path, log: Path) -> tuple[int, Receiving]:
        """A receiver's process number, and the receiver; it listens."""
        assert self.process.stdin and self.process.stdout
        print(f"{folder}\t{log}", file=self.process.stdin, flush=True)
        number = int(self.process.stdout.readline())
        return number, Receiving(folder, lambda: log.read_text() if log.exists() else "", alive)

    def kill(self, number: int) -> None:
        """Kill a receiver, and wait until it is gone."""
        assert self.process.stdin and self.process.stdout
        os.kill(number, signal.SIGKILL)
        print(f"gone\t{number}", file=self.process.stdin, flush=True)
        assert self.process.stdout.readline() == f"{number}\n"


def alive() -> bool:
    return True


@contextlib.contextmanager
def forks(folder: Path) -> Iterator[Forks]:
    """A process to fork from."""
    _, environment = command(folder)
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.hospital.forks"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=environment,
    )
    try:
        yield Forks(process)
    finally:
        assert process.stdin and process.stdout
        process.stdin.close()
        process.wait(60)
        process.stdout.close()


def main() -> None:
    """Fork for each line; `gone` waits for a child instead."""
    for line in sys.stdin:
        name, value = line.rstrip("\n").split("\t")
        if name == "gone":
            os.waitpid(int(value), 0)
            sys.stdout.write(f"{value}\n")
            sys.stdout.flush()
        elif number := os.fork():
            sys.stdout.write(f"{number}\n")
            sys.stdout.flush()
        else:
            _receive(Path(name), Path(value))


def _receive(folder: Path, log: Path) -> None:
    stream = log.open("w", buffering=1)
    job = ReceiveJob(TITLE, "127.0.0.1:0", (PEER,), folder / "spool")
    receive(job, lambda line: print(line, file=stream, flush=True), threading.Event())


if __name__ == "__main__":
    main()
