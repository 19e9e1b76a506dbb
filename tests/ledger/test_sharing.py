"""Two connections to one ledger: a reader beside a run, and whoever else has the file open."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from cxr_edge.errors import StateError
from cxr_edge.ledger.file import LEDGER_NAME, transaction
from cxr_edge.ledger.runs import open_ledger, read_ledger
from tests.factories import names_in
from tests.ledger.entries import SETTINGS, entry, everything
from tests.ledger.files import ROWS, filled


def test_a_reader_sees_what_was_committed_and_holds_nobody_up(tmp_path: Path) -> None:
    with open_ledger(tmp_path) as writer:
        run = writer.begin("first", SETTINGS)
        run.record([entry("1.png")])
        run.finish({})
        with transaction(run.connection), read_ledger(tmp_path) as reader:
            run.connection.execute("DELETE FROM item")
            assert len(everything(reader.finished("first")[0])) == 1
        with read_ledger(tmp_path) as reader:
            with pytest.raises(StateError, match="run first is damaged"):  # its row is gone
                reader.finished("first")
            run.record([entry("2.png")])
        assert len(everything(run)) == 1


def test_a_run_that_is_forgotten_meanwhile_is_rendered_whole(tmp_path: Path) -> None:
    filled(tmp_path)
    with open_ledger(tmp_path) as writer, read_ledger(tmp_path) as reader:
        run, _ = reader.finished("first")
        with transaction(writer.begin("second", SETTINGS).connection) as connection:
            connection.execute("DELETE FROM run WHERE id = 'first'")
        assert writer.finished_ids() == []
        assert len(everything(run)) == ROWS


def test_there_is_nothing_to_read_where_there_is_no_ledger(tmp_path: Path) -> None:
    with pytest.raises(StateError, match="no ledger") as caught, read_ledger(tmp_path / "none"):
        pytest.fail("read what is not there")
    assert "--state" in caught.value.tip
    assert names_in(tmp_path) == []


def test_a_second_connection_does_not_cost_the_first_its_locks(tmp_path: Path) -> None:
    """A file that a process closes loses all locks of that process, whoever took them."""
    steal = "import sqlite3, sys; c = sqlite3.connect(sys.argv[1], timeout=0.1);"
    steal += "print(c.execute('PRAGMA journal_mode = DELETE').fetchone()[0])"
    command = [sys.executable, "-c", steal, str(tmp_path / LEDGER_NAME)]
    with open_ledger(tmp_path) as ledger:
        ledger.begin("first", SETTINGS)
        with read_ledger(tmp_path):
            pass
        ended = subprocess.run(command, capture_output=True, text=True)
        assert (ended.returncode, "locked" in ended.stderr) == (1, True), ended.stdout
        ledger.begin("second", SETTINGS).record([entry()])


def test_a_ledger_that_somebody_else_writes_is_waited_for_then_given_up(tmp_path: Path) -> None:
    with open_ledger(tmp_path) as ledger:
        run = ledger.begin("first", SETTINGS)
        run.connection.execute("PRAGMA busy_timeout = 50")
        with closing(sqlite3.connect(tmp_path / LEDGER_NAME, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            with pytest.raises(StateError, match="locked"):
                run.record([entry()])
        run.record([entry()])
        assert len(everything(run)) == 1


def test_a_transaction_has_the_ledger_from_its_start(tmp_path: Path) -> None:
    with (
        open_ledger(tmp_path) as ledger,
        closing(sqlite3.connect(tmp_path / LEDGER_NAME, timeout=0)) as other,
    ):
        with (
            transaction(ledger.begin("first", SETTINGS).connection),
            pytest.raises(sqlite3.OperationalError, match="locked"),
        ):
            other.execute("DELETE FROM run")
        assert other.execute("DELETE FROM run").rowcount == 1
