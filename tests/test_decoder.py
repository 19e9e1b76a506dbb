"""Decoder processes that are there before anybody asks for one."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from cxr_edge.decoder import started_ahead
from cxr_edge.discover import discover
from cxr_edge.workers import Workers
from tests.factories import chest, names_in, raising, write_tree
from tests.images.films import png
from tests.nights import SETTINGS


def is_running(pid: int) -> bool:
    return Path("/proc", str(pid)).exists()


@pytest.fixture(autouse=True)
def two_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1})


@pytest.mark.parametrize(("cores", "started"), [(1, 0), (2, 1), (64, 1)])
def test_one_where_there_is_a_core(
    cores: int, started: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(cores)))
    with started_ahead() as spare:
        pids = [decoder.process.pid for decoder in spare]
        assert len(pids) == started
        assert all(map(is_running, pids))
    assert not any(map(is_running, pids)), "nobody needed them"


def test_it_is_the_first_one_used(tmp_path: Path) -> None:
    films = {f"{number}.png": png(chest()) for number in range(9)}
    files = list(discover([write_tree(tmp_path / "in", films)]))
    with started_ahead() as spare:
        process = spare[0].process
        with Workers(2, SETTINGS, spare) as workers:
            assert len(list(workers.prepare(files, lambda: False))) == 9
            assert spare == []
            assert workers._workers[0]._process is process
            assert len(workers._workers) == 2
        assert not is_running(process.pid)


def test_where_none_can_be_started_nothing_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    """The run may need none; it says so itself if it does."""
    monkeypatch.setattr(subprocess, "Popen", raising(OSError(11, "Resource unavailable")))
    before = names_in(Path("/proc/self/fd"))
    with started_ahead() as spare:
        assert spare == []
    assert names_in(Path("/proc/self/fd")) == before


def test_an_error_leaves_none_behind() -> None:
    with pytest.raises(ZeroDivisionError), started_ahead() as spare:
        pids = [decoder.process.pid for decoder in spare]
        raise ZeroDivisionError
    assert not any(map(is_running, pids))


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
