"""`triage.csv` reads back as it was written and runs nothing in a spreadsheet."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cxr_edge.report import Report
from cxr_edge.report.csv import render_csv
from cxr_edge.report.rows import COLUMNS, row_values
from cxr_edge.support.text import display_name
from cxr_edge.triage import TriageRow
from cxr_edge.types import InputWarning, Reason, Result
from tests.factories import ANY_TEXT, context, report, result, rows, undefused

HEADER = (
    "rank,band,path,status,reason,probability,flagged,warnings,width,height,format,sha256,"
    "modified_utc,duplicate_of,new"
)


def written(*results: Result, **fields: Any) -> bytes:
    """The whole file."""
    return b"".join(render_csv(report(*results, **fields)))


def parsed(*results: Result) -> list[dict[str, str]]:
    text = written(*results).decode("utf-8")
    return list(csv.DictReader(io.StringIO(text, newline=""), strict=True))


SHA256 = "ab" * 32


def test_whole_file() -> None:
    made = written(
        result(
            "in/a.png",
            0.9,
            width=64,
            height=48,
            format="PNG",
            sha256=SHA256,
            modified_utc="2026-11-22T01:00:00Z",
            duplicate_of="copy.png",
        ),
        result("in/b,c.jpg", 0.25),
        result("copy.png", 0.9, sha256=SHA256),
        result("d.tif", None, reason=Reason.TRUNCATED),
        result(
            "e.png",
            0.5,
            warnings=(InputWarning.LOW_RESOLUTION, InputWarning.ORIENTATION_APPLIED),
        ),
        result("f.png", None, reason=Reason.STILL_CHANGING),
    )
    assert made.decode("utf-8").split("\n") == [
        HEADER,
        "1,attention,e.png,scored,,0.500000,true,low_resolution;orientation_applied,,,,,,,true",
        "2,attention,d.tif,not_scored,truncated,,,,,,,,,,true",
        "3,attention,f.png,deferred,still_changing,,,,,,,,,,true",
        f"4,flagged,copy.png,scored,,0.900000,true,,,,,{SHA256},,,true",
        f"5,flagged,in/a.png,scored,,0.900000,true,,64,48,PNG,{SHA256},2026-11-22T01:00:00Z,copy.png,true",
        '6,unflagged,"in/b,c.jpg",scored,,0.250000,false,,,,,,,,true',
        "",
    ]


def test_no_rows() -> None:
    assert written().decode() == HEADER + "\n"


def test_a_line_at_a_time() -> None:
    """100,000 rows are never in memory together, neither as rows nor as text."""
    rows_taken = []

    class Rows:
        def __iter__(self) -> Iterator[TriageRow]:
            for row in rows(result("a.png", 0.9), result("b.png", 0.8)):
                rows_taken.append(row.result.path)
                yield row

    lines = render_csv(Report(Rows(), context()))
    assert (next(lines), rows_taken) == (HEADER.encode() + b"\n", [])
    assert (next(lines).split(b",")[2], rows_taken) == (b"a.png", ["a.png"])
    assert (next(lines).split(b",")[2], rows_taken) == (b"b.png", ["a.png", "b.png"])
    assert list(lines) == []


def test_the_identifier_that_was_asked_for_is_the_last_column() -> None:
    made = written(
        result("a.dcm", 0.9, identity={"AccessionNumber": "=A1"}),
        result("b.png"),
        identity_fields=("AccessionNumber",),
    )
    assert made.decode().splitlines() == [
        f"{HEADER},AccessionNumber",
        "1,flagged,a.dcm,scored,,0.900000,true,,,,,,,,true,'=A1",
        "2,flagged,b.png,scored,,0.500000,true,,,,,,,,true,",
    ]


@pytest.mark.parametrize(
    ("probability", "text"),
    [(0.0, "0.000000"), (1.0, "1.000000"), (1e-6, "0.000001"), (0.205074, "0.205074")],
)
def test_probability_has_six_decimals(probability: float, text: str) -> None:
    assert parsed(result(probability=probability))[0]["probability"] == text


FORMULAS = {
    "=1+1": "'=1+1",
    "-1.png": "'-1.png",
    "=cmd|' /C calc'!A0": "'=cmd|' /C calc'!A0",
    "  =1": "'  =1",
    "\N{FULLWIDTH EQUALS SIGN}1": "'\N{FULLWIDTH EQUALS SIGN}1",
    "\N{FULLWIDTH PLUS SIGN}1": "'\N{FULLWIDTH PLUS SIGN}1",
    "\N{FULLWIDTH HYPHEN-MINUS}1": "'\N{FULLWIDTH HYPHEN-MINUS}1",
    "\N{FULLWIDTH COMMERCIAL AT}1": "'\N{FULLWIDTH COMMERCIAL AT}1",
    "'=1": "''=1",
    "'a'": "''a'",
    "a=1": "a=1",
    "x;=1+1;.png": "x;'=1+1;.png",
    "x;'y": "x;''y",
    'a;"=1+1;b.png': "a;'\"=1+1;b.png",
    'a;"" =1': 'a;\'"" =1',
    'a;"b"': 'a;"b"',
}


@pytest.mark.parametrize(("name", "cell"), FORMULAS.items(), ids=map(ascii, FORMULAS))
def test_formulas_are_defused(name: str, cell: str) -> None:
    assert parsed(result(name))[0]["path"] == cell


def test_a_formula_is_defused_in_every_column_with_names() -> None:
    (row,) = parsed(result("=b", duplicate_of="=a"))
    assert (row["path"], row["duplicate_of"]) == ("'=b", "'=a")


RISKY = tuple("=+-@\t\r\N{FULLWIDTH EQUALS SIGN}\N{FULLWIDTH PLUS SIGN}\N{FULLWIDTH COMMERCIAL AT}")


@given(st.lists(ANY_TEXT | st.text("=+-@'\" ,;\t\r\n\x00a<&"), unique=True, max_size=8))
def test_any_names_read_back_row_for_row(names: list[str]) -> None:
    shown = [display_name(name) for name in names]
    made = parsed(*(result(name, 0.5) for name in shown))
    assert sorted(undefused(row["path"]) for row in made) == sorted(shown)
    for row in made:
        assert set(row) == set(COLUMNS)
        parts = [part for cell in row.values() for part in cell.split(";")]
        assert not any(part.lstrip().startswith(RISKY) for part in parts)
    text = written(*(result(name, 0.5) for name in shown)).decode()
    for delimiter in ",;":  # as spreadsheets split it where the comma is decimal
        for line in csv.reader(io.StringIO(text, newline=""), delimiter=delimiter):
            assert not any(cell.lstrip().startswith(RISKY) for cell in line)


def test_values_have_the_columns_in_order() -> None:
    (row,) = rows(result())
    assert tuple(row_values(row)) == COLUMNS == tuple(HEADER.split(","))
    assert tuple(row_values(row, ["PatientID"])) == (*COLUMNS, "PatientID")
