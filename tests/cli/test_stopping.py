"""The first signal asks, the second insists, and who ignores signals is left alone."""

from __future__ import annotations

import contextlib
import io
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from typing import Any

import click
import pytest

from cxr_edge.cli.stopping import graceful_stop, signals_wait

SIGNALS = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP]


@pytest.fixture(autouse=True)
def handlers() -> Iterator[None]:
    """Whatever a test does to them, the next one finds them as they were.

    A test run under nohup ignores one of them, and one in the background of a shell another.
    """
    before = {number: signal.getsignal(number) for number in SIGNALS}
    for number, handler in before.items():
        if handler is signal.SIG_IGN:
            ours = signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL
            signal.signal(number, ours)
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.parametrize("number", SIGNALS, ids=lambda number: number.name)
def test_the_first_is_remembered_and_said(
    number: signal.Signals, capfd: pytest.CaptureFixture[str]
) -> None:
    with graceful_stop() as stop:
        assert not stop()
        os.kill(os.getpid(), number)
        assert stop()
        assert stop.signal_number == number
    assert capfd.readouterr().err == (
        "note: stopping after this batch\n  tip: once more to stop at once\n"
    )


def test_a_terminal_that_closes_may_say_so_twice() -> None:
    with graceful_stop() as stop:
        os.kill(os.getpid(), signal.SIGHUP)
        os.kill(os.getpid(), signal.SIGHUP)
    assert stop.signal_number == signal.SIGHUP


@pytest.mark.parametrize("second", SIGNALS[:2], ids=lambda number: number.name)
@pytest.mark.parametrize("first", SIGNALS, ids=lambda number: number.name)
def test_the_second_ends_the_program(first: signal.Signals, second: signal.Signals) -> None:
    with pytest.raises(SystemExit) as caught, graceful_stop():
        os.kill(os.getpid(), first)
        os.kill(os.getpid(), second)
    assert caught.value.code == 128 + second


@pytest.mark.parametrize("number", SIGNALS, ids=lambda number: number.name)
def test_what_is_ignored_stays_ignored(number: signal.Signals) -> None:
    """`nohup`, and jobs in the background of a shell."""
    signal.signal(number, signal.SIG_IGN)
    with graceful_stop() as stop:
        os.kill(os.getpid(), number)
        assert not stop()
    assert signal.getsignal(number) is signal.SIG_IGN


def test_afterwards_signals_mean_what_they_meant() -> None:
    before = {number: signal.getsignal(number) for number in SIGNALS}
    with pytest.raises(ZeroDivisionError), graceful_stop():
        raise ZeroDivisionError
    assert {number: signal.getsignal(number) for number in SIGNALS} == before


@pytest.mark.parametrize("number", SIGNALS, ids=lambda number: number.name)
def test_no_import_swallows_a_signal(number: signal.Signals) -> None:
    """Some native libraries take any exception while they load for a missing part of theirs."""

    def leave(number: int, _: object) -> None:
        raise SystemExit(128 + number)

    signal.signal(number, leave)
    elsewhere = threading.Event()
    other = threading.Thread(target=elsewhere.wait)  # a library's, which blocks nothing
    other.start()
    reached = False
    try:
        with pytest.raises(SystemExit) as caught, signals_wait():
            with contextlib.suppress(BaseException):
                os.kill(os.getpid(), number)
                time.sleep(0.01)
            reached = True
    finally:
        elsewhere.set()
        other.join()
    assert reached
    assert caught.value.code == 128 + number
    assert signal.getsignal(number) is leave


def test_a_signal_may_interrupt_a_write_to_stderr(capfd: pytest.CaptureFixture[str]) -> None:
    """Python's own streams raise RuntimeError for who writes from a handler just then."""

    class Interrupting(io.RawIOBase):
        def writable(self) -> bool:
            return True

        def write(self, data: Any) -> int:
            os.kill(os.getpid(), signal.SIGTERM)
            return os.write(2, data)

    with graceful_stop() as stop, pytest.MonkeyPatch.context() as patched:
        stream = io.TextIOWrapper(io.BufferedWriter(Interrupting()), write_through=True)
        patched.setattr(sys, "stderr", stream)
        click.echo("10 files", err=True)
    assert stop.signal_number == signal.SIGTERM
    assert capfd.readouterr().err.endswith("tip: once more to stop at once\n10 files\n")
