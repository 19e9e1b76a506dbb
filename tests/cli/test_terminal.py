"""Progress on a terminal and in a log."""

from __future__ import annotations

import pytest

from cxr_edge.cli import terminal
from cxr_edge.cli.terminal import ProgressBar, Terminal

Captured = pytest.CaptureFixture[str]


def shown(capsys: Captured, total: int | None, *batches: int) -> str:
    """What stderr says while so many files are recorded, a batch at a time."""
    with ProgressBar(total) as progress:
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
    monkeypatch.setattr(terminal, "FILES_PER_LINE", 5)
    assert shown(capsys, total, *batches) == text


def test_quiet(capsys: Captured) -> None:
    with Terminal(quiet=True).progress(5) as progress:
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
    with ProgressBar(None) as progress:
        progress.waiting(3, 9.2)
    assert capsys.readouterr().err == (
        "waiting 10 s for 3 files to settle (--settle 0 trusts them)\n"
    )
    with ProgressBar(None) as progress:
        progress.waiting(1, 9.2)
    assert "for 1 file to settle" in capsys.readouterr().err


def test_a_bar_goes_away_after_an_error_too(
    capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm")
    with pytest.raises(ZeroDivisionError), ProgressBar(3):
        raise ZeroDivisionError
    assert capsys.readouterr().err.endswith("\x1b[?25h\r\x1b[1A\x1b[2K"), "the cursor is back"


def test_warnings_are_printed_even_when_quiet_and_notes_are_not(capsys: Captured) -> None:
    Terminal(quiet=True).note("usual")
    Terminal(quiet=True).warn("look at this", "here")
    assert capsys.readouterr().err == "warning: look at this\n  tip: here\n"
    Terminal(quiet=False).note("usual")
    assert capsys.readouterr().err == "note: usual\n"
