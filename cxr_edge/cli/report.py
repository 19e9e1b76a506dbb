"""`cxr-edge report`: a finished run's report once more, from the ledger."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import click

from cxr_edge.cli.boundary import say_warning
from cxr_edge.cli.finished import any_state_option, finished_run, run_argument
from cxr_edge.cli.options import EXIT_INCOMPLETE, language_option, parquet_option
from cxr_edge.errors import ReportError


@click.command()
@run_argument
@any_state_option
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    help="New folder for the report.  [default: reports/<UTC time>]",
)
@language_option
@parquet_option
@click.option("-q", "--quiet", is_flag=True, help="Print only errors and warnings.")
def report(run: str, state: Path | None, out: Path | None, **wishes: Any) -> int:
    """Write a finished run's report again, from the ledger.

    RUN is the name that the report and run.json give the run, or `latest`. No film is read or shown
    and no model is needed: a report that could not be written, to a full disk for one, loses no
    score.

    Exit code 0: every file has a score; 3: the report is complete and lists files without one.

    \b
    Example:
      cxr-edge report 20261122T221500.123456Z --out reports/again
    """
    from cxr_edge.report.folder import check_target
    from cxr_edge.report.parquet import check_parquet
    from cxr_edge.support.utc import Clock

    if wishes["parquet"]:
        check_parquet()
    out = out or Path("reports", Clock().run_id)
    check_target(out)
    name, folder = finished_run(run, state)
    return _render(name, folder, out, _Wishes(**wishes))


@dataclass(frozen=True)
class _Wishes:
    """Options of a report: language, other files, silence."""

    language: str | None
    parquet: bool
    quiet: bool


def _render(name: str, folder: Path, out: Path, wishes: _Wishes) -> int:
    from cxr_edge.cli import show
    from cxr_edge.ledger.runs import read_ledger
    from cxr_edge.report import Report, write_report
    from cxr_edge.report.context import RecordedRows, recorded_run

    with read_ledger(folder) as ledger:
        recorded, context = recorded_run(ledger, name)
        if recorded.damaged:
            _warn_of_damage(len(recorded.damaged))
        language = wishes.language or context.language
        context = replace(context, thumbnails=False, language=language)  # there are no pixels
        rows = RecordedRows(recorded, context.threshold, context.identity_fields)
        made = Report(rows, context, earlier=rows.earlier, parquet=wishes.parquet)
        write_report(made, out)
        _show_among_nights(out)
        if not wishes.quiet:
            show.print_report(made, out, verbose=False)
        return 0 if made.counts.complete else EXIT_INCOMPLETE


def _show_among_nights(out: Path) -> None:
    """Readers open `latest`: it must not lead to the night before one whose report came late."""
    from cxr_edge.report.nights import renew_index, renew_latest

    try:
        renew_latest(out)
        renew_index(out.parent)
    except (OSError, ReportError) as error:
        say_warning(f"the link to the latest report, or the page of nights, stays old: {error}")


def _warn_of_damage(rows: int) -> None:
    what = "row of the run is damaged; the report lists its film as unreadable"
    if rows > 1:
        what = "rows of the run are damaged; the report lists their films as unreadable"
    say_warning(f"{rows} {what}", "check the disk, and run score again")
