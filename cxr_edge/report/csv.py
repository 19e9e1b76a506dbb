"""`triage.csv`: the machine-readable reading list."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator, Sequence
from typing import Any

from cxr_edge.report.context import Report
from cxr_edge.report.rows import COLUMNS, row_values
from cxr_edge.types import probability_text

# What spreadsheets take for the start of a formula, with the full-width forms that they fold.
_RISKY = re.compile(r"['\t\r]|[\s\"]*[=+\-@\uff1d\uff0b\uff0d\uff20]")


def render_csv(report: Report) -> Iterator[bytes]:
    """UTF-8, line feeds, one header line, one line per row; a line at a time."""
    fields = report.context.identity_fields
    yield csv_line([*COLUMNS, *fields])
    for row in report.rows:
        yield csv_line([csv_cell(value) for value in row_values(row, fields).values()])


def csv_line(cells: Sequence[str]) -> bytes:
    """One line in UTF-8, quoted where it must be."""
    stream = io.StringIO(newline="")
    csv.writer(stream, lineterminator="\n").writerow(cells)
    return stream.getvalue().encode("utf-8")


def csv_cell(value: Any) -> str:
    """One value as text; the same in every locale."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return probability_text(value)
    if isinstance(value, list):
        return ";".join(value)
    return _defused(value) if isinstance(value, str) else str(value)


def _defused(text: str) -> str:
    """A leading quote keeps a spreadsheet from running a file name as a formula.

    A cell may also begin behind a `;`, which separates them where the comma is decimal. What starts
    with a quote gets another one, so that taking one off each gives the name back.
    """
    return ";".join(f"'{cell}" if _is_risky(cell) else cell for cell in text.split(";"))


def _is_risky(cell: str) -> bool:
    # A quotation mark is doubled where it is written, and opens an empty quotation behind a `;`.
    return _RISKY.match(cell) is not None
