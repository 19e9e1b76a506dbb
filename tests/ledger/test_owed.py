"""Results that runs owe: who pays for a run that was killed before it had written them."""

from __future__ import annotations

from cxr_edge.ledger.owed import OwedResults
from cxr_edge.ledger.rows import Entry
from cxr_edge.ledger.run import NIGHT, STUDY, Run
from cxr_edge.ledger.runs import Ledger
from cxr_edge.types import Reason, Status
from tests.ledger.entries import SETTINGS, entry

A, B, C = (letter * 64 for letter in "abc")
FILMS = {name: entry(f"{name}.png", sha256=name) for name in (A, B, C)}


def reported(
    ledger: Ledger, name: str, *entries: Entry, results: bool = False, kind: str = NIGHT
) -> Run:
    """A run whose report lies in its place, and whose results are owed or never come."""
    run = ledger.begin(name, SETTINGS, kind, owes_results=results)
    run.record(entries)
    run.finish({})
    run.reported()
    return run


def owed(run: Run) -> set[str]:
    found = OwedResults.of(run)
    return {sha256 for sha256 in FILMS if found.was_new(sha256)}


def settle(run: Run) -> None:
    OwedResults.of(run).settle(run.connection)


def test_a_night_that_was_to_have_no_results_owes_none(ledger: Ledger) -> None:
    reported(ledger, "first", FILMS[A])
    second = reported(ledger, "second", FILMS[A], FILMS[B])
    assert owed(second) == set()
    assert OwedResults.of(second).first is None


def test_what_a_killed_night_owes_is_owed_by_the_next(ledger: Ledger) -> None:
    reported(ledger, "of long ago", FILMS[A])
    reported(ledger, "killed", FILMS[A], FILMS[B], results=True)
    second = reported(ledger, "second", *FILMS.values(), results=True)
    assert owed(second) == {B}
    settle(second)
    assert OwedResults.of(second).first is None
    assert owed(reported(ledger, "third", *FILMS.values(), results=True)) == set()


def test_nights_without_results_pay_nothing_and_owe_nothing(ledger: Ledger) -> None:
    reported(ledger, "killed", FILMS[A], results=True)
    reported(ledger, "without", FILMS[A], FILMS[B])
    assert owed(reported(ledger, "third", *FILMS.values(), results=True)) == {A}


def test_results_of_a_night_pay_for_none_that_came_later(ledger: Ledger) -> None:
    first = reported(ledger, "killed", FILMS[A], results=True)
    second = reported(ledger, "killed too", FILMS[A], FILMS[B], results=True)
    settle(first)
    assert OwedResults.of(second).first == second.number
    third = reported(ledger, "third", FILMS[A], FILMS[B], results=True)
    assert owed(third) == {B}


def test_an_outcome_that_a_killed_night_changed_is_changed_still(ledger: Ledger) -> None:
    reported(ledger, "first", entry("a.png", None, sha256=A, reason=Reason.BAD_OUTPUT))
    reported(ledger, "killed", FILMS[A], results=True)
    second = reported(ledger, "second", FILMS[A], results=True)
    before = OwedResults.of(second).outcome_before(A)
    assert before == (Status.NOT_SCORED, Reason.BAD_OUTPUT)
    settle(second)
    third = reported(ledger, "third", FILMS[A], results=True)
    assert OwedResults.of(third).outcome_before(A) == (Status.SCORED, None)


def test_nights_and_studies_do_not_pay_for_one_another(ledger: Ledger) -> None:
    reported(ledger, "killed", FILMS[A], results=True)
    study = reported(ledger, "study", FILMS[A], results=True, kind=STUDY)
    assert OwedResults.of(study).first == study.number
    settle(study)
    assert owed(reported(ledger, "second", FILMS[A], results=True)) == {A}


def test_a_study_is_compared_with_runs_of_either_kind(ledger: Ledger) -> None:
    reported(ledger, "study", entry("a.png", None, sha256=A, reason=Reason.EMPTY), kind=STUDY)
    study = reported(ledger, "second study", FILMS[A], kind=STUDY)
    assert OwedResults.of(study).outcome_before(A) == (Status.NOT_SCORED, Reason.EMPTY)
    night = reported(ledger, "night", FILMS[A])
    assert OwedResults.of(night).outcome_before(A) is None
