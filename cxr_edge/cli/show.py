"""What people see while and after a run: progress, the triage table, where the report lies."""

from __future__ import annotations

import itertools
import json
import math
import os
import sys
import time
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from cxr_edge.cli.boundary import say_warning
from cxr_edge.errors import CxrEdgeError, ReportError
from cxr_edge.report import Report
from cxr_edge.report.context import BANNER
from cxr_edge.report.rows import row_values
from cxr_edge.statistics.measurements import with_interval
from cxr_edge.support.utc import utc_text
from cxr_edge.triage import TriageRow
from cxr_edge.types import Band

if TYPE_CHECKING:
    from rich.table import Table

ROWS_SHOWN = 20
_NAME_SHOWN = 160
_NAME_LOGGED = 1000  # of a path: three identifiers of DICOM and more
_LOG_WIDTH = 10_000  # wider than any line: names are not folded there
FILES_PER_LINE = 500


class Clock:
    """When the run began, and how long it has taken."""

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
        """Since the start, to the millisecond."""
        return round(time.monotonic() - self._monotonic, 3)


class QuietProgress:
    """Counts and says nothing, without loading what could."""

    done = 0
    known = 0

    def __enter__(self) -> QuietProgress:
        """Nothing to show."""
        return self

    def __exit__(self, *_: object) -> None:
        """Nothing to take away."""

    def recorded(self, files: int) -> None:
        """So many more files have a row."""
        self.done += files

    def recalled(self, files: int) -> None:
        """An earlier run's answer stands."""
        self.known += files

    def waiting(self, files: int, seconds: float) -> None:
        """Some files may still be written to."""


class Progress(QuietProgress):
    """On stderr: a bar on a terminal, a line per 500 files elsewhere."""

    def __init__(self, total: int | None) -> None:
        """`total` is None where nobody counted beforehand."""
        from rich.console import Console
        from rich.progress import Progress as Bar

        self._total = total
        self._console = Console(stderr=True, highlight=False)
        self._bar = Bar(console=self._console, transient=True)
        self._task = self._bar.add_task("scoring", total=total)

    def __enter__(self) -> Progress:
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
        """So many more files have a row."""
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
    """Whether somebody sits at a terminal; cron may even have closed stderr."""
    return sys.stderr is not None and sys.stderr.isatty()


def note_many_workers(workers: int, cores: int) -> None:
    """They are started as asked: where reading waits for a share, more than cores do help."""
    click.echo(f"note: {workers} workers on {cores} usable cores", err=True)


def warn_damaged_ledger(set_aside: Path) -> None:
    """Said even when quiet: scores are computed again, and somebody should look at the disk."""
    say_warning(
        f"the ledger was damaged and is set aside: {set_aside}", "check the disk; this run goes on"
    )


def warn_on_cpu(error: CxrEdgeError) -> None:
    """Said even when quiet: the GPU that somebody counts on is not what scores."""
    say_warning(f"scoring goes on on the CPU: {error}", error.tip)


def warn_no_films(error: CxrEdgeError) -> None:
    """The scores are there and the report goes on; somebody asked for films."""
    say_warning(f"the report shows no films: {error}", error.tip)


def warn_nothing_found() -> None:
    """Said even when quiet: a share that was not mounted looks like a night without films."""
    say_warning("no file was found", "is the folder mounted, and the right one?")


def print_jsonl(report: Report, out: Path) -> None:
    """The rows on stdout, one JSON object a line, with the columns of the CSV.

    A film that was scored on another device than the run began on says on which.

    Raises:
        ReportError: stdout takes no more; the report in `out` is complete all the same.
    """
    try:
        for row in report.rows:
            values = row_values(row, report.context.id_tag)
            elsewhere = {"device": row.result.device} if row.result.device else {}
            click.echo(json.dumps({**values, **elsewhere}))
    except OSError as error:
        # What Python would still flush at exit goes nowhere.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        if isinstance(error, BrokenPipeError):
            return  # the reader has seen enough
        raise ReportError(
            f"the rows could not be written to stdout: {error.strerror}",
            tip=f"the report itself is complete: {out}",
        ) from error


def print_report(report: Report, out: Path, *, verbose: bool) -> None:
    """Counts, the top of the reading list and where the files are, on stderr."""
    from rich.console import Console

    console = Console(stderr=True, highlight=False)
    watched = is_watched()
    if not watched:  # names whole, for whoever searches a log for one
        console.width = _LOG_WIDTH
    urgent = (row for row in report.rows if row.band is not Band.UNFLAGGED)
    shown = list(itertools.islice(urgent, ROWS_SHOWN))
    if shown:
        console.print(_table(shown, _NAME_SHOWN if watched else _NAME_LOGGED))
    details = [_details(report)] if verbose else []
    print_lines([*_summary(report, len(shown)), *details, f"report: {out / 'triage.html'}"])


def print_lines(lines: Iterable[str]) -> None:
    """Figures, where they are, and the banner, on stderr."""
    from rich.console import Console
    from rich.text import Text

    console = Console(stderr=True, highlight=False)
    for line in lines:
        console.print(Text(line), soft_wrap=True)
    console.print(Text(BANNER, style="bold"), soft_wrap=True)


def _table(rows: list[TriageRow], longest: int) -> Table:
    """File names are Text, so that nothing in them is taken for markup."""
    from rich.table import Column, Table
    from rich.text import Text

    figures = (Column(name, no_wrap=True) for name in ("rank", "band", "probability"))
    table = Table(*figures, Column("file", overflow="fold"))
    remarks = [row.result.reason or ", ".join(row.result.warnings) for row in rows]
    if any(remarks):
        table.add_column("remarks")
    for row, remark in zip(rows, remarks, strict=True):
        result = row.result
        score = "" if result.probability is None else f"{result.probability:.6f}"
        cells = (str(row.rank), row.band, score, Text(_short(result.path, longest)), remark)
        table.add_row(*cells[: len(table.columns)])
    return table


def _short(name: str, longest: int) -> str:
    """A path of thousands of characters would hide the rows around it."""
    half = longest // 2
    return name if len(name) <= longest else f"{name[:half]}…{name[-half:]}"


def _summary(report: Report, shown: int) -> Iterator[str]:
    counts = report.counts
    rest = counts.attention + counts.flagged - shown
    if rest:
        yield f"... and {rest} more that need attention or are flagged, see triage.html"
    context = report.context
    chosen = " (auto)" if context.device_asked == "auto" else ""
    yield (
        f"{context.model_file} on {context.device_used}{chosen}, {context.operating_point} at "
        f"{context.threshold:.6f}"
    )
    if len(report.devices) > 1:
        films = ", ".join(f"{number} on {device}" for device, number in report.devices.items())
        yield f"films scored: {films}"
    if context.profile:
        point = context.profile.point
        yield (
            f"site threshold chosen with sensitivity {with_interval(point.sensitivity)} on "
            f"{point.sensitivity.n} positive films, specificity "
            f"{with_interval(point.specificity)} on {point.specificity.n}"
        )
    yield (
        f"{counts.found} found = {counts.scored} scored + {counts.not_scored} not scored "
        f"+ {counts.deferred} deferred"
    )
    if context.recalled:
        yield f"{context.recalled} unchanged since an earlier run, not scored again"
    yield (
        f"{counts.attention} need attention, {counts.flagged} flagged, {counts.unflagged} unflagged"
    )


def _details(report: Report) -> str:
    context = report.context
    rate = report.counts.found / max(context.seconds, 1e-9)
    software = ", ".join(f"{name} {number}" for name, number in context.versions.items())
    return f"{context.seconds:.1f} s, {rate:.0f} files/s; {software}"
