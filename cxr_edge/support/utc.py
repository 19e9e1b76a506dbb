"""The one spelling of a moment in CSV, JSON, specs and reports."""

from __future__ import annotations

from datetime import UTC, datetime


def utc_text(moment: datetime) -> str:
    """ISO 8601 in UTC, to the second: `2026-11-22T21:15:00Z`."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def file_time_text(nanoseconds: int) -> str:
    """The modification time of a file; a stamp that no calendar holds is left out."""
    try:
        return utc_text(datetime.fromtimestamp(nanoseconds // 10**9, UTC))
    except (OverflowError, ValueError, OSError):
        return ""
