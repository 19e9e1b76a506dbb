"""Decides whether a file is complete or still being written; the caller gives the time."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from cxr_edge.types import Reason, Stamp

DEFAULT_SETTLE_SECONDS = 10.0

# Robocopy stamps what it has not finished with 1970 or 1980, and no digital film is that old.
_FIRST_PLAUSIBLE_NS = int(datetime(1990, 1, 1, tzinfo=UTC).timestamp()) * 10**9


@dataclass(frozen=True)
class SettleRule:
    """A file counts as complete when nothing about it has changed for so many seconds; 0 is off."""

    seconds: float = DEFAULT_SETTLE_SECONDS

    def objection(self, stamp: Stamp) -> Reason | None:
        """A problem that waiting does not solve, or None."""
        implausible = self.seconds > 0 and stamp.mtime_ns < _FIRST_PLAUSIBLE_NS
        return Reason.IMPLAUSIBLE_TIME if implausible else None

    def missing_seconds(self, stamp: Stamp, now_ns: int) -> float:
        """Seconds for which a file must still be watched; 0 when it has been quiet for long enough.

        A time in the future is of no use: such a file is watched for the whole window, so that it
        is not held back for ever. A file server whose clock lags by more than the window defeats
        the rule.
        """
        quiet = (now_ns - max(stamp.mtime_ns, stamp.ctime_ns)) / 10**9
        if quiet < 0:
            return self.seconds
        return max(self.seconds - quiet, 0.0)
