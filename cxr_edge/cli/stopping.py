"""SIGTERM, SIGINT and SIGHUP: the first finishes and records the batch, the second ends at once."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from types import FrameType

from cxr_edge.cli.boundary import say_from_handler
from cxr_edge.scoring.observer import StopRequest
from cxr_edge.support.signals import handled


def _signals() -> tuple[signal.Signals, ...]:
    """Signals that stop a run; not a constant, as Windows shows help and has no SIGHUP."""
    return (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


class SignalStop(StopRequest):
    """A stop that signals ask for."""

    def handle(self, number: int, _: FrameType | None) -> None:
        """Remember the first signal; leave at the second, through the usual clean-up."""
        if self.signal_number:
            if number == signal.SIGHUP:  # a terminal that closes says so more than once
                return
            raise SystemExit(128 + number)
        self.signal_number = number
        say_from_handler("note", "stopping after this batch", "once more to stop at once")


@contextmanager
def graceful_stop() -> Iterator[StopRequest]:
    """While scoring; before and after, a signal ends the program where it is."""
    request = SignalStop()
    with handled(_signals(), request.handle):
        yield request


def signals_end() -> AbstractContextManager[None]:
    """While a model loads: a library that never returns would never let a handler run.

    The system ends the program, without a word. Nothing is written at that time, and decoders end
    with the connection to it.
    """
    return handled(_signals(), signal.SIG_DFL)


@contextmanager
def signals_wait() -> Iterator[None]:
    """While native libraries are imported: those take what a handler raises for their own failure.

    A signal does at the end what it would have done. Blocking it would not do: a library's thread
    that does not block it takes it, and Python calls the handler all the same.
    """
    caught: list[int] = []
    try:
        with handled(_signals(), lambda number, _: caught.append(number)):
            yield
    finally:
        for pending in caught:
            signal.raise_signal(pending)
