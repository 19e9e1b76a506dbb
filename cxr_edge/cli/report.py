"""`cxr-edge report`: a finished run's report once more, from the ledger."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import click

from cxr_edge.cli.boundary import say_warning
from cxr_edge.cli.options import EXIT_INCOMPLETE, language_option
from cxr_edge.errors import InputError, StateError

LATEST = "latest"
_RUNS_NAMED = 5


@click.command()
@click.argument("run", metavar="RUN", default=LATEST)
@click.option(
    "--state",
    type=click.Path(path_type=Path),
    help="Folder of the ledger.  [default: every ledger of this user]",
)
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    help="New folder for the report.  [default: reports/<UTC time>]",
)
@language_option
@click.option("-q", "--quiet", is_flag=True, help="Print only errors and warnings.")
def report(
    run: str, state: Path | None, out: Path | None, language: str | None, quiet: bool
) -> int:
    """Write a finished run's report again, from the ledger.

    RUN is the name that the report and run.json give the run, or `latest`. No film is read or shown
    and no model is needed: a report that could not be written, to a full disk for one, loses no
    score.

    Exit code 0: every file has a score; 3: the report is complete and lists files without one.

    \b
    Example:
      cxr-edge report 20261122T221500.123456Z --out reports/again
    """
    from cxr_edge.ledger.state import states_folder
    from cxr_edge.report.folder import check_target
    from cxr_edge.support.text import display_name
    from cxr_edge.support.utc import Clock

    out = out or Path("reports", Clock().run_id)
    check_target(out)
    runs = _runs(state) if state else _all_runs()
    if not runs:
        raise InputError(
            f"no run has finished in {display_name(state or states_folder())}",
            tip="one that was stopped goes on with the command that began it"
            + ("" if state else "; or give the run's --state"),
        )
    name = next(iter(runs)) if run == LATEST else run
    if name not in runs:
        raise InputError(
            f"there is no finished run {name!r}",
            tip=f"finished runs: {', '.join(list(runs)[:_RUNS_NAMED])}; or give the run's --state",
        )
    return _render(name, runs[name], out, _Wishes(language, quiet))


def _runs(folder: Path) -> dict[str, Path]:
    """The finished runs of a state folder, latest first whatever the clock said."""
    from cxr_edge.ledger.runs import read_ledger

    with read_ledger(folder) as ledger:
        return dict.fromkeys(ledger.finished_ids(), folder)


def _all_runs() -> dict[str, Path]:
    """Collect the runs of all default state folders; a broken one does not hide the others."""
    from cxr_edge.ledger.file import LEDGER_NAME
    from cxr_edge.ledger.state import states_folder
    from cxr_edge.support.text import display_name

    ledgers = []
    for path in states_folder().glob(f"*/{LEDGER_NAME}"):
        try:
            ledgers.append(_runs(path.parent))
        except StateError as error:
            say_warning(f"{display_name(path.parent)}: {error}", error.tip)
    ledgers.sort(key=lambda runs: next(iter(runs), ""), reverse=True)
    return {name: folder for runs in ledgers for name, folder in runs.items()}


@dataclass(frozen=True)
class _Wishes:
    """How to render: in another language than the run's own, and whether to print nothing."""

    language: str | None
    quiet: bool


def _render(name: str, folder: Path, out: Path, wishes: _Wishes) -> int:
    from cxr_edge.cli import show
    from cxr_edge.ledger.runs import read_ledger
    from cxr_edge.report import Report, RunContext, write_report
    from cxr_edge.report.context import RecordedRows

    with read_ledger(folder) as ledger:
        try:
            recorded, values = ledger.finished(name)
            context = RunContext.from_dict(values)
        except KeyError as error:
            raise StateError(f"run {name} has just been forgotten for newer ones") from error
        except (TypeError, ValueError) as error:
            raise StateError(
                f"run {name} was recorded by another version of cxr-edge: {error}",
                tip="use that version, or score again",
            ) from error
        if recorded.damaged:
            _warn_of_damage(len(recorded.damaged))
        language = wishes.language or context.language
        context = replace(context, thumbnails=False, language=language)  # there are no pixels
        rows = RecordedRows(recorded, context.threshold, context.identity_fields)
        made = Report(rows, context, earlier=rows.earlier)
        write_report(made, out)
        if not wishes.quiet:
            show.print_report(made, out, verbose=False)
        return 0 if made.counts.complete else EXIT_INCOMPLETE


def _warn_of_damage(rows: int) -> None:
    what = "row of the run is damaged; the report lists its film as unreadable"
    if rows > 1:
        what = "rows of the run are damaged; the report lists their films as unreadable"
    say_warning(f"{rows} {what}", "check the disk, and run score again")
