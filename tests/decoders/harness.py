"""Real decoder processes of which one part is replaced before they are forked."""

from __future__ import annotations

import os
import textwrap
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

import numpy as np

from cxr_edge.decoders.pool import Workers
from cxr_edge.intake.prepare import prepare
from cxr_edge.intake.prepared import Prepared
from cxr_edge.types import FoundFile, Reason, Result
from tests.nights import SETTINGS

BAD = "b.bad"  # a decoder is given no more of a name than its end
FORKSERVER, READER = 1, 1  # processes more than there are decoders

# The real worker. Marks lie in memory that all processes share: in its prison no decoder could make
# any other.
EVIL_DECODER = """
import ctypes, os, re, signal, sys, time
import numpy as np
from pathlib import Path
from cxr_edge.intake import prepare as prepare_module
from cxr_edge.decoders import worker
marks = np.memmap({marks!r}, np.int64, "r+")
real = prepare_module.decode
def decode(data, name, *rest):
    if name.endswith(".bad"):
        marks[0] += 1
        marks[marks[0]] = os.getpid()
        attempt = int(marks[0])
{body}
    return real(data, name, *rest)
prepare_module.decode = decode
worker.main()
"""
# Forks what knows the protocol and no image; starts five times as fast as what forks decoders.
OTHER = """
import json, os, socket, sys, time
from multiprocessing.connection import Connection
from cxr_edge.decoders import forkserver
from cxr_edge.decoders.reader import read_films
def work(descriptor):
    connection = Connection(descriptor)
{work}
control = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET, fileno=int(sys.argv[1]))
works = {{forkserver.READER: read_films, forkserver.DECODER: work}}
forkserver.serve(control, works, lambda: None)
"""
_MARKS = 512


class Marks:
    """The process ids that decoders of a bad film have left, one for each attempt."""

    def __init__(self, path: Path) -> None:
        """Make an empty list."""
        np.zeros(_MARKS, np.int64).tofile(path)
        self.path = path

    def pids(self) -> list[int]:
        """In order."""
        numbers = np.fromfile(self.path, np.int64)
        return [int(pid) for pid in numbers[1 : 1 + numbers[0]]]


def evil_decoder(body: str, marks: Marks) -> str:
    """What to start where decoding a bad film shall do this; `attempt` counts from 1."""
    return EVIL_DECODER.format(body=textwrap.indent(body, " " * 8), marks=str(marks.path))


def other(work: str) -> str:
    """What to start where forked processes shall do this with their `connection`."""
    return OTHER.format(work=textwrap.indent(work, "    "))


def never() -> bool:
    """No stop."""
    return False


def prepared(files: Iterable[FoundFile], count: int = 1) -> dict[str, Prepared]:
    """Outcomes by name; each file has one."""
    with Workers(count, SETTINGS) as pool:
        made = [(file.display, item) for file, item in pool.prepare(files, never)]
    assert len({name for name, _ in made}) == len(made), "a file twice"
    return dict(made)


def same(one: Prepared, other: Prepared) -> bool:
    """Whether two outcomes are equal, with all pixels."""
    planes = ((one.pixels, other.pixels), (one.view, other.view))
    return (one.result, one.stamp) == (other.result, other.stamp) and all(
        ours is theirs is None or np.array_equal(ours, theirs)  # type: ignore[arg-type]
        for ours, theirs in planes
    )


def given_up(file: FoundFile, reason: Reason) -> Prepared:
    """The outcome of a film that was read, and was too much for its decoders.

    Its bytes are named, so that somebody finds it in the archive.
    """
    sound = prepare(file, SETTINGS).result
    read = {"sha256": sound.sha256, "modified_utc": sound.modified_utc}
    return Prepared(Result.without_score(file.display, reason, **read), stamp=file.stamp)


def assert_only_one_is_hurt(films: list[FoundFile], reason: Reason) -> None:
    """The bad one has this reason, every other what it has in this process."""
    made = prepared(films)
    assert set(made) == {file.display for file in films}
    for file in films:
        if file.display == BAD:
            assert made[BAD] == given_up(file, reason)
        else:
            assert same(made[file.display], prepare(file, SETTINGS))


def descendants(ancestor: int | None = None) -> set[int]:
    """This process's own, or another's, the dead that nobody has waited for too."""
    parents = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):  # gone meanwhile
            text = stat.read_text(errors="replace")
            parents[int(stat.parent.name)] = int(text.rpartition(")")[2].split()[1])
    found = [ancestor or os.getpid()]
    for known in found:  # grows on the way
        found += [pid for pid, parent in parents.items() if parent == known]
    return set(found[1:])


def server_of(pool: Workers) -> int:
    """The process that forks the others."""
    server = pool._decoders._server
    assert server is not None
    return server._process.pid
