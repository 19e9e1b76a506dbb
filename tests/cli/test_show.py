"""Progress and clocks."""

from __future__ import annotations

import re
import sys
import time
from pathlib import Path

import pytest

from cxr_edge.cli import show
from cxr_edge.cli.show import Clock, Progress, QuietProgress, print_report
from tests.factories import report, result

Captured = pytest.CaptureFixture[str]


def shown(capsys: Captured, total: int | None, *batches: int) -> str:
    """What stderr says while so many files are recorded, a batch at a time."""
    with Progress(total) as progress:
        for files in batches:
            progress.recorded(files)
        assert progress.done == sum(batches)
    captured = capsys.readouterr()
    assert captured.out == "", "stdout is for data"
    return captured.err


LINES = {
    "few files": (7, [1, 2, 1], ""),
    "a line every so many": (12, [5, 5, 2], "5 of 12 files\n10 of 12 files\n"),
    "batches that step over": (12, [4, 4, 4], "8 of 12 files\n12 of 12 files\n"),
    "one line for a large batch": (30, [17], "17 of 30 files\n"),
    "nobody counted": (None, [5, 1], "5 files\n"),
    "nothing": (0, [], ""),
}


@pytest.mark.parametrize(("total", "batches", "text"), LINES.values(), ids=LINES)
def test_lines_where_there_is_no_terminal(
    total: int | None,
    batches: list[int],
    text: str,
    capsys: Captured,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(show, "FILES_PER_LINE", 5)
    assert shown(capsys, total, *batches) == text


def test_quiet(capsys: Captured) -> None:
    with QuietProgress() as progress:
        progress.recorded(5)
        progress.waiting(1, 10)
        assert progress.done == 5
    assert capsys.readouterr() == ("", "")


def test_a_bar_on_a_terminal(capsys: Captured, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm")
    made = shown(capsys, 3, 1, 1, 1)
    assert "scoring" in made
    assert "files" not in made


def test_a_wait_is_said_and_how_to_do_without(capsys: Captured) -> None:
    with Progress(None) as progress:
        progress.waiting(3, 9.2)
    assert capsys.readouterr().err == (
        "waiting 10 s for 3 files to settle (--settle 0 trusts them)\n"
    )
    with Progress(None) as progress:
        progress.waiting(1, 9.2)
    assert "for 1 file to settle" in capsys.readouterr().err


@pytest.mark.parametrize(("watched", "most"), [(True, 200), (False, 1000)])
def test_a_path_of_thousands_of_characters_hides_no_other_row(
    watched: bool, most: int, capsys: Captured, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both of its ends are there, in a log too; the CSV has all of it."""
    monkeypatch.setattr(sys.stderr, "isatty", lambda: watched)
    name = f"first/{'x' * 4000}/last.png"
    print_report(report(result(name, 0.9)), tmp_path, verbose=False)
    said = "".join(capsys.readouterr().err.split())
    assert "first/" in said
    assert "last.png" in said
    assert said.count("x") < most


def test_a_bar_goes_away_after_an_error_too(
    capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm")
    with pytest.raises(ZeroDivisionError), Progress(3):
        raise ZeroDivisionError
    assert capsys.readouterr().err.endswith("\x1b[?25h\r\x1b[1A\x1b[2K"), "the cursor is back"


def test_a_clock_does_not_follow_the_wall(monkeypatch: pytest.MonkeyPatch) -> None:
    """A wall clock that is set back by an hour must not make a run last less than nothing."""
    clock = Clock()
    started = clock.started_utc
    monkeypatch.setattr(time, "time", lambda: 0.0)
    assert 0 <= clock.seconds < 60
    assert clock.started_utc == started
    to_the_second, microseconds = clock.run_id.split(".")
    assert f"{to_the_second}Z" == started.replace("-", "").replace(":", "")
    assert re.fullmatch(r"\d{6}Z", microseconds)
