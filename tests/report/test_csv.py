"""`triage.csv` reads back as it was written and runs nothing in a spreadsheet."""

from __future__ import annotations

import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cxr_edge.report.csv import render_csv
from cxr_edge.report.rows import COLUMNS, row_values
from cxr_edge.types import InputWarning, Reason, Result, Status, display_name
from tests.factories import ANY_TEXT, result, rows

HEADER = (
    "rank,band,path,status,reason,probability,flagged,warnings,width,height,format,sha256,"
    "modified_utc,duplicate_of"
)


def parsed(*results: Result) -> list[dict[str, str]]:
    text = render_csv(rows(*results)).decode("utf-8")
    return list(csv.DictReader(io.StringIO(text, newline=""), strict=True))


def test_whole_file() -> None:
    made = render_csv(
        rows(
            result(
                "in/a.png",
                0.9,
                width=64,
                height=48,
                format="PNG",
                sha256="ab",
                modified_utc="2026-11-22T01:00:00Z",
            ),
            result("in/b,c.jpg", 0.25),
            result("copy.png", 0.9, sha256="ab"),
            result("d.tif", None, reason=Reason.TRUNCATED),
            result(
                "e.png",
                0.5,
                warnings=(InputWarning.LOW_RESOLUTION, InputWarning.ORIENTATION_APPLIED),
            ),
            Result("f.png", Status.DEFERRED, Reason.CHANGED_WHILE_READ),
        )
    )
    assert made.decode("utf-8").split("\n") == [
        HEADER,
        "1,attention,e.png,scored,,0.500000,true,low_resolution;orientation_applied,,,,,,",
        "2,attention,d.tif,not_scored,truncated,,,,,,,,,",
        "3,attention,f.png,deferred,changed_while_read,,,,,,,,,",
        "4,flagged,copy.png,scored,,0.900000,true,,,,,ab,,",
        "5,flagged,in/a.png,scored,,0.900000,true,,64,48,PNG,ab,2026-11-22T01:00:00Z,copy.png",
        '6,unflagged,"in/b,c.jpg",scored,,0.250000,false,,,,,,,',
        "",
    ]


def test_no_rows() -> None:
    assert render_csv([]).decode() == HEADER + "\n"


@pytest.mark.parametrize(
    ("probability", "text"),
    [(0.0, "0.000000"), (1.0, "1.000000"), (1e-6, "0.000001"), (0.205074, "0.205074")],
)
def test_probability_has_six_decimals(probability: float, text: str) -> None:
    assert parsed(result(probability=probability))[0]["probability"] == text


FORMULAS = {
    "=1+1": "'=1+1",
    "+1": "'+1",
    "-1.png": "'-1.png",
    "@SUM(A1)": "'@SUM(A1)",
    "=cmd|' /C calc'!A0": "'=cmd|' /C calc'!A0",
    "  =1": "'  =1",
    "\N{FULLWIDTH EQUALS SIGN}1": "'\N{FULLWIDTH EQUALS SIGN}1",
    "\N{FULLWIDTH PLUS SIGN}1": "'\N{FULLWIDTH PLUS SIGN}1",
    "\N{FULLWIDTH HYPHEN-MINUS}1": "'\N{FULLWIDTH HYPHEN-MINUS}1",
    "\N{FULLWIDTH COMMERCIAL AT}1": "'\N{FULLWIDTH COMMERCIAL AT}1",
    "'=1": "''=1",
    "'a'": "''a'",
    "a=1": "a=1",
    "a-b.png": "a-b.png",
    "in/=1": "in/=1",
}


@pytest.mark.parametrize(("name", "cell"), FORMULAS.items(), ids=map(ascii, FORMULAS))
def test_formulas_are_defused(name: str, cell: str) -> None:
    assert parsed(result(name))[0]["path"] == cell


def test_a_formula_is_defused_in_every_column_with_names() -> None:
    first, second = parsed(result("=a", sha256="1"), result("=b", sha256="1"))
    assert (first["path"], second["duplicate_of"]) == ("'=a", "'=a")


def undefused(cell: str) -> str:
    """What a program does that wants the file: take one leading quote off."""
    return cell.removeprefix("'")


RISKY = tuple("=+-@\t\r\N{FULLWIDTH EQUALS SIGN}\N{FULLWIDTH PLUS SIGN}\N{FULLWIDTH COMMERCIAL AT}")


@given(st.lists(ANY_TEXT | st.text("=+-@'\" ,;\t\r\n\x00a<&"), unique=True, max_size=8))
def test_any_names_read_back_row_for_row(names: list[str]) -> None:
    shown = [display_name(name) for name in names]
    made = parsed(*(result(name, 0.5) for name in shown))
    assert sorted(undefused(row["path"]) for row in made) == sorted(shown)
    for row in made:
        assert set(row) == set(COLUMNS)
        assert not any(cell.lstrip().startswith(RISKY) for cell in row.values())


def test_values_have_the_columns_in_order() -> None:
    (row,) = rows(result())
    assert tuple(row_values(row)) == COLUMNS == tuple(HEADER.split(","))
