"""`cxr-edge history` after nights of `score`."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path

from cxr_edge.ledger.file import LEDGER_NAME
from tests.cli.conftest import Run


def test_each_night_is_listed(run: Run, tiny: Path, films: Path, tmp_path: Path) -> None:
    for night in ("first", "second"):
        assert run("score", films, "--model", tiny, "--out", tmp_path / night, "-q").code == 0
    made = run("history")
    assert (made.code, made.err) == (0, "")
    assert len(made.out.splitlines()) == 3
    values = json.loads(run("history", "--json", "--html", tmp_path / "page").out)
    again = run("history", "--html", tmp_path / "page")
    assert (again.code, "tip: nothing is ever overwritten: give --html" in again.err) == (2, True)
    assert [night["counts"]["found"] for night in values["nights"]] == [3, 3]
    assert [night["new"] for night in values["nights"]] == [3, 0]
    assert values["nights"][0]["features"]["films"] == 3
    assert (tmp_path / "page" / "history.html").is_file()


def test_no_ledger_and_several(run: Run, tiny: Path, films: Path, tmp_path: Path) -> None:
    made = run("history")
    assert (made.code, "there is no ledger" in made.err) == (2, True)
    for name, folder in {"first": films, "second": films / "sub"}.items():
        run("score", folder, "--model", tiny, "--out", tmp_path / name, "-q")
    made = run("history")
    assert (made.code, "several ledgers, the one written last first: " in made.err) == (2, True)


def test_a_damaged_night_is_named(run: Run, tiny: Path, films: Path, tmp_path: Path) -> None:
    state = tmp_path / "state"
    run("score", films, "--model", tiny, "--out", tmp_path / "out", "--state", state, "-q")
    with closing(sqlite3.connect(state / LEDGER_NAME)) as ledger, ledger:
        ledger.execute("UPDATE night SET summary = replace(summary, 'tiny', 'tony')")
    made = run("history", "--state", state)
    assert made.code == 0
    assert "warning: summaries left out, damaged or of another version: 2" in made.err
