"""Summaries of nights outlive the rows of their runs."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from cxr_edge.ledger import nights
from cxr_edge.ledger.nights import DAYS_KEPT
from cxr_edge.ledger.run import STUDY
from cxr_edge.ledger.runs import RUNS_KEPT, Ledger, open_ledger
from cxr_edge.support.utc import utc_text
from tests.ledger.entries import SETTINGS, entry


def summary(run: str, days_ago: float = 0) -> dict[str, Any]:
    return {"run": run, "started_utc": utc_text(datetime.now(UTC) - timedelta(days=days_ago))}


def reported(ledger: Ledger, name: str, days_ago: float = 0, **kind: str) -> None:
    run = ledger.begin(name, SETTINGS, **kind)
    run.record([entry()])
    run.finish({})
    run.reported(summary(name, days_ago))


def test_nights_outlive_their_rows(ledger: Ledger) -> None:
    names = [f"run {number:02d}" for number in range(RUNS_KEPT + 3)]
    for name in names:
        reported(ledger, name)
    assert list(ledger.nights.kept().summaries) == names
    assert len(ledger.finished_ids()) < len(names)


def test_single_studies_are_no_nights(ledger: Ledger) -> None:
    reported(ledger, "study", kind=STUDY)
    assert ledger.nights.kept().summaries == {}


def test_nights_are_forgotten_by_age(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nights, "_NIGHTS_KEPT", 1)
    for number, days_ago in enumerate((DAYS_KEPT + 1, DAYS_KEPT - 1, DAYS_KEPT + 2)):
        reported(ledger, f"run {number}", days_ago)
    ledger.begin("next", SETTINGS)
    assert list(ledger.nights.kept().summaries) == ["run 1", "run 2"]


def test_a_wrong_clock_costs_no_history(ledger: Ledger) -> None:
    """The nights before it look as old as it is wrong."""
    for number in range(3):
        reported(ledger, f"run {number}", 30_000)
    ledger.begin("next", SETTINGS)
    assert len(ledger.nights.kept().summaries) == 3


def test_a_damaged_summary_is_left_out(tmp_path: Path) -> None:
    with open_ledger(tmp_path) as ledger:
        reported(ledger, "good")
        reported(ledger, "bad")
        connection = ledger.nights.connection
        connection.execute("UPDATE night SET summary = '{}' WHERE id = 'bad'")
        kept = ledger.nights.kept()
    assert (list(kept.summaries), kept.damaged) == (["good"], ("bad",))
