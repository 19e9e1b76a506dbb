"""`triage.csv`: the machine-readable reading list."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable

from cxr_edge.triage import TriageRow

COLUMNS = (
    "rank",
    "band",
    "path",
    "status",
    "reason",
    "probability",
    "flagged",
    "warnings",
    "width",
    "height",
    "format",
    "sha256",
    "modified_utc",
    "duplicate_of",
)

# What spreadsheets take for the start of a formula, with the full-width forms that they fold.
_FORMULA_STARTS = tuple("=+-@\t\r\uff1d\uff0b\uff0d\uff20")


def render_csv(rows: Iterable[TriageRow]) -> bytes:
    """UTF-8, line feeds, one header line, one line per row."""
    stream = io.StringIO(newline="")
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(COLUMNS)
    writer.writerows(_cells(row) for row in rows)
    return stream.getvalue().encode("utf-8")


def cells(row: TriageRow) -> dict[str, str]:
    """One row as text by column, before it is made safe for spreadsheets."""
    result = row.result
    return {
        "rank": str(row.rank),
        "band": str(row.band),
        "path": result.path,
        "status": str(result.status),
        "reason": str(result.reason or ""),
        "probability": "" if result.probability is None else f"{result.probability:.6f}",
        "flagged": "" if row.flagged is None else str(row.flagged).lower(),
        "warnings": ";".join(result.warnings),
        "width": str(result.width or ""),
        "height": str(result.height or ""),
        "format": result.format,
        "sha256": result.sha256,
        "modified_utc": result.modified_utc,
        "duplicate_of": result.duplicate_of,
    }


def _cells(row: TriageRow) -> list[str]:
    return [_defused(text) for text in cells(row).values()]


def _defused(text: str) -> str:
    """A leading quote keeps a spreadsheet from running a file name as a formula."""
    return f"'{text}" if text.lstrip().startswith(_FORMULA_STARTS) else text
