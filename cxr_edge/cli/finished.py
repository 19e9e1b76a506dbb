"""The finished run that a command is about, in one ledger or in any of this user's."""

from __future__ import annotations

from pathlib import Path

import click

from cxr_edge.cli.boundary import say_warning
from cxr_edge.errors import InputError, StateError

LATEST = "latest"
_RUNS_NAMED = 5

run_argument = click.argument("run", metavar="RUN", default=LATEST)
any_state_option = click.option(
    "--state",
    type=click.Path(path_type=Path, readable=False),
    help="Folder of the ledger.  [default: every ledger of this user]",
)


def finished_run(run: str, state: Path | None) -> tuple[str, Path]:
    """Find a run by its name, or the latest one.

    Args:
        run: its name, or `latest`.
        state: folder of its ledger; None to look through every ledger of this user.

    Returns:
        Its name and the folder of its ledger.

    Raises:
        InputError: there is no such run.
        StateError: the ledger cannot be read.
    """
    from cxr_edge.ledger.state import states_folder
    from cxr_edge.support.text import display_name

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
    return name, runs[name]


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
