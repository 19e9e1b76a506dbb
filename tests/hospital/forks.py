"""Commands that begin at once: a process that has everything imported, and forks for each.

As a program: reads from stdin, a line of JSON each, the words of a command and where its log goes,
and prints the number of the child that runs it; for the number of a child it prints its exit code,
once it has ended.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from cxr_edge.cli import main as cxr_edge_main
from tests.hospital.receiving import Receiving, command

_DRIVERS = ("hospital.receive", "hospital.results", "hospital.send", "scoring.night")


@dataclass
class Forks:
    """Starts, waits for and kills commands of cxr-edge."""

    process: subprocess.Popen[str]

    def start(self, log: Path, *words: object) -> int:
        """A command's process number."""
        return int(self._asked([str(log), *map(str, words)]))

    def begin(self, folder: Path, log: Path) -> tuple[int, Receiving]:
        """A receiver's process number, and the receiver; it listens."""
        number = self.start(log, *command(folder)[0][3:])
        return number, Receiving(folder, lambda: log.read_text() if log.exists() else "", alive)

    def wait(self, number: int) -> int:
        """Exit code of a command, once it has ended; negative after a signal."""
        return int(self._asked(number))

    def kill(self, number: int) -> int:
        """Kill a command, and wait until it is gone; its exit code, had it ended before."""
        os.kill(number, signal.SIGKILL)
        return self.wait(number)

    def _asked(self, question: object) -> str:
        assert self.process.stdin and self.process.stdout
        print(json.dumps(question), file=self.process.stdin, flush=True)
        return self.process.stdout.readline()


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
        cwd=folder,
    )
    try:
        yield Forks(process)
    finally:
        assert process.stdin and process.stdout
        process.stdin.close()
        process.wait(60)
        process.stdout.close()


def main() -> None:
    """Fork for each list of words; wait for each number."""
    for each in _DRIVERS:
        importlib.import_module(f"cxr_edge.{each}")
    for line in sys.stdin:
        question = json.loads(line)
        if isinstance(question, int):
            _, status = os.waitpid(question, 0)
            answer = os.waitstatus_to_exitcode(status)
        elif (answer := os.fork()) == 0:
            _run(*question)
        sys.stdout.write(f"{answer}\n")
        sys.stdout.flush()


def _run(log: str, *words: str) -> None:
    """Become `cxr-edge`."""
    output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    nothing = os.open(os.devnull, os.O_RDONLY)
    for descriptor, target in ((nothing, 0), (output, 1), (output, 2)):
        os.dup2(descriptor, target)
    sys.argv = ["cxr-edge", *words]
    cxr_edge_main()


if __name__ == "__main__":
    main()
