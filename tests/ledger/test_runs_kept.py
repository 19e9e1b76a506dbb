"""A run in the ledger: its rows in reading order, its context, and when it is forgotten."""

from __future__ import annotations

import json
import tracemalloc
from pathlib import Path
from typing import Any

import pytest

from cxr_edge.errors import StateError
from cxr_edge.ledger.run import Run
from cxr_edge.ledger.runs import RUNS_KEPT, RUNS_KEPT_IN_ALL, Ledger, read_ledger
from cxr_edge.report import RunContext
from cxr_edge.report.context import RecordedRows
from cxr_edge.types import InputWarning, Reason
from tests.factories import context, result
from tests.ledger.entries import SETTINGS, SHA256, entry, everything, found, recall

FOLDER = [
    entry("scored.png", 0.9),
    entry("low.png", 0.1, modified_utc="2026-11-22T02:00:00Z"),
    entry("lower.png", 0.05, modified_utc="2026-11-22T01:00:00Z"),
    entry("é.png", 0.9, sha256=SHA256),
    entry("z.png", 0.9, sha256=SHA256),
    entry("warned.png", 0.2, warnings=(InputWarning.BLANK,)),
    entry("broken.png", None, sha256="cd" * 32),
    entry("Broken again.png", None, sha256="cd" * 32),
    entry("missing.png", None, None, reason=Reason.MISSING),
    entry("missing too.png", None, None, reason=Reason.MISSING),
]
READ = {
    "warned.png": "",
    "Broken again.png": "",
    "broken.png": "Broken again.png",
    "missing too.png": "",
    "missing.png": "",
    "scored.png": "",
    "z.png": "",
    "é.png": "z.png",
    "lower.png": "",
    "low.png": "",
}


@pytest.mark.parametrize("step", [1, -1], ids=["as they came", "the other way round"])
def test_rows_come_in_reading_order_with_their_first_copy(step: int, run: Run) -> None:
    for one in FOLDER[::step]:
        run.record([one])
    assert {item.path: item.duplicate_of for item in everything(run)} == READ
    assert [item.path for item in everything(run)] == list(READ)


def test_recorded_rows_can_be_gone_through_again(ledger: Ledger, run: Run) -> None:
    run.record(FOLDER)
    ledger.begin("second", SETTINGS).record([entry("of another run.png")])
    rows = RecordedRows(run, 0.5)
    assert [row.rank for row in rows] == list(range(1, len(FOLDER) + 1))
    for row in rows:
        assert row.result.path == "warned.png"
        break
    assert [row.result.path for row in rows] == list(READ)
    assert [row.result.path for row in RecordedRows(run, 0.95) if row.flagged] == []


def test_an_order_that_fails_is_an_error_of_the_ledger(run: Run) -> None:
    run.record([entry()])
    with pytest.raises(StateError, match="user-defined function"):
        list(run.results(lambda *_: 1 / 0))


def test_ten_thousand_rows_are_streamed(run: Run) -> None:
    count = 10_000
    run.record([entry(f"{n:05d}.png", n / count, sha256=f"{n:064x}") for n in range(count)])
    tracemalloc.start()
    try:
        paths = 0
        for row in RecordedRows(run, 0.5):
            paths += row.result.path.endswith(".png")
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert paths == count
    assert peak < 500_000, "a list of the rows takes over 5 MB"


def test_a_finished_run_keeps_its_context(ledger: Ledger, run: Run) -> None:
    said = context(command=("cxr-edge", "score", "é \\u202e"))
    run.record([entry()])
    run.finish(said.to_dict())
    again, values = ledger.finished("first")
    assert (again.number, again.settings_sha256) == (run.number, SETTINGS)
    assert RunContext.from_dict(values) == said
    assert everything(again) == [result()]


def test_a_context_of_before_its_settings_were_called_so_can_be_read() -> None:
    values = json.loads(json.dumps(context().to_dict()))
    earlier = {"recipe": values.pop("settings_sha256"), **values}
    assert RunContext.from_dict(earlier) == context()


@pytest.mark.parametrize("change", [{"seconds": "1"}, {"unknown": 1}], ids=str)
def test_a_context_of_another_version_is_refused(change: dict[str, Any]) -> None:
    values = json.loads(json.dumps(context().to_dict()))
    with pytest.raises((TypeError, ValueError), match="context"):
        RunContext.from_dict({**values, **change})


@pytest.mark.parametrize("run_id", ["first", "never"])
def test_a_run_that_is_not_finished_has_no_report(run_id: str, ledger: Ledger, run: Run) -> None:
    run.record([entry()])
    with pytest.raises(KeyError, match=run_id):
        ledger.finished(run_id)
    assert ledger.finished_ids() == []


def test_a_name_for_two_runs_is_refused(ledger: Ledger, run: Run) -> None:
    with pytest.raises(StateError, match="UNIQUE"):
        ledger.begin("first", SETTINGS)


def test_old_runs_are_forgotten(ledger: Ledger) -> None:
    """The last finished ones stay, with every unfinished one among them, and all their scores."""
    for night in range(RUNS_KEPT + 3):
        stopped = ledger.begin(f"{night} stopped", SETTINGS)
        stopped.record([entry(f"{night} stopped.png")])
        run = ledger.begin(f"{night}", SETTINGS)
        run.record([entry(f"{night}.png")])
        run.finish({})
    kept = [f"{night}" for night in range(RUNS_KEPT + 2, 1, -1)]
    assert ledger.finished_ids() == kept
    last = ledger.begin("last", SETTINGS)
    assert ledger.finished_ids() == kept[:RUNS_KEPT]

    def known(name: str) -> bool:
        return recall(last, found(name)) is not None

    assert [night for night in range(RUNS_KEPT + 3) if not known(f"{night}.png")] == [0, 1, 2]
    assert [n for n in range(RUNS_KEPT + 3) if not known(f"{n} stopped.png")] == [0, 1, 2, 3]
    rows = last.connection.execute("SELECT COUNT(*) FROM item").fetchone()[0]
    assert rows == 2 * RUNS_KEPT - 1


def test_a_damaged_row_is_a_file_that_could_not_be_read(ledger: Ledger, run: Run) -> None:
    run.record([entry("a.png", 0.5), entry("b.png", 0.25)])
    run.finish({})
    run.connection.execute("UPDATE item SET probability = 0.75 WHERE display = 'b.png'")
    read, _ = ledger.finished("first")
    assert [*read.damaged.values()] == ["b.png"]
    unread = result("b.png", None, reason=Reason.IO_ERROR)
    assert everything(read) == [unread, result("a.png", 0.5)]


def test_other_settings_do_not_push_a_stopped_run_out(ledger: Ledger, run: Run) -> None:
    run.record([entry()])
    for night in range(2 * RUNS_KEPT):
        ledger.begin(f"{night}", "other settings").finish({})
    assert recall(ledger.begin("last", SETTINGS), found()) == result()


def test_settings_that_are_never_used_again_are_forgotten_at_last(ledger: Ledger, run: Run) -> None:
    run.record([entry()])
    for night in range(RUNS_KEPT_IN_ALL + 1):
        ledger.begin(f"{night}", f"settings {night // 20}").finish({})
    last = ledger.begin("last", SETTINGS)
    assert recall(last, found()) is None
    assert len(ledger.finished_ids()) == RUNS_KEPT_IN_ALL


def test_without_finished_runs_nothing_is_forgotten(ledger: Ledger) -> None:
    for night in range(RUNS_KEPT + 5):
        ledger.begin(f"{night}", SETTINGS).record([entry(f"{night}.png")])
    last = ledger.begin("last", SETTINGS)
    assert all(recall(last, found(f"{night}.png")) for night in range(RUNS_KEPT + 5))


def test_a_reader_has_the_finished_runs(tmp_path: Path, ledger: Ledger, run: Run) -> None:
    run.record([entry()])
    run.finish({"said": "é"})
    with read_ledger(tmp_path) as reader:
        assert (reader.set_aside, reader.finished_ids()) == (None, ["first"])
        again, values = reader.finished("first")
        assert (everything(again), values) == ([result()], {"said": "é"})
