"""Time: the one spelling of a moment in CSV, JSON, specs and reports, and a run's clock."""

from __future__ import annotations

import time
from datetime import UTC, datetime

_TIMEX_BYTES = 512  # more than a `struct timex`; zeros only ask
_TIME_ERROR = 5


def utc_text(moment: datetime) -> str:
    """ISO 8601 in UTC, to the second: `2026-11-22T21:15:00Z`."""
    return moment.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="seconds") + "Z"


def file_time_text(nanoseconds: int) -> str:
    """The modification time of a file; a stamp that no calendar holds is left out."""
    try:
        return utc_text(datetime.fromtimestamp(nanoseconds // 10**9, UTC))
    except (OverflowError, ValueError, OSError):
        return ""


def is_synchronised() -> bool | None:
    """Tell whether this machine's clock follows a time source; None where Linux does not say.

    Source: adjtimex(2), which whatever keeps the clock tells of its success.
    """
    import ctypes

    state = ctypes.CDLL(None).adjtimex(ctypes.create_string_buffer(_TIMEX_BYTES))
    return None if state < 0 else bool(state != _TIME_ERROR)


class Clock:
    """Start of a run, and how long it has taken."""

    def __init__(self) -> None:
        """Start now; durations do not follow changes of the wall clock."""
        self._began = datetime.now(UTC)
        self._monotonic = time.monotonic()

    @property
    def started_utc(self) -> str:
        """ISO 8601 to the second."""
        return utc_text(self._began)

    @property
    def run_id(self) -> str:
        """The start as a name; to the microsecond, because runs can take under a second."""
        return self._began.strftime("%Y%m%dT%H%M%S.%fZ")

    @property
    def seconds(self) -> float:
        """Seconds since the start, to the millisecond."""
        return round(time.monotonic() - self._monotonic, 3)
