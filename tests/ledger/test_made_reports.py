"""Reports that were made: which one the next takes the place of."""

from __future__ import annotations

from cxr_edge.ledger.made_reports import MadeReport, MadeReports, film_key
from cxr_edge.ledger.runs import Ledger

FILM = film_key("1.2.3", "ID")


def made(ledger: Ledger, run: str, content: str) -> str:
    """Make a report of a run as `results` does; what it is called."""
    reports = MadeReports(ledger.connection)
    before = reports.before(FILM, run, content)
    predecessor = before.instance_uid if before else ""
    name = f"{content}({predecessor})"
    reports.record([MadeReport(FILM, run, content, name, "series", "class", predecessor)], {})
    return name


def test_what_returns_is_another_object(ledger: Ledger) -> None:
    names = [made(ledger, run, content) for run, content in zip("1234", "ABAB", strict=True)]
    assert names == ["A()", "B(A())", "A(B(A()))", "B(A(B(A())))"]


def test_answers_are_counted(ledger: Ledger) -> None:
    reports = MadeReports(ledger.connection)
    numbers = []
    for run, content in zip("12345", "AABBA", strict=True):
        numbers.append(reports.count_to(reports.before(FILM, run, content)) + 1)
        made(ledger, run, content)
    assert numbers == [1, 1, 2, 2, 3]


def test_a_run_again_makes_the_same(ledger: Ledger) -> None:
    runs = list(zip("12345", "AABBA", strict=True))
    names = [made(ledger, *each) for each in runs]
    assert names[0] == names[1] and names[2] == names[3]
    assert [made(ledger, *each) for each in reversed(runs)] == names[::-1]


def test_copies_with_other_bytes_do_not_take_turns(ledger: Ledger) -> None:
    """Two files of one run under one UID have each its report, and keep it in the next run."""
    names = {content: made(ledger, "1", content) for content in "AB"}
    assert {content: made(ledger, "2", content) for content in "AB"} == names


def test_a_damaged_row_is_not_known(ledger: Ledger) -> None:
    made(ledger, "1", "A")
    ledger.connection.execute("UPDATE made_report SET instance_uid = 'x'")
    assert MadeReports(ledger.connection).before(FILM, "2", "B") is None


def test_another_patient_has_no_part_in_it(ledger: Ledger) -> None:
    made(ledger, "1", "A")
    other = film_key("1.2.3", "OTHER")
    assert MadeReports(ledger.connection).before(other, "2", "B") is None


A, B, C = (letter * 64 for letter in "abc")


def test_bytes_are_answered_once_their_film_is(ledger: Ledger) -> None:
    reports = MadeReports(ledger.connection)
    reports.record([], {A: FILM, B: ""})
    answered = [each for each in (A, B, C) if reports.has_answered(each)]
    assert answered == [B], "a header that allows no report needs no second look"
    made(ledger, "1", "A")
    assert reports.has_answered(A)


def test_a_damaged_key_is_not_believed(ledger: Ledger) -> None:
    reports = MadeReports(ledger.connection)
    reports.record([], {A: ""})
    ledger.connection.execute("UPDATE identity SET value = 'x'")
    assert not reports.has_answered(A)
