"""`cxr-edge receive` and signals; what it does is in `tests/hospital`."""

from __future__ import annotations

import signal
import threading

import pytest

from cxr_edge.cli.receive import _Stop


def test_the_first_signal_asks_and_the_second_ends() -> None:
    stop = _Stop()
    assert not stop.is_asked_for()
    stop.handle(signal.SIGTERM, None)
    assert (stop.is_asked_for(), stop.number) == (True, signal.SIGTERM)
    with pytest.raises(SystemExit) as ended:
        stop.handle(signal.SIGINT, None)
    assert ended.value.code == 130


def test_a_signal_needs_nothing_that_another_thread_or_the_interrupted_code_may_hold(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A lock that the main thread held when the signal came would be waited for without end."""

    def fail(*_: object) -> None:
        raise AssertionError("a lock is taken")

    stop = _Stop()
    for name in ("__enter__", "acquire"):
        monkeypatch.setattr(threading.Condition, name, fail, raising=False)
    stop.handle(signal.SIGTERM, None)
    assert stop.is_asked_for()
