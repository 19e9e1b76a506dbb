"""Options and exit codes that several commands share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

from cxr_edge.types import LANGUAGES

EXIT_INCOMPLETE = 3  # the report is complete, some films have no score

Command = Callable[..., Any]

language_option = click.option(
    "--language", type=click.Choice(LANGUAGES), help="Language of the page.  [default: en]"
)


def runtime_options(command: Command) -> Command:
    """Where and how films are worked through."""
    for option in (
        click.option(
            "--batch-size",
            type=click.IntRange(1, 256),
            help="Films in the network at once; a GPU's batch is halved until it fits.  "
            "[default: 16 for each core; 256 on CUDA]",
        ),
        click.option(
            "--workers",
            type=click.IntRange(1, 256),
            help="Decoding processes.  [default: usable cores]",
        ),
        click.option(
            "--device", default="auto", show_default=True, help="auto, cpu, cuda or cuda:N."
        ),
    ):
        command = option(command)
    return command
