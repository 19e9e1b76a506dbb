"""What forks decoder processes is there before anybody asks for one."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from cxr_edge.decoders import start as start_module
from cxr_edge.decoders.pool import Workers
from cxr_edge.decoders.start import Decoders
from cxr_edge.intake.discover import discover
from tests.factories import chest, names_in, raising, write_tree
from tests.images.films import png
from tests.nights import SETTINGS


def is_running(pid: int) -> bool:
    return Path("/proc", str(pid)).exists()


@pytest.fixture(autouse=True)
def two_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1})


def prepared(decoders: Decoders) -> list[int]:
    """The process that forks decoders, if there is one."""
    return [] if decoders._server is None else [decoders._server._process.pid]


@pytest.mark.parametrize(("cores", "started"), [(1, 0), (2, 1), (64, 1)])
def test_ahead_where_there_is_a_core(
    cores: int, started: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(cores)))
    with Decoders() as decoders:
        decoders.prepare()
        pids = prepared(decoders)
        assert len(pids) == started
        assert all(map(is_running, pids))
    assert not any(map(is_running, pids)), "nobody needed it"


def test_one_serves_all_pools(tmp_path: Path) -> None:
    """As of a run, and of its page."""
    films = {f"{number}.png": png(chest()) for number in range(9)}
    files = list(discover([write_tree(tmp_path / "in", films)]))
    with Decoders() as decoders:
        decoders.prepare()
        pids = prepared(decoders)
        for _ in range(2):
            with Workers(2, SETTINGS, decoders) as workers:
                assert len(list(workers.prepare(files, lambda: False))) == 9
                assert len(workers._workers) == 2
            assert prepared(decoders) == pids
            assert all(map(is_running, pids))
    assert not any(map(is_running, pids))


@pytest.mark.parametrize(
    ("name", "expected"), [("a.dcm", True), ("IM0001", True), ("1.2.840.9", True), ("a.png", False)]
)
def test_what_dicom_needs_is_imported_once(name: str, expected: bool, tmp_path: Path) -> None:
    """By the process that forks decoders, where a name promises such films."""
    files = list(discover([write_tree(tmp_path / "in", {name: png(chest())})]))
    with Decoders() as decoders, Workers(1, SETTINGS, decoders) as workers:
        ((_, made),) = workers.prepare(files, lambda: False)
        (server,) = prepared(decoders)
        assert ("gdcm" in Path(f"/proc/{server}/maps").read_text()) is expected
        assert made.result.format == "PNG"


def test_where_none_can_be_started_nothing_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    """The run may need none; it says so itself if it does."""
    monkeypatch.setattr(subprocess, "Popen", raising(OSError(11, "Resource unavailable")))
    before = names_in(Path("/proc/self/fd"))
    with Decoders() as decoders:
        decoders.prepare()
        assert prepared(decoders) == []
        assert names_in(Path("/proc/self/fd")) == before
        with pytest.raises(OSError, match="Resource unavailable"):
            decoders.start()
    assert names_in(Path("/proc/self/fd")) == before


def test_an_error_leaves_none_behind() -> None:
    with pytest.raises(ZeroDivisionError), Decoders() as decoders:
        decoders.prepare()
        pids = prepared(decoders)
        raise ZeroDivisionError
    assert not any(map(is_running, pids))


@pytest.mark.parametrize("stopped", [False, True])
def test_what_forks_no_more_is_replaced(stopped: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Dead, or silent for too long: its processes go with it."""
    monkeypatch.setattr(start_module, "GRACE_SECONDS", 0.5)
    with Decoders() as decoders:
        first = decoders.start()
        (pid,) = prepared(decoders)
        os.kill(pid, signal.SIGSTOP if stopped else signal.SIGKILL)
        assert first.end() == -signal.SIGKILL
        assert first.socket.fileno() == -1
        second = decoders.start()
        assert prepared(decoders) != [pid]
        assert not is_running(pid)
        second.socket.shutdown(socket.SHUT_WR)
        assert second.socket.recv(1) == b"", "it had no settings, and has ended"
        second.end()


def test_each_end_is_told_apart() -> None:
    """The exit code is that of the process which was asked for."""
    with Decoders() as decoders:
        one, other = decoders.start(), decoders.start()
        (server,) = prepared(decoders)
        forked = Path(f"/proc/{server}/task/{server}/children")
        while len(pids := forked.read_text().split()) < 2:
            time.sleep(0.01)
        for pid, number in zip(map(int, pids), (signal.SIGABRT, signal.SIGALRM), strict=True):
            os.kill(pid, number)
        assert one.socket.recv(1) == other.socket.recv(1) == b""
        assert (other.end(), one.end()) == (-signal.SIGALRM, -signal.SIGABRT)
        assert (other.end(), one.end()) == (os.EX_OSERR, os.EX_OSERR), "there is none any more"


SCORE = """
import os
from cxr_edge.cli.score import score
from cxr_edge.errors import InputError
try:
    score.main(["/no/such/folder"], standalone_mode=False)
except InputError:
    print(len(os.listdir("/proc/self/task")))
"""


def test_arrays_start_no_threads() -> None:
    """While decoders start beside them."""
    environment = {name: text for name, text in os.environ.items() if name[:8] != "OPENBLAS"}
    command = [sys.executable, "-c", SCORE]
    made = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    assert (made.stdout, made.stderr) == ("1\n", "")
