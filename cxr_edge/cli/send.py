"""`cxr-edge send`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from cxr_edge.cli.boundary import echo, missing_extra
from cxr_edge.cli.options import EXIT_INCOMPLETE
from cxr_edge.cli.receive import tls_option
from cxr_edge.cli.states import chosen_state, state_option
from cxr_edge.hospital.send_job import DEFAULT_TITLE, SendJob


@click.command()
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--to", required=True, metavar="AET@HOST:PORT", help="Who gets the objects.")
@click.option(
    "--aet",
    "title",
    default=DEFAULT_TITLE,
    show_default=True,
    metavar="NAME",
    help="Our AE title.",
)
@click.option(
    "--commit",
    is_flag=True,
    help="Ask for storage commitment too, and wait a minute for the answer.",
)
@click.option(
    "--commit-bind",
    metavar="HOST:PORT",
    help="Where the answer may come, from peers that open a connection of their own for it.",
)
@tls_option
@state_option
def send(state: Path | None, **options: Any) -> int:
    """Send DICOM objects, such as results, to a PACS (C-STORE).

    FOLDER is the folder of a report, or any other: every *.dcm below it is put into an outbox in
    the ledger, and all that waits there for this peer is sent. What was answered with Success is
    not sent again. A peer that is away or out of resources is tried again for five minutes, and
    with the next run.

    Exit code 0: all of it has arrived (and is committed, with --commit); 3: something waits, was
    refused, lost or left out; 75: a run holds the state folder.

    \b
    Example:
      cxr-edge send reports/latest --to PACS@10.0.0.5:104 --state /var/lib/cxr-edge/state
    """
    job = SendJob(**options)
    try:
        from cxr_edge.hospital.send import send as send_all
    except ImportError as error:
        raise missing_extra(error, "hospital") from error
    delivery = send_all(job, chosen_state(state), lambda line: echo(line, err=True))
    echo(f"note: {delivery.line(job.to)}", err=True)
    return 0 if delivery.complete else EXIT_INCOMPLETE
