"""Progress and clocks."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator

import pytest

from cxr_edge.cli import show
from cxr_edge.cli.show import Clock, with_progress


def test_items_pass_through(capsys: pytest.CaptureFixture[str]) -> None:
    assert list(with_progress(iter("abc"), 3, quiet=False)) == ["a", "b", "c"]
    assert capsys.readouterr() == ("", "")


def test_a_line_every_so_many_files(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(show, "FILES_PER_LINE", 2)
    list(with_progress(range(5), 5, quiet=False))
    assert capsys.readouterr() == ("", "2 of 5 files\n4 of 5 files\n")


def test_quiet(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(show, "FILES_PER_LINE", 1)
    list(with_progress(range(5), 5, quiet=True))
    assert capsys.readouterr() == ("", "")


def test_a_bar_on_a_terminal(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm")
    assert list(with_progress(range(3), 3, quiet=False)) == [0, 1, 2]
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "scoring" in captured.err


def test_progress_is_lazy() -> None:
    taken: list[int] = []

    def items() -> Iterator[int]:
        for number in range(3):
            taken.append(number)
            yield number

    next(iter(with_progress(items(), 3, quiet=True)))
    assert taken == [0]


def test_a_clock_does_not_follow_the_wall(monkeypatch: pytest.MonkeyPatch) -> None:
    """A wall clock that is set back by an hour must not make a run last less than nothing."""
    clock = Clock()
    started = clock.started_utc
    monkeypatch.setattr(time, "time", lambda: 0.0)
    assert 0 <= clock.seconds < 60
    assert clock.started_utc == started
    to_the_second, microseconds = clock.folder_name.split(".")
    assert f"{to_the_second}Z" == started.replace("-", "").replace(":", "")
    assert re.fullmatch(r"\d{6}Z", microseconds)
