"""Locks, and processes that nobody would stop."""

from __future__ import annotations

from pathlib import Path

import pytest

from cxr_edge.errors import StateBusyError
from cxr_training.fit.run_lock import locked
from tests.training.helpers import fresh_python

PARENT = """
import multiprocessing
from tests.training.spawned import lasts
child = multiprocessing.get_context("spawn").Process(target=lasts, daemon=True)
child.start()
child.join()
"""


@pytest.mark.parametrize("kind", ["file", "folder"])
def test_a_second_one_is_refused_and_a_later_one_is_not(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "it"
    path.touch() if kind == "file" else path.mkdir()
    with locked(path, "the work"):
        with pytest.raises(StateBusyError, match="another process works on the work") as busy:
            locked(path, "the work").__enter__()
        assert (busy.value.exit_code, busy.value.tip[:8]) == (75, "wait for")
    with locked(path, "the work"):
        pass


def test_a_share_without_locks_stops_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unknown(*_: object) -> None:
        raise OSError(38, "Function not implemented")

    monkeypatch.setattr("fcntl.flock", unknown)
    with locked(tmp_path, "the work"), locked(tmp_path, "the work"):
        pass


def test_a_process_ends_with_a_parent_that_was_killed() -> None:
    """The end of the pipe comes when nobody is left who could write into it."""
    parent = fresh_python(PARENT)
    assert parent.stdout is not None
    assert parent.stdout.readline() == "begun\n"
    parent.kill()
    assert parent.communicate(timeout=20)[0] == ""
