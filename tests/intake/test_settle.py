"""When a file counts as complete, to the nanosecond."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cxr_edge.intake.settle import SettleRule
from cxr_edge.types import Reason, Stamp

SECOND = 10**9
NOW = 1_795_000_000 * SECOND
LONG_AGO = NOW - 10**6 * SECOND
YEAR_1990 = int(datetime(1990, 1, 1, tzinfo=UTC).timestamp()) * SECOND


def stamp(mtime_ns: int, ctime_ns: int | None = None) -> Stamp:
    return Stamp(100, mtime_ns, mtime_ns if ctime_ns is None else ctime_ns, 7)


WAITS = {
    "just written": (stamp(NOW), 10),
    "one nanosecond short": (stamp(NOW - 10 * SECOND + 1), 1e-9),
    "exactly the window": (stamp(NOW - 10 * SECOND), 0),
    "long ago": (stamp(LONG_AGO), 0),
    "old bytes, renamed just now": (stamp(LONG_AGO, NOW - 4 * SECOND), 6),
    "new time, set by a copy that ended long ago": (stamp(NOW - 4 * SECOND, LONG_AGO), 6),
    "one nanosecond ahead": (stamp(NOW + 1), 10),
    "changed ahead of our clock": (stamp(LONG_AGO, NOW + 3600 * SECOND), 10),
    "before the epoch": (stamp(-SECOND, LONG_AGO), 0),
}


@pytest.mark.parametrize(("file", "seconds"), WAITS.values(), ids=WAITS)
def test_how_long_a_file_is_watched(file: Stamp, seconds: float) -> None:
    assert SettleRule(10).missing_seconds(file, NOW) == pytest.approx(seconds, rel=1e-6, abs=0)


@pytest.mark.parametrize("file", [case[0] for case in WAITS.values()], ids=WAITS)
def test_zero_waits_for_nothing(file: Stamp) -> None:
    assert SettleRule(0).missing_seconds(file, NOW) == 0
    assert SettleRule(0).objection(file) is None


IMPLAUSIBLE = {
    "Robocopy, 1970": (stamp(0), True),
    "Robocopy, 1980": (stamp(315_532_800 * SECOND), True),
    "one nanosecond before 1990": (stamp(YEAR_1990 - 1), True),
    "1990": (stamp(YEAR_1990), False),
    "old time, written just now": (stamp(0, NOW), True),
    "only the change is old": (stamp(NOW, 0), False),
    "the future": (stamp(NOW + SECOND), False),
}


@pytest.mark.parametrize(("file", "implausible"), IMPLAUSIBLE.values(), ids=IMPLAUSIBLE)
def test_no_film_is_that_old(file: Stamp, implausible: bool) -> None:
    expected = Reason.IMPLAUSIBLE_TIME if implausible else None
    assert SettleRule(0.001).objection(file) is expected
    assert SettleRule(0).objection(stamp(0)) is None


def test_the_window_unless_told_otherwise() -> None:
    assert SettleRule().missing_seconds(stamp(NOW), NOW) == 10


times = st.integers(-(2**63), 2**63 - 1)


@given(st.floats(0, 86400), times, times, times)
def test_never_longer_than_the_window(seconds: float, mtime: int, ctime: int, now: int) -> None:
    """Whatever a clock says, no file is held back for ever: watched for the window, it is read."""
    assert 0 <= SettleRule(seconds).missing_seconds(stamp(mtime, ctime), now) <= seconds


@given(st.floats(0.001, 86400), times, st.integers(0, 10**15))
def test_what_was_watched_long_enough_is_complete(seconds: float, mtime: int, more: int) -> None:
    later = mtime + int(seconds * SECOND) + 1 + more
    rounding = seconds * 1e-9 + (later - mtime) / SECOND * 1e-15
    assert SettleRule(seconds).missing_seconds(stamp(mtime), later) <= rounding
