"""Any names, any outcome: both reports have each row once, and nothing in them but text."""

from __future__ import annotations

import csv
import io
import os

import pytest
from hypothesis import given, seed, settings
from hypothesis import strategies as st

from cxr_edge.report.csv import render_csv
from cxr_edge.report.html import render_html
from cxr_edge.support.text import display_name
from cxr_edge.types import PROBABILITY_DECIMALS, InputWarning, Reason, Result, Status
from tests.factories import report, undefused
from tests.faults.tiers import SEED, tier
from tests.report.page import Page

EXAMPLES = tier(500, 20_000)
FORMULA_STARTS = tuple("=+-@\t\r\N{FULLWIDTH EQUALS SIGN}\N{FULLWIDTH PLUS SIGN}")

# File names are any bytes but two; half of them are made of what other programs act upon.
BYTES = st.binary(min_size=1, max_size=30) | st.text(
    "=+-@'\"<>&;/{}%#!\\ ,\t\r\n\x00\x1b\u202e\ufeff\uff1da1", min_size=1, max_size=30
).map(lambda text: text.encode("utf-8"))
NAMES = BYTES.map(lambda raw: display_name(os.fsdecode(raw)))
WARNINGS = st.lists(st.sampled_from(InputWarning), unique=True, max_size=4).map(tuple)
FACTS = {
    "warnings": WARNINGS,
    "width": st.none() | st.integers(1, 2**31 - 1),
    "height": st.none() | st.integers(1, 2**31 - 1),
    "format": st.sampled_from(["", "JPEG", "DICOM"]),
    "sha256": st.sampled_from(["", "ab" * 32]),
    "modified_utc": st.sampled_from(["", "2026-11-22T01:00:00Z"]),
    "duplicate_of": st.just("") | NAMES,
    "new": st.booleans(),
    "identity": (st.just("") | NAMES).map(lambda text: {"AccessionNumber": text}),
}
SCORES = st.floats(0, 1).map(lambda score: round(score, PROBABILITY_DECIMALS))
RESULTS = st.builds(Result, NAMES, st.just(Status.SCORED), st.none(), SCORES, **FACTS) | st.builds(
    Result.without_score, NAMES, st.sampled_from(Reason), **FACTS
)
LISTS = st.lists(RESULTS, max_size=12, unique_by=lambda result: result.path)


def cell(value: object) -> str:
    """A value as the CSV must say it, with the quotes that defuse a formula taken off."""
    if isinstance(value, float):
        return f"{value:.6f}"
    return "" if value is None else str(value)


@pytest.mark.slow
@seed(SEED)
@settings(max_examples=EXAMPLES)
@given(LISTS)
def test_csv_reads_back_row_for_row(results: list[Result]) -> None:
    made = report(*results, identity_fields=("AccessionNumber",))
    text = b"".join(render_csv(made)).decode("utf-8")
    read = list(csv.DictReader(io.StringIO(text, newline=""), strict=True))
    assert text.count("\n") == len(results) + 1
    for number, (row, said) in enumerate(zip(made.rows, read, strict=True), start=1):
        result = row.result
        flagged = {True: "true", False: "false", None: ""}[row.flagged]
        assert [undefused(value) for value in said.values()] == [
            *map(cell, (number, row.band, result.path, result.status, result.reason)),
            *(cell(result.probability), flagged, ";".join(result.warnings)),
            *map(cell, (result.width, result.height, result.format, result.sha256)),
            *(result.modified_utc, result.duplicate_of, "true" if result.new else "false"),
            result.identity["AccessionNumber"],
        ]
        assert not any(value.lstrip().startswith(FORMULA_STARTS) for value in said.values())


def plain(result: Result, number: int) -> Result:
    """The same row with harmless texts."""
    texts = {
        "path": f"film{number}",
        "duplicate_of": result.duplicate_of and "twin",
        "identity": {name: text and "number" for name, text in result.identity.items()},
    }
    return Result(**{**vars(result), **texts})


@pytest.mark.slow
@seed(SEED)
@settings(max_examples=EXAMPLES)
@given(LISTS)
def test_html_has_the_elements_of_its_template_and_no_other(results: list[Result]) -> None:
    made = report(*results, identity_fields=("AccessionNumber",))
    page = Page(render_html(made).decode("utf-8"))
    harmless = [plain(row.result, number) for number, row in enumerate(made.rows, start=100)]
    assert page.foreign == []
    again = render_html(report(*harmless, identity_fields=("AccessionNumber",)))
    assert page.tags == Page(again.decode("utf-8")).tags
    names = [row.texts["name"].removesuffix(row.texts.get("tag", "")) for row in page.rows()]
    assert names == [row.result.path for row in made.rows]
    ranks = [row.texts["rank"] for row in page.rows()]
    assert ranks == [str(number) for number in range(1, len(results) + 1)]


@seed(SEED)
@settings(max_examples=EXAMPLES)
@given(st.floats())
def test_a_score_is_a_probability_or_no_result(score: float) -> None:
    """NaN and infinities cannot reach a report."""
    if 0 <= score <= 1:
        assert Result("a", Status.SCORED, None, score).probability == score
    else:
        with pytest.raises(ValueError, match="outside"):
            Result("a", Status.SCORED, None, score)
