"""Films through a real decoder process, with what it took."""

from __future__ import annotations

import itertools
import os
import re
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from cxr_edge.decoders.pool import Workers
from cxr_edge.intake.prepared import IntakeSettings, Prepared, Scope
from cxr_edge.types import FoundFile, Reason

SETTINGS = IntakeSettings(50, Scope((1.0, 5.0), ("anterior-posterior",)))
DEATHS = (Reason.DECODER_CRASHED, Reason.TIMEOUT)

MOST_SECONDS = 5.0
MOST_BYTES = 1024**3


@dataclass(frozen=True)
class Seen:
    """What became of one film.

    Attributes:
        seconds: since the answer before it. There is one process, which always has the next film
            waiting: no film took longer than that, a death and a new start included.
        computing: seconds of its process since then, which other programs do not change.
        resident: most memory that the process ever had, bytes.
        address_space: what its limit allows, bytes.
        process: its id.
    """

    name: str
    prepared: Prepared
    seconds: float
    computing: float
    resident: int
    address_space: int
    process: int

    @property
    def accepted(self) -> bool:
        """It would be scored."""
        return self.prepared.pixels is not None

    @property
    def picture(self) -> bytes:
        """What the network would see."""
        return b"" if self.prepared.pixels is None else self.prepared.pixels.tobytes()

    @property
    def outcome(self) -> str:
        """`accepted`, or the reason."""
        reason = self.prepared.result.reason
        return "accepted" if self.accepted or reason is None else reason.value


def decoded(films: Iterable[tuple[str, bytes]], folder: Path) -> list[Seen]:
    """Every film through the same decoder process, in order.

    Args:
        films: name and bytes, taken lazily; the name must be fit for a file and differ.
        folder: where they lie until they have been read.
    """
    seen = []
    spent: dict[int, float] = {}
    with Workers(1, SETTINGS) as workers:
        then = time.monotonic()
        for file, prepared in workers.prepare(_files(films, folder), lambda: False):
            now = time.monotonic()
            process = _decoder_process()
            total = _computed(process)
            times = now - then, total - spent.get(process, 0.0)
            seen.append(Seen(file.display, prepared, *times, *_memory(process), process))
            then, spent[process] = now, total
            file.path.unlink()
    return seen


def within_limits(seen: Iterable[Seen]) -> bool:
    """Time and memory of every film; one that ran into the decoder's own time limit has neither."""
    return all(
        each.computing < MOST_SECONDS
        and each.prepared.result.reason is not Reason.TIMEOUT
        and each.resident <= each.address_space <= MOST_BYTES
        for each in seen
    )


def deaths_without_a_row(seen: list[Seen]) -> int:
    """How often another process answers than the time before, and no film was blamed."""
    processes = [each.process for each in seen]
    rows = [each.prepared.result.reason in DEATHS for each in seen]
    changed = [now != before for before, now in itertools.pairwise(processes)]
    return sum(c and not row for c, row in zip(changed, rows[1:], strict=True))


def _files(films: Iterable[tuple[str, bytes]], folder: Path) -> Iterator[FoundFile]:
    for name, data in films:
        path = folder / name
        path.write_bytes(data)
        yield FoundFile(path, name)


def _decoder_process() -> int:
    """The one that decodes; our child forks it, and the reader, which has no prison."""
    (server,) = [c for c in _children("self") if b"cxr_edge.decoders.worker" in _command(c)]
    (process,) = [c for c in _children(server) if _number(int(c), "status", r"NoNewPrivs:\s+(\d)")]
    return int(process)


def _children(process: str) -> list[str]:
    tasks = Path("/proc", process, "task").glob("*/children")
    return [child for task in tasks for child in task.read_text().split()]


def _command(process: str) -> bytes:
    return Path("/proc", process, "cmdline").read_bytes()


def _computed(process: int) -> float:
    """Processor time of all its threads, seconds."""
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _memory(process: int) -> tuple[int, int]:
    """The most that it ever had, and what its limit allows; bytes."""
    resident = _number(process, "status", r"VmHWM:\s+(\d+) kB")
    return 1024 * resident, _number(process, "limits", r"Max address space\s+(\d+)")


def _number(process: int, page: str, pattern: str) -> int:
    """A figure that the kernel keeps about a process."""
    text = Path(f"/proc/{process}/{page}").read_text()
    found = re.search(pattern, text)
    if found is None:
        raise ValueError(f"{page} of a decoder process does not say {pattern}")
    return int(found[1])
