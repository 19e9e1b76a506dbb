"""One triage row as plain values by column: what CSV and JSON lines both print."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

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
    "new",
)


def row_values(row: TriageRow, identity_fields: Sequence[str] = ()) -> dict[str, Any]:
    """Values in column order, typed as JSON types; None where there is nothing to say.

    Args:
        row: one file's place in the list.
        identity_fields: whom the film is of, where that was asked for: the last columns.
    """
    result = row.result
    return {
        "rank": row.rank,
        "band": row.band.value,
        "path": result.path,
        "status": result.status.value,
        "reason": result.reason and result.reason.value,
        "probability": result.probability,
        "flagged": row.flagged,
        "warnings": [warning.value for warning in result.warnings],
        "width": result.width,
        "height": result.height,
        "format": result.format or None,
        "sha256": result.sha256 or None,
        "modified_utc": result.modified_utc or None,
        "duplicate_of": result.duplicate_of or None,
        "new": result.new,
        **{name: result.identity.get(name) or None for name in identity_fields},
    }
