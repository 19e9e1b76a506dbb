"""A run as people at a terminal, or readers of a log, follow it: progress, messages, signals."""

from __future__ import annotations

import math
import sys
from contextlib import AbstractContextManager
from dataclasses import dataclass

from cxr_edge.cli.boundary import echo, say_warning
from cxr_edge.cli.stopping import graceful_stop, signals_end
from cxr_edge.scoring.observer import Observer, Progress, StopRequest

FILES_PER_LINE = 500


class ProgressBar(Progress):
    """Progress on stderr: a bar on a terminal, a line per 500 files elsewhere."""

    def __init__(self, total: int | None) -> None:
        """`total` is None where nobody counted beforehand."""
        from rich.console import Console
        from rich.progress import Progress as Bar

        self._total = total
        self._console = Console(stderr=True, highlight=False)
        self._bar = Bar(console=self._console, transient=True)
        self._task = self._bar.add_task("scoring", total=total)

    def __enter__(self) -> ProgressBar:
        """Show the bar, where there is a terminal to show it on."""
        if self._console.is_terminal:
            self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Take it away again."""
        # Elsewhere it would leave an empty line; a terminal may have closed since.
        if self._bar.live.is_started:
            self._bar.stop()

    def recorded(self, files: int) -> None:
        """Count files that have got a row, and show it."""
        lines_before = self.done // FILES_PER_LINE
        super().recorded(files)
        self._bar.advance(self._task, files)
        if not self._console.is_terminal and self.done // FILES_PER_LINE > lines_before:
            whole = "" if self._total is None else f" of {self._total}"
            self._console.print(f"{self.done}{whole} files")

    def waiting(self, files: int, seconds: float) -> None:
        """Some files may still be written to."""
        self._console.print(
            f"waiting {math.ceil(seconds)} s for {files} {'file' if files == 1 else 'files'} to "
            "settle (--settle 0 trusts them)"
        )


def is_watched() -> bool:
    """Tell whether somebody sits at a terminal; cron may even have closed stderr."""
    return sys.stderr is not None and sys.stderr.isatty()


@dataclass(frozen=True)
class Terminal(Observer):
    """Progress, messages and signals of one command.

    Attributes:
        quiet: say nothing but warnings and errors.
    """

    quiet: bool

    @property
    def wants_total(self) -> bool:
        """Count first where somebody watches a bar."""
        return is_watched() and not self.quiet

    def progress(self, total: int | None) -> Progress:
        """Show a bar or lines, or only count, without loading what could show them."""
        return Progress() if self.quiet else ProgressBar(total)

    def stop_request(self) -> AbstractContextManager[StopRequest]:
        """Listen to SIGTERM, SIGINT and SIGHUP."""
        return graceful_stop()

    def signals_at_once(self) -> AbstractContextManager[None]:
        """Let the same end the program, wherever it is."""
        return signals_end()

    def note(self, message: str) -> None:
        """Print a line, unless quiet."""
        if not self.quiet:
            echo(f"note: {message}", err=True)

    def warn(self, message: str, tip: str = "") -> None:
        """Print it even when quiet: somebody should look at it."""
        say_warning(message, tip)
