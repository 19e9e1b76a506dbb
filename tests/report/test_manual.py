"""The manual's page on the report names every column and every key, and no other."""

from __future__ import annotations

import re
from pathlib import Path

from cxr_edge.report.rows import COLUMNS
from cxr_edge.report.run_json import run_values
from tests.factories import report

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "report.md").read_text(encoding="utf-8")


def named(heading: str) -> list[str]:
    """The code words in the first column of the table of this section."""
    section = PAGE.split(f"\n## {heading}\n")[1].split("\n## ")[0]
    cells = re.findall(r"^\| ([^|]*`[^|]*) \|", section, re.MULTILINE)
    return re.findall("`([a-z0-9_]+)`", " ".join(cells))


def test_every_column_in_order() -> None:
    assert named("The columns of `triage.csv`") == list(COLUMNS)


def test_every_key_of_run_json() -> None:
    assert sorted(named("`run.json`")) == sorted(run_values(report()))


def test_the_way_back_from_a_path() -> None:
    """The expression that tests/support/test_text.py runs."""
    assert 'os.fsencode(path.encode("ascii", "backslashreplace").decode("unicode_escape"))' in PAGE
