"""All commands, and what runs the one that was asked for."""

from __future__ import annotations

import gc
import os
import signal
import sys
from typing import TextIO, cast

import click

from cxr_edge import __version__
from cxr_edge.cli.audit import audit
from cxr_edge.cli.boundary import BestEffort, run_command, say_from_handler
from cxr_edge.cli.config import add_config
from cxr_edge.cli.doctor import doctor
from cxr_edge.cli.drift import drift
from cxr_edge.cli.evaluate import evaluate
from cxr_edge.cli.explore import explore
from cxr_edge.cli.export import export
from cxr_edge.cli.history import history
from cxr_edge.cli.mercure import mercure
from cxr_edge.cli.models import models
from cxr_edge.cli.platform import check_platform
from cxr_edge.cli.prune import prune
from cxr_edge.cli.reads import reads
from cxr_edge.cli.receive import receive
from cxr_edge.cli.report import report
from cxr_edge.cli.results import results
from cxr_edge.cli.runs import runs
from cxr_edge.cli.sbom import sbom
from cxr_edge.cli.score import score
from cxr_edge.cli.search import search
from cxr_edge.cli.send import send
from cxr_edge.cli.train import train

__all__ = ["cli", "run"]


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="cxr-edge")
def cli() -> None:
    """Score chest x-rays overnight and put the patients at risk on top.

    Prioritisation aid. Not a diagnosis. Unflagged studies still need reading.

    \b
    Example:
      cxr-edge score ./incoming --model cnn3_128.onnx
    """
    check_platform(sys.argv[1:])


for command in (
    *(score, report, results, receive, send, mercure, prune, history, drift, reads, audit),
    *(evaluate, models, doctor, sbom, explore, train, search, runs, export),
):
    cli.add_command(command)
add_config(cli)


def run() -> None:
    """Run a command and exit with its code."""
    _fill_closed_streams()
    signal.signal(signal.SIGTERM, _terminate)
    if sys.stderr is not None:  # as it is in `2>&-`
        sys.stderr = cast(TextIO, BestEffort(sys.stderr))
    if signal.getsignal(signal.SIGINT) is signal.SIG_DFL:  # as `main` has set it
        signal.signal(signal.SIGINT, signal.default_int_handler)
    code = run_command(cli)
    gc.freeze()  # else Python looks for garbage in all that was imported as it ends: 40 ms
    sys.exit(code)


def _fill_closed_streams() -> None:
    """Let nothing that is opened later take the place of a stream that the caller has closed.

    What is written to a closed stdout fails, so that rows are not lost without a word.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDONLY)  # the lowest number that is free
    if sys.stdout is None:
        sys.stdout = os.fdopen(1, "w", closefd=False)


def _terminate(number: int, frame: object) -> None:
    """Leave through the same clean-up as any error, so that no half report stays behind."""
    say_from_handler("error", "terminated; safe to run again")
    raise SystemExit(128 + number)
