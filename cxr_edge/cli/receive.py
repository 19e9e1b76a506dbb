"""`cxr-edge receive`."""

from __future__ import annotations

import signal
from pathlib import Path
from types import FrameType
from typing import Any

import click

from cxr_edge.cli.boundary import echo, missing_extra
from cxr_edge.cli.options import metrics_option
from cxr_edge.hospital.receive_job import ReceiveJob, parse_command, parse_size, parse_span
from cxr_edge.support.signals import handled

tls_option = click.option(
    "--tls",
    nargs=3,
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="CERT KEY CA",
    help="Speak TLS: our certificate and key, and the authority of the other side's, in PEM.",
)


@click.command()
@click.option("--aet", "title", required=True, metavar="NAME", help="Our AE title.")
@click.option(
    "--bind",
    default="127.0.0.1:11112",
    show_default=True,
    metavar="HOST:PORT",
    help="Where to listen; 0.0.0.0 is every network of this machine.",
)
@click.option(
    "--from",
    "senders",
    multiple=True,
    metavar="AET[@HOST]",
    help="Who may send: an AE title, and the only machine it may come from; several times.",
)
@click.option(
    "--spool",
    required=True,
    type=click.Path(path_type=Path),
    help="Folder on a local disk; the films lie in films/ below it.",
)
@click.option(
    "--study-quiet",
    default="30s",
    show_default=True,
    metavar="TIME",
    help="How long nothing must have come of a study for --run to start.",
)
@click.option(
    "--run",
    "command",
    metavar="COMMAND",
    help='What to run over the films of the spool: "cxr-edge score --state DIR".',
)
@click.option("--max-spool", metavar="SIZE", help="Refuse films beyond that: 500GB.")
@tls_option
@metrics_option("four times a minute")
def receive(study_quiet: str, command: str | None, max_spool: str | None, **options: Any) -> int:
    """Receive films from a PACS or a modality (C-STORE) into a folder.

    A film is on disk before its sender hears Success. With --run, a command is started over the
    films of the spool, their folder put behind it, whenever a study has been quiet; one at a time.

    Runs until SIGTERM or Ctrl-C, which end associations and exit with 143 or 130. Exit code 2: an
    address, title or file cannot be used; 75: another receiver holds the spool.

    \b
    Example:
      cxr-edge receive --aet CXREDGE --from PACS@10.0.0.5 --bind 10.0.0.9:11112 --spool spool
    """
    job = ReceiveJob(
        **options,
        quiet=parse_span(study_quiet),
        command=parse_command(command) if command is not None else (),
        most=parse_size(max_spool) if max_spool is not None else None,
    )
    try:
        from cxr_edge.hospital.receive import receive as receive_until
    except ImportError as error:
        raise missing_extra(error, "hospital") from error
    stop = _Stop()
    with handled((signal.SIGTERM, signal.SIGINT), stop.handle):
        receive_until(job, lambda line: echo(line, err=True), stop.is_asked_for)
    return 128 + stop.number


class _Stop:
    """Asked for by the first signal; the second ends the program at once."""

    def __init__(self) -> None:
        self.number = 0

    def handle(self, number: int, _: FrameType | None) -> None:
        """Remember which it was; no lock is taken, as the main thread may hold it just now."""
        if self.number:
            raise SystemExit(128 + number)
        self.number = number

    def is_asked_for(self) -> bool:
        """Whether a signal has come."""
        return self.number != 0
