"""The state folder that a command is about."""

from __future__ import annotations

from pathlib import Path

import click

from cxr_edge.errors import InputError

_NAMED = 5

state_option = click.option(
    "--state",
    type=click.Path(path_type=Path, readable=False),
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
    from cxr_edge.support.utc import file_time_text

    if state is not None:
        return state
    folder = states_folder()
    written = [(path.stat().st_mtime_ns, path.parent) for path in folder.glob(f"*/{LEDGER_NAME}")]
    if len(written) == 1:
        return written[0][1]
    if not written:
        raise InputError(
            f"there is no ledger in {display_name(folder)}",
            tip="give --state the folder that score was given",
        )
    latest = sorted(written, reverse=True)[:_NAMED]
    names = [f"{display_name(path)} ({file_time_text(time)})" for time, path in latest]
    more = f", and {len(written) - _NAMED} more" if len(written) > _NAMED else ""
    raise InputError(
        f"several ledgers, the one written last first: {', '.join(names)}{more}",
        tip="give --state one of them; each set of INPUTs has its own where score is given none",
    )
