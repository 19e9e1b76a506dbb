"""The table that a run ends with."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from cxr_edge.cli.show import print_report
from cxr_edge.types import Reason
from tests.factories import report, result

Captured = pytest.CaptureFixture[str]


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


def test_a_narrow_terminal_shows_files_and_remarks(
    capsys: Captured, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", "40")
    reason = result("a/1.png", None, reason=Reason.TRUNCATED)
    print_report(report(reason, result("two.png", 0.9)), tmp_path, verbose=False)
    lines = [line.split() for line in capsys.readouterr().err.splitlines()[1:3]]
    assert lines[0][:3] == ["1", "attention", "a/1.png"]
    assert lines[1][:3] == ["2", "flagged", "two.png"]
    assert lines[0][3].startswith("trunc")
