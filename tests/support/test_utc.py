"""One spelling of a moment, for every stamp that a file system can hold."""

from __future__ import annotations

import ctypes
import re
import time
import types
from datetime import UTC, datetime, timedelta, timezone

import pytest

from cxr_edge.support.utc import Clock, file_time_text, is_synchronised, utc_text

STAMPS = {
    "1970": (0, "1970-01-01T00:00:00Z"),
    "before the epoch": (-86400 * 10**9, "1969-12-31T00:00:00Z"),
    "cut, not rounded": (1_795_000_000_999_999_999, "2026-11-18T11:06:40Z"),
    "after year 9999": (300_000_000_000 * 10**9, ""),
    "out of any range": (10**39, ""),
}


@pytest.mark.parametrize(("nanoseconds", "text"), STAMPS.values(), ids=STAMPS)
def test_time_of_a_file(nanoseconds: int, text: str) -> None:
    assert file_time_text(nanoseconds) == text


@pytest.mark.parametrize("zone", [UTC, timezone(timedelta(hours=-5))], ids=str)
def test_every_zone_is_written_as_utc(zone: timezone) -> None:
    moment = datetime(2026, 11, 22, 21, 15, tzinfo=UTC)
    assert utc_text(moment.astimezone(zone)) == "2026-11-22T21:15:00Z"


def test_a_clock_does_not_follow_the_wall(monkeypatch: pytest.MonkeyPatch) -> None:
    """A wall clock that is set back by an hour must not make a run last less than nothing."""
    clock = Clock()
    started = clock.started_utc
    monkeypatch.setattr(time, "time", lambda: 0.0)
    assert 0 <= clock.seconds < 60
    assert clock.started_utc == started
    to_the_second, microseconds = clock.run_id.split(".")
    assert f"{to_the_second}Z" == started.replace("-", "").replace(":", "")
    assert re.fullmatch(r"\d{6}Z", microseconds)


@pytest.mark.parametrize(("state", "answer"), [(0, True), (1, True), (5, False), (-1, None)])
def test_what_the_kernel_says_of_the_clock(
    state: int, answer: bool | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    kernel = types.SimpleNamespace(adjtimex=lambda timex: state)
    monkeypatch.setattr(ctypes, "CDLL", lambda name: kernel)
    assert is_synchronised() is answer


def test_this_kernel_answers() -> None:
    assert is_synchronised() in (True, False, None)
