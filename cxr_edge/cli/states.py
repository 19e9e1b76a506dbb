"""The state folder that a command is about."""

from __future__ import annotations

from pathlib import Path

import click

from cxr_edge.errors import InputError

_NAMED = 5

state_option = click.option(
    "--state",
    type=click.Path(path_type=Path),
    help="Folder of the ledger.  [default: this user's, if there is one only]",
)


def chosen_state(state: Path | None) -> Path:
    """The folder that was named, or the only one that this user has.

    Raises:
        InputError: there is none, or more than one.
    """
    from cxr_edge.ledger.file import LEDGER_NAME
    from cxr_edge.ledger.state import states_folder
    from cxr_edge.support.text import display_name

    if state is not None:
        return state
    folder = states_folder()
    found = sorted(path.parent for path in folder.glob(f"*/{LEDGER_NAME}"))
    if len(found) != 1:
        names = ", ".join(display_name(path) for path in found[:_NAMED])
        raise InputError(
            f"several ledgers in {display_name(folder)}: {names}"
            if found
            else f"there is no ledger in {display_name(folder)}",
            tip="give --state the folder that score was given",
        )
    return found[0]
