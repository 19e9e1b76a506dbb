"""Whom films are of, apart from their scores."""

from __future__ import annotations

import pytest

from cxr_edge.ledger.identities import MOST_FILMS, EarlierScore
from cxr_edge.ledger.rows import Entry
from cxr_edge.ledger.run import Run
from cxr_edge.ledger.runs import Ledger
from cxr_edge.triage import reading_key
from cxr_edge.types import ISSUER
from tests.ledger.entries import SETTINGS, entry

A, B, C = (letter * 64 for letter in "abc")
FIELDS = ("patient_id", "study_uid", "acquired")


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


def test_nobody_without_a_patient_id_has_earlier_films(ledger: Ledger) -> None:
    run = ledger.begin("first", SETTINGS)
    run.record([entry(f"{n}.dcm", sha256=n * 64, identity=whose("")) for n in "ab"])
    assert run.identities.earlier(A, run.number, "") == []


ISSUERS = {"another": ("A", "B"), "of one alone": ("A", ""), "of the other alone": ("", "B")}


@pytest.mark.parametrize("issuers", ISSUERS.values(), ids=ISSUERS)
def test_an_id_of_another_issuer_is_another_patient(run: Run, issuers: tuple[str, str]) -> None:
    run.record(
        [
            entry(f"{n}.dcm", sha256=n * 64, identity={**whose("P4", n), ISSUER: issuer})
            for n, issuer in zip("45", issuers, strict=True)
        ]
    )
    assert [run.identities.earlier(n * 64, run.number, "") for n in "45"] == [[], []]


def test_the_same_issuer_is_the_same_patient(run: Run) -> None:
    films = [
        entry(f"{n}.dcm", 0.5, sha256=n * 64, identity={**whose("P4", n), ISSUER: "A"})
        for n in "45"
    ]
    run.record(films)
    assert run.identities.earlier("4" * 64, run.number, "") == [EarlierScore("2026-11-30", 0.5)]


@pytest.mark.parametrize("text", ["P\ufffd", "P" * 64], ids=["not decoded", "cut"])
def test_an_id_that_is_not_whole_may_be_anybodys(run: Run, text: str) -> None:
    run.record([entry(f"{n}.dcm", sha256=n * 64, identity=whose(text, n)) for n in "45"])
    assert run.identities.earlier("4" * 64, run.number, "") == []


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
