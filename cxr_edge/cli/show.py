"""What people see while and after a run: progress, the triage table, where the report lies."""

from __future__ import annotations

import json
import os
import platform
import sys
import time
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import TypeVar

import click
from rich.console import Console
from rich.progress import Progress
from rich.table import Column, Table
from rich.text import Text

from cxr_edge import __version__
from cxr_edge.catalog import ModelChoice
from cxr_edge.cli.boundary import say_error
from cxr_edge.errors import ReportError
from cxr_edge.report import Report, RunContext
from cxr_edge.report.context import BANNER
from cxr_edge.report.rows import row_values
from cxr_edge.runtime import Runner
from cxr_edge.triage import TriageRow
from cxr_edge.types import Band, display_name
from cxr_edge.utc import utc_text

T = TypeVar("T")

ROWS_SHOWN = 20
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
    def folder_name(self) -> str:
        """The start as a file name; to the microsecond, because runs can take under a second."""
        return self._began.strftime("%Y%m%dT%H%M%S.%fZ")

    @property
    def seconds(self) -> float:
        """Since the start, to the millisecond."""
        return round(time.monotonic() - self._monotonic, 3)


def run_context(
    choice: ModelChoice, runner: Runner, clock: Clock, point: tuple[str, float], device_asked: str
) -> RunContext:
    """Everything the report says about the run, taken when the last score is there."""
    return RunContext(
        spec=choice.spec,
        model_file=display_name(choice.path.name),
        model_sha256=choice.file.sha256,
        operating_point=point[0],
        threshold=point[1],
        device_asked=device_asked,
        device_used=runner.device,
        versions=versions(runner),
        started_utc=clock.started_utc,
        seconds=clock.seconds,
        command=tuple(sys.argv),
    )


def versions(runner: Runner) -> dict[str, str]:
    """Software that could change a number."""
    backend, backend_version = runner.backend.rsplit(" ", 1)
    return {
        "cxr-edge": __version__,
        "python": platform.python_version(),
        "numpy": version("numpy"),
        "pillow": version("pillow"),
        backend: backend_version,
    }


def with_progress(items: Iterable[T], total: int, *, quiet: bool) -> Iterator[T]:
    """Pass items through: a bar on a terminal, a line per 500 files elsewhere."""
    console = Console(stderr=True, quiet=quiet, highlight=False)
    if console.is_terminal:
        with Progress(console=console, transient=True) as bar:
            yield from bar.track(items, total=total, description="scoring")
        return
    for done, item in enumerate(items, start=1):
        yield item
        if done % FILES_PER_LINE == 0:
            console.print(f"{done} of {total} files")


def warn_nothing_found() -> None:
    """Said even when quiet: a share that was not mounted looks like a night without films."""
    say_error("no file was found", "is the folder mounted, and the right one?")


def print_jsonl(report: Report, out: Path) -> None:
    """The rows on stdout, one JSON object a line, with the columns of the CSV.

    Raises:
        ReportError: stdout takes no more; the report in `out` is complete all the same.
    """
    try:
        for row in report.rows:
            click.echo(json.dumps(row_values(row)))
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
    console = Console(stderr=True, highlight=False)
    shown = [row for row in report.rows if row.band is not Band.UNFLAGGED][:ROWS_SHOWN]
    if shown:
        console.print(_table(shown))
    for line in _summary(report, len(shown)):
        console.print(Text(line), soft_wrap=True)
    if verbose:
        console.print(Text(_details(report)), soft_wrap=True)
    console.print(Text(f"report: {out / 'triage.html'}"), soft_wrap=True)
    console.print(Text(BANNER, style="bold"), soft_wrap=True)


def _table(rows: list[TriageRow]) -> Table:
    """File names are Text, so that nothing in them is taken for markup."""
    table = Table("rank", "band", "probability", Column("file", overflow="fold"), "remarks")
    for row in rows:
        result = row.result
        remarks = result.reason or ", ".join(result.warnings)
        score = "" if result.probability is None else f"{result.probability:.6f}"
        table.add_row(str(row.rank), row.band, score, Text(result.path), remarks)
    return table


def _summary(report: Report, shown: int) -> Iterator[str]:
    counts = report.counts
    rest = counts.attention + counts.flagged - shown
    if rest:
        yield f"... and {rest} more to read first, see triage.csv"
    yield (
        f"{counts.found} found = {counts.scored} scored + {counts.not_scored} not scored "
        f"+ {counts.deferred} deferred"
    )
    yield (
        f"{counts.attention} need attention, {counts.flagged} flagged, {counts.unflagged} unflagged"
    )


def _details(report: Report) -> str:
    context = report.context
    rate = report.counts.found / max(context.seconds, 1e-9)
    software = ", ".join(f"{name} {number}" for name, number in context.versions.items())
    return (
        f"{context.model_file} on {context.device_used}, {context.operating_point} at "
        f"{context.threshold:.6f}, {context.seconds:.1f} s, {rate:.0f} files/s; {software}"
    )
