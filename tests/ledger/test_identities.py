"""Whom films are of, apart from their scores."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from cxr_edge.ledger.identities import MOST_FILMS, EarlierScore
from cxr_edge.ledger.rows import Entry
from cxr_edge.ledger.run import Run
from cxr_edge.ledger.runs import Ledger, open_ledger
from cxr_edge.triage import reading_key
from tests.ledger.entries import SETTINGS, entry

A, B, C = (letter * 64 for letter in "abc")
FIELDS = ("patient_id", "study_uid", "acquired")


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with open_ledger(tmp_path) as opened:
        yield opened


def whose(patient: str, study: str = "1.2", acquired: str = "2026-11-30") -> dict[str, str]:
    return dict(zip(FIELDS, (patient, study, acquired), strict=True))


@pytest.fixture
def run(ledger: Ledger) -> Run:
    """Two films of one patient, in two studies, and one of another."""
    run = ledger.begin("first", SETTINGS)
    run.record(
        [
            entry("a.dcm", 0.9, sha256=A, identity=whose("P1")),
            entry("b.dcm", 0.2, sha256=B, identity=whose("P1", "3.4", "2026-11-01")),
            entry("c.dcm", 0.4, sha256=C, identity=whose("P2", "5.6")),
        ]
    )
    return run


def named(run: Run, fields: tuple[str, ...] = FIELDS) -> dict[str, dict[str, str]]:
    return {each.path: each.identity for each in run.results(reading_key(0.5), fields)}


def test_rows_carry_the_fields_that_were_asked_for(run: Run) -> None:
    assert named(run)["a.dcm"] == whose("P1")
    assert named(run, ("study_uid",))["b.dcm"] == {"study_uid": "3.4"}
    assert named(run, ("AccessionNumber",))["b.dcm"] == {"AccessionNumber": ""}
    assert named(run, ())["a.dcm"] == {}


def test_other_fields_join_those_of_before(run: Run) -> None:
    (first, *_) = run.results(reading_key(0.5), ("AccessionNumber",))
    run.identify([first])
    assert named(run)["a.dcm"] == whose("P1"), "what was known stays"
    assert run.identities.of(A).keys() == {*FIELDS, "AccessionNumber"}


def test_earlier_scores_of_the_same_patient(ledger: Ledger, run: Run) -> None:
    run.finish({})
    later = ledger.begin("second", SETTINGS)
    later.record([entry("d.dcm", 0.7, sha256="d" * 64, identity=whose("P1", "7.8"))])
    found = later.identities.earlier("d" * 64, later.number, "")
    assert sorted(found, key=lambda each: each.probability) == [
        EarlierScore("2026-11-01", 0.2),
        EarlierScore("2026-11-30", 0.9),
    ]
    assert run.identities.earlier(C, run.number, "") == [], "P2 has no other film"
    before = run.identities.earlier(A, run.number, "")
    assert [each.probability for each in before] == [0.2], "nothing of later nights"


def test_one_number_of_two_issuers_is_of_two_patients(ledger: Ledger) -> None:
    run = ledger.begin("first", SETTINGS)
    for letter, issuer in zip("abcd", ("WEST", "EAST", "", "WEST"), strict=True):
        identity = {**whose("P1", letter), "IssuerOfPatientID": issuer}
        run.record(
            [entry(f"{letter}.dcm", ord(letter) / 256, sha256=letter * 64, identity=identity)]
        )
    found = {each: run.identities.earlier(each * 64, run.number, "") for each in "abcd"}
    assert {each: [score.probability for score in scores] for each, scores in found.items()} == {
        **{"a": [ord("d") / 256], "d": [ord("a") / 256]},
        **{"b": [], "c": []},
    }


def test_nobody_without_a_patient_id_has_earlier_films(ledger: Ledger) -> None:
    run = ledger.begin("first", SETTINGS)
    run.record([entry(f"{n}.dcm", sha256=n * 64, identity=whose("")) for n in "ab"])
    assert run.identities.earlier(A, run.number, "") == []


def test_a_damaged_value_is_not_believed(run: Run) -> None:
    run.connection.execute("UPDATE identity SET value = 'P2' WHERE value = 'P1'")
    assert named(run)["a.dcm"]["patient_id"] == ""


def test_it_goes_with_the_last_row_of_its_film(ledger: Ledger, run: Run) -> None:
    run.finish({})
    for number in range(40):
        ledger.begin(f"{number}", SETTINGS).finish({})
    rows = run.connection.execute("SELECT COUNT(*) FROM identity").fetchone()
    assert rows == (0,)


def test_films_of_the_same_study_are_not_earlier(run: Run) -> None:
    """A lateral view of the same hour says nothing about the patient's past."""
    run.record([entry("e.dcm", 0.8, sha256="e" * 64, identity=whose("P1"))])
    assert [each.probability for each in run.identities.earlier(A, run.number, "")] == [0.2]


def days(run: Run, day: int) -> list[str]:
    """Days of the earlier scores of the film of a day."""
    return [each.acquired for each in run.identities.earlier(f"{day:064x}", run.number, of(day))]


def of(day: int) -> str:
    return f"2026-12-{day:02}"


def films(number: int) -> list[Entry]:
    """One of each day, each in a study of its own."""
    return [
        entry(f"{n}.dcm", sha256=f"{n:064x}", identity=whose("P3", f"8.{n}", of(n % 31 + n // 31)))
        for n in range(1, number + 1)
    ]


def test_younger_films_hide_no_earlier_ones(run: Run) -> None:
    run.record(films(7))
    assert days(run, 2) == ["2026-12-01"]
    assert days(run, 6) == ["2026-12-05", "2026-12-04", "2026-12-03"]
    assert days(run, 1) == []


def test_a_patient_id_of_very_many_films_is_no_patient(run: Run) -> None:
    *some, one_more = films(MOST_FILMS + 1)
    run.record(some)
    assert len(days(run, 20)) == 3
    run.record([one_more])
    assert days(run, 20) == []
