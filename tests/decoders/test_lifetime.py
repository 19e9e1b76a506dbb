"""Processes end with whoever needs them, and hold nothing open that is not theirs."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterable
from pathlib import Path

import pytest

from cxr_edge.decoders import start as start_module
from cxr_edge.decoders.pool import Workers
from cxr_edge.intake.prepare import prepare
from cxr_edge.types import FoundFile
from tests.decoders.conftest import Evil
from tests.decoders.harness import (
    FORKSERVER,
    READER,
    descendants,
    never,
    same,
    server_of,
)
from tests.factories import names_in
from tests.nights import SETTINGS


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=lambda n: n.name)
def test_workers_leave_signals_to_their_parent(
    number: signal.Signals, evil: Evil, films: list[FoundFile]
) -> None:
    """Ctrl-C goes to every process of a terminal; what is begun is finished."""
    marks = evil("time.sleep(0.5)")
    before = descendants()
    with Workers(1, SETTINGS) as pool:
        results = pool.prepare(films[3:4], never)
        first = []
        waiting = threading.Thread(target=lambda: first.append(next(results)))
        waiting.start()
        while not marks.pids():
            time.sleep(0.01)
        for process in descendants() - before:
            os.kill(process, number)
        waiting.join()
    ((_, item),) = first
    assert item.pixels is not None
    assert len(marks.pids()) == 1


def test_nothing_is_left_running(evil: Evil, films: list[FoundFile]) -> None:
    """Busy, idle, just started or dead."""
    marks = evil("time.sleep(60)")
    before = descendants()
    with Workers(3, SETTINGS) as pool:
        list(pool.prepare(films, lambda: bool(marks.pids())))
        assert len(descendants() - before) == 3 + READER + FORKSERVER
    assert descendants() == before
    assert [pid for pid in marks.pids() if Path("/proc", str(pid)).exists()] == []


def test_nothing_is_left_running_after_an_error(films: list[FoundFile]) -> None:
    before = descendants()
    with pytest.raises(ZeroDivisionError), Workers(2, SETTINGS) as pool:
        for _ in pool.prepare(films, never):
            raise ZeroDivisionError
    assert descendants() == before


PARENT = """
import sys
from pathlib import Path
from cxr_edge.decoders import start as start_module
from cxr_edge.intake.discover import discover
from cxr_edge.decoders.pool import Workers
from cxr_edge.intake.prepared import IntakeSettings, Scope
start_module._START = sys.argv[2]
with Workers(2, IntakeSettings(8, Scope((1.0, 5.0), ()))) as pool:
    for _ in pool.prepare(discover([Path(sys.argv[1])]), lambda: False):
        pass
    print("done", flush=True)
    sys.stdin.read()
"""
BUSY = {
    "idle": "pass",
    "decoding without end": "while True: pass",
    "stopped": "os.kill(os.getpid(), signal.SIGSTOP)",
}


@pytest.mark.parametrize("body", BUSY.values(), ids=BUSY)
def test_workers_end_when_their_parent_is_killed(
    body: str, evil: Evil, films: list[FoundFile]
) -> None:
    """Nobody can clean up after kill -9: they must notice themselves."""
    marks = evil(body)
    folder = films[0].path.parent
    with subprocess.Popen(
        [sys.executable, "-c", PARENT, str(folder), start_module._START],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd=Path(__file__).parents[2],
    ) as parent:
        assert parent.stdout is not None
        while not marks.pids():
            time.sleep(0.01)
        if body == "pass":
            parent.stdout.readline()
        pids = descendants(parent.pid)
        assert len(pids) == 2 + READER + FORKSERVER
        parent.kill()
    assert_gone(pids)


def assert_gone(pids: Iterable[int]) -> None:
    """At once, if nobody has to wait for a minute's alarm."""
    deadline = time.monotonic() + 10
    while any(map(is_running, pids)) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not any(map(is_running, pids))


def is_running(pid: int) -> bool:
    """Not a zombie, which whoever adopted it may not have waited for."""
    try:
        text = Path("/proc", str(pid), "stat").read_text(errors="replace")
    except OSError:
        return False
    return text.rpartition(")")[2].split()[0] != "Z"


def test_without_what_forks_them_no_decoder_lives(evil: Evil, films: list[FoundFile]) -> None:
    """Nobody could end one that hangs; the films go to others, forked by another."""
    marks = evil("attempt > 1 or time.sleep(60)")
    before = descendants()
    first: set[int] = set()
    with Workers(2, SETTINGS) as pool:

        def kill_once() -> bool:
            if marks.pids() and not first:
                first.update(descendants() - before)
                os.kill(server_of(pool), signal.SIGKILL)
            return False

        made = {file.display: item for file, item in pool.prepare(films, kill_once)}
        assert len(first) == 2 + READER + FORKSERVER
        assert_gone(first)
    assert descendants() == before
    for file in films:
        assert same(made[file.display], prepare(file, SETTINGS))


def test_what_a_decoder_holds_open(films: list[FoundFile]) -> None:
    """Its own connection: with another's, nobody would see that one die."""
    with Path(os.devnull).open() as lock, Workers(3, SETTINGS) as pool:
        os.set_inheritable(lock.fileno(), True)
        list(pool.prepare(films, never))
        server = server_of(pool)
        processes = descendants(server)
        held = [sockets_of(process) for process in (server, *processes)]
        assert held in ([1] * 5, [1] * 6)  # of a busy machine a second reader is asked


def sockets_of(process: int) -> int:
    """How many it has; besides standard streams nothing else may be open."""
    files = {each.name: str(each.readlink()) for each in Path(f"/proc/{process}/fd").iterdir()}
    assert {files.pop(stream) for stream in "012"} == {os.devnull}
    assert all(file.startswith("socket:") for file in files.values())
    return len(files)


def test_nothing_stays_open(evil: Evil, films: list[FoundFile]) -> None:
    """However many decoders have died."""
    evil("os.abort()")
    before = names_in(Path("/proc/self/fd"))
    with Workers(2, SETTINGS) as pool:
        for _ in range(2):
            list(pool.prepare(films, never))
        during = names_in(Path("/proc/self/fd"))
        opened = names_in(Path("/proc", str(server_of(pool)), "fd"))
        list(pool.prepare(films, never))
        assert len(names_in(Path("/proc/self/fd"))) == len(during)
        assert names_in(Path("/proc", str(server_of(pool)), "fd")) == opened
    assert names_in(Path("/proc/self/fd")) == before


def test_the_libraries_of_a_worker_start_no_threads(films: list[FoundFile]) -> None:
    """As many processes as cores are enough, and each thread costs address space."""
    before = descendants()
    with Workers(2, SETTINGS) as pool:
        assert len(list(pool.prepare(films, never))) == len(films)
        for process in descendants() - before:
            assert len(names_in(Path(f"/proc/{process}/task"))) == 1
