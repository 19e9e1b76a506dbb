"""A night asks the ledger for work in proportion to its films, in steps that SQLite counts."""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from cxr_edge.ledger.identities import MOST_FILMS
from cxr_edge.ledger.made_reports import MadeReports
from cxr_edge.ledger.owed import OwedResults
from cxr_edge.ledger.run import FILES_PER_RECALL
from cxr_edge.ledger.runs import Ledger, open_ledger, passing_ledger
from cxr_edge.types import Reason
from tests.ledger.entries import SETTINGS, entry, everything

STEPS_A_COUNT = 10
FEW, MANY = 250, 1000
MOST = 1.6  # times the proportion: sorting and the depth of an index grow a little faster
UNREAD: dict[str, Any] = {"probability": None, "reason": Reason.PERMISSION}


@contextmanager
def counted(connection: sqlite3.Connection) -> Iterator[Callable[[], int]]:
    """Steps of SQLite's machine since this began."""
    count = 0

    def step() -> None:
        nonlocal count
        count += 1

    connection.set_progress_handler(step, STEPS_A_COUNT)
    yield lambda: STEPS_A_COUNT * count
    connection.set_progress_handler(None, 0)


def steps(ledger: Ledger, films: int) -> dict[str, int]:
    """Of each thing that a second night does; every fifth film could not be read."""
    entries = [
        entry(f"{number}.png", **UNREAD)
        if number % 5 == 0
        else entry(f"{number}.png", sha256=hashlib.sha256(b"%d" % number).hexdigest())
        for number in range(films)
    ]
    first = ledger.begin("first", SETTINGS, owes_results=True)
    first.record(entries)
    first.finish({})
    first.reported()
    second = ledger.begin("second", SETTINGS)
    files = [each.file for each in entries]
    hashes = [each.result.sha256 for each in entries if each.result.sha256]
    owed, reports = OwedResults.of(second), MadeReports(ledger.connection)
    work: dict[str, Callable[[], Any]] = {
        "recall": lambda: [
            second.recall(files[start : start + FILES_PER_RECALL])
            for start in range(0, films, FILES_PER_RECALL)
        ],
        "known": lambda: second.known_probabilities(hashes),
        "timed out": lambda: [second.timed_out(file) for file in files],
        "record": lambda: second.record(entries),
        "gone": second.gone,
        "finish": lambda: second.finish({}),
        "results": lambda: everything(second),
        "before": lambda: [owed.outcome_before(sha256) for sha256 in hashes],
        "owed": lambda: [owed.was_new(sha256) for sha256 in hashes],
        "answer": lambda: reports.record([], dict.fromkeys(hashes, "")),
        "answered": lambda: [reports.has_answered(sha256) for sha256 in hashes],
        "reported": second.reported,
        "read again": lambda: ledger.finished("second"),
        "the next": lambda: ledger.begin("third", SETTINGS),
    }
    found = {}
    for name, each in work.items():
        with counted(ledger.connection) as so_far:
            each()
            found[name] = so_far()
    return found


def test_four_times_the_films_are_four_times_the_work(tmp_path: Path) -> None:
    found = []
    for films in (FEW, MANY):
        folder = tmp_path / str(films)
        folder.mkdir(mode=0o700)
        with open_ledger(folder) as ledger:
            found.append(steps(ledger, films))
    few, many = found
    most = MOST * MANY / FEW
    assert {name: many[name] / few[name] for name in few if many[name] > most * few[name]} == {}
    assert few["gone"] > FEW, "the steps are counted"


def earlier_steps(ledger: Ledger, films: int, nights: int) -> float:
    """Of a film's earlier scores, where all films have the same patient ID."""
    entries = [
        entry(
            f"{number}.dcm",
            sha256=hashlib.sha256(b"%d" % number).hexdigest(),
            identity={"patient_id": "ANONYMOUS", "study_uid": f"1.{number}"},
        )
        for number in range(films)
    ]
    for night in range(nights):
        run = ledger.begin(f"{night}", SETTINGS)
        run.record(entries)
    with counted(ledger.connection) as so_far:
        for each in entries:
            run.identities.earlier(each.result.sha256, run.number, "2026-11-30")
        return so_far() / films


@pytest.mark.parametrize(
    ("few", "many"), [((FEW, 1), (MANY, 1)), ((MOST_FILMS, 1), (MOST_FILMS, 8))]
)
def test_earlier_scores_cost_a_film_the_same(few: tuple[int, int], many: tuple[int, int]) -> None:
    """However many films have a placeholder for a patient ID, and however many nights have them."""
    found = []
    for films, nights in (few, many):
        with passing_ledger() as ledger:
            found.append(earlier_steps(ledger, films, nights))
    assert found[1] < MOST * found[0]
