"""The driver's benchmark does what it says it measures: a row for each file, and none read."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from functools import partial
from pathlib import Path

import pytest

from cxr_edge.intake.settle import SettleRule
from tests.latency import driver
from tests.latency.driver import cost, write_files


def test_every_file_has_a_row_twice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(driver, "SettleRule", partial(SettleRule, 0))  # nobody waits for new files
    write_files(tmp_path / "films", 40)
    state = tmp_path / "state"
    state.mkdir(0o700)
    assert cost(tmp_path / "films", state) > 0 < cost(tmp_path / "films", state)
    with closing(sqlite3.connect(state / "ledger.sqlite3")) as ledger:
        assert ledger.execute("SELECT run, COUNT(*) FROM item GROUP BY run").fetchall() == [
            (1, 40),
            (2, 40),
        ]
