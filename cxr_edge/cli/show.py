"""Shows what a run found: the triage table, counts, where the report lies."""

from __future__ import annotations

import itertools
import json
import os
import sys
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

import click

from cxr_edge.cli.terminal import is_watched
from cxr_edge.errors import ReportError
from cxr_edge.report import Report
from cxr_edge.report.context import BANNER
from cxr_edge.report.rows import row_values
from cxr_edge.statistics.measurements import with_interval
from cxr_edge.support.text import printable
from cxr_edge.triage import TriageRow
from cxr_edge.types import Band, Place

if TYPE_CHECKING:
    from rich.table import Table

ROWS_SHOWN = 20
_REASONS_SHOWN = 3
_NAME_SHOWN = 160
_NAME_LOGGED = 1000  # of a path: three identifiers of DICOM and more
_NARROW = 60  # columns of a terminal; file and remarks would have no room beside the rest
_LOG_WIDTH = 10_000  # wider than any line: names are not folded there


def print_jsonl(report: Report, out: Place) -> None:
    """The rows on stdout, one JSON object a line: the columns of the CSV, and how they came about.

    A film that was scored on another device than the run began on says on which.

    Raises:
        ReportError: stdout takes no more; the report in `out` is complete all the same.
    """
    try:
        context = report.context
        how = {
            "run": context.run_id,
            "model": context.spec.name,
            "model_version": context.spec.version,
            "operating_point": context.operating_point,
            "threshold": context.threshold,
        }
        for row in report.rows:
            values = row_values(row, context.identity_fields)
            elsewhere = {"device": row.result.device} if row.result.device else {}
            click.echo(json.dumps({**values, **how, **elsewhere}))
    except OSError as error:
        # What Python would still flush at exit goes nowhere.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        if isinstance(error, BrokenPipeError):
            return  # the reader has seen enough
        raise ReportError(
            f"the rows could not be written to stdout: {error.strerror}",
            tip=f"the report itself is complete: {out}",
        ) from error


def print_report(report: Report, out: Place, *, verbose: bool) -> None:
    """Counts, the top of the reading list and where the files are, on stderr."""
    from rich.console import Console

    console = Console(stderr=True, highlight=False)
    watched = is_watched()
    if not watched:  # names whole, for whoever searches a log for one
        console.width = _LOG_WIDTH
    urgent = (row for row in report.rows if row.band in (Band.ATTENTION, Band.FLAGGED))
    shown = list(itertools.islice(urgent, ROWS_SHOWN))
    if shown:
        longest = _NAME_SHOWN if watched else _NAME_LOGGED
        console.print(_table(shown, longest, narrow=console.width < _NARROW))
    details = [_details(report)] if verbose else []
    print_lines([*_summary(report, len(shown)), *details, night_line(report, out)])


def night_line(report: Report, out: Place) -> str:
    """One night in one line: counts, what is new, the worst reasons, where the report lies."""
    counts, gone = report.counts, report.context.gone
    worst = [f"{reason} {films}" for reason, films in report.reasons.items()][:_REASONS_SHOWN]
    why = f" ({', '.join(worst)})" if worst else ""
    parts = [
        f"{counts.found} found",
        f"{report.new} new",
        *([f"{gone} gone"] if gone else []),
        f"{counts.attention} need attention{why}",
        f"{counts.flagged} flagged",
        f"{counts.unflagged} unflagged",
        *([f"{counts.other} no films"] if counts.other else []),
    ]
    return f"{', '.join(parts)}; report: {out / 'triage.html'}"


def print_lines(lines: Iterable[str]) -> None:
    """Figures, where they are, and the banner, on stderr."""
    from rich.console import Console
    from rich.text import Text

    console = Console(stderr=True, highlight=False)
    for line in lines:
        console.print(Text(printable(line)), soft_wrap=True)
    console.print(Text(BANNER, style="bold"), soft_wrap=True)


def _table(rows: list[TriageRow], longest: int, *, narrow: bool) -> Table:
    """File names are Text, so that nothing in them is taken for markup.

    A narrow one has no lines and no probabilities.
    """
    from rich.table import Column, Table
    from rich.text import Text

    names = ("rank", "band") if narrow else ("rank", "band", "probability")
    figures = (Column(name, no_wrap=True) for name in names)
    table = Table(*figures, Column("file", overflow="fold"), padding=(0, 1))
    if narrow:
        table.box = None
    remarks = [row.result.reason or ", ".join(row.result.warnings) for row in rows]
    if any(remarks):
        table.add_column("remarks", overflow="fold")
    for row, remark in zip(rows, remarks, strict=True):
        result = row.result
        score = "" if result.probability is None else f"{result.probability:.6f}"
        shown = [str(row.rank), str(row.band), *([] if narrow else [score])]
        last = [remark] if any(remarks) else []
        table.add_row(*shown, Text(_short(result.path, longest)), *last)
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
        yield (
            f"{context.recalled} files unchanged since an earlier run: their rows were taken "
            "from it"
        )
    left_out = [
        f"{files} files {where}"
        for files, where in (
            (context.excluded, "by --exclude"),
            (context.left_out, "in system folders"),
        )
        if files
    ]
    if left_out:
        yield f"left out: {', '.join(left_out)}"


def _details(report: Report) -> str:
    context = report.context
    rate = report.counts.found / max(context.seconds, 1e-9)
    software = ", ".join(f"{name} {number}" for name, number in context.versions.items())
    return f"{context.seconds:.1f} s, {rate:.0f} files/s; {software}"
