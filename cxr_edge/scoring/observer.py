"""Seats for whoever watches a run and may stop it; those here are silent and never stop one.

The command line sits in them with its progress bar, messages and signal handlers, the Python API
with a callback. Scoring and evaluation know these classes alone, so neither prints nor exits.
"""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cxr_edge.report import Report
    from cxr_edge.types import Place


class StopRequest:
    """A request to end the run after the present batch.

    Attributes:
        signal_number: of the signal that asked for it, 0 while nobody has.
    """

    def __init__(self) -> None:
        """Begin without a request."""
        self.signal_number = 0

    def __call__(self) -> bool:
        """Whether the run should end."""
        return self.signal_number != 0


class Progress:
    """Counts files; a context manager around the scoring of them.

    Attributes:
        done: files that have a row.
        known: those whose row an earlier run had computed.
    """

    done = 0
    known = 0

    def __enter__(self) -> Progress:
        """Begin."""
        return self

    def __exit__(self, *_: object) -> None:
        """End."""

    def recorded(self, files: int) -> None:
        """Count files that got a row."""
        self.done += files

    def recalled(self, files: int) -> None:
        """Count files that are unchanged since an earlier run, and keep its row."""
        self.known += files

    def waiting(self, files: int, seconds: float) -> None:
        """Note that files may still be written to, and are checked again in `seconds`."""


class Observer:
    """Watches one run from its first check to its report."""

    @property
    def wants_total(self) -> bool:
        """Whether folders are walked twice, so that `progress` knows how many files there are."""
        return False

    def progress(self, total: int | None) -> Progress:
        """Make the counter of files; `total` is None where they were not counted beforehand."""
        return Progress()

    def stop_request(self) -> AbstractContextManager[StopRequest]:
        """Listen for requests to stop while the context lasts."""
        return nullcontext(StopRequest())

    def signals_at_once(self) -> AbstractContextManager[None]:
        """Let signals end the program while a native library loads, which no handler interrupts."""
        return nullcontext()

    def note(self, message: str) -> None:
        """Show a note."""

    def warn(self, message: str, tip: str = "") -> None:
        """Show a warning; the run goes on."""

    def finished(self, report: Report, out: Place, *, complete: bool) -> None:
        """Show a report that was written.

        Args:
            report: its rows can be read until this returns.
            out: its folder, or its URL.
            complete: whether the night was as it should be.
        """
