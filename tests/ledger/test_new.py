"""What is new since the last night that somebody can have read, and what is gone."""

from __future__ import annotations

from cxr_edge.ledger.rows import Entry
from cxr_edge.ledger.run import STUDY, Run
from cxr_edge.ledger.runs import Ledger
from cxr_edge.types import Reason
from tests.ledger.entries import SETTINGS, entry, everything

A, B, C = (letter * 64 for letter in "abc")


def night(ledger: Ledger, name: str, *entries: Entry, report: bool = True) -> Run:
    run = ledger.begin(name, SETTINGS)
    run.record(entries)
    run.finish({})
    if report:
        run.reported()
    return run


def new(run: Run) -> dict[str, bool]:
    return {each.path: each.new for each in everything(run)}


def test_everything_is_new_on_the_first_night(ledger: Ledger) -> None:
    assert new(night(ledger, "first", entry("a.png", sha256=A))) == {"a.png": True}


def test_bytes_decide_and_not_their_names(ledger: Ledger) -> None:
    night(ledger, "first", entry("a.png", sha256=A), entry("b.png", sha256=B))
    run = night(
        *(ledger, "second", entry("renamed.png", sha256=A), entry("b.png", sha256=C)),
    )
    assert new(run) == {"renamed.png": False, "b.png": True}
    assert run.gone() == 1, "the bytes that b.png had"


def test_what_was_not_read_goes_by_its_path(ledger: Ledger) -> None:
    unread = {"probability": None, "reason": Reason.PERMISSION}
    night(ledger, "first", entry("a.png", **unread), entry("b.png", **unread))
    run = night(ledger, "second", entry("a.png", **unread), entry("c.png", **unread))
    assert (new(run), run.gone()) == ({"a.png": False, "c.png": True}, 1)


def test_a_night_whose_report_never_came_was_never_seen(ledger: Ledger) -> None:
    """Finished or killed: nobody can have read it."""
    night(ledger, "first", entry("a.png", sha256=A))
    night(ledger, "no report", entry("b.png", sha256=B), report=False)
    ledger.begin("killed", SETTINGS).record([entry("c.png", sha256=C)])
    run = night(ledger, "next", *(entry(f"{name}.png", sha256=name[0] * 64) for name in "abc"))
    assert new(run) == {"a.png": False, "b.png": True, "c.png": True}


def test_another_model_makes_nothing_new(ledger: Ledger) -> None:
    night(ledger, "first", entry("a.png", sha256=A))
    run = ledger.begin("other settings", "others")
    run.record([entry("a.png", sha256=A)])
    assert new(run) == {"a.png": False}


def test_a_run_of_a_single_study_is_no_night(ledger: Ledger) -> None:
    night(ledger, "first", entry("a.png", sha256=A))
    study = ledger.begin("study", SETTINGS, STUDY)
    study.record([entry("b.png", sha256=B)])
    study.finish({})
    study.reported()
    run = night(ledger, "second", entry("a.png", sha256=A), entry("b.png", sha256=B))
    assert new(run) == {"a.png": False, "b.png": True}


def test_nights_are_forgotten_by_nights(ledger: Ledger) -> None:
    """However many single studies came between them."""
    night(ledger, "first", entry("a.png", sha256=A))
    for number in range(200):
        ledger.begin(f"study {number}", SETTINGS, STUDY).finish({})
    night(ledger, "second")
    assert "first" in ledger.finished_ids()
