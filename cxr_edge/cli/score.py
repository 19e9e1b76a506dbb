"""`cxr-edge score`."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cxr_edge.cli.options import EXIT_INCOMPLETE, language_option, runtime_options
from cxr_edge.cli.stopping import signals_wait
from cxr_edge.cli.terminal import Terminal
from cxr_edge.intake.settle import DEFAULT_SETTLE_SECONDS
from cxr_edge.scoring.job import DEFAULT_MODEL, ScoreJob
from cxr_edge.types import DEFAULT_LANGUAGE

if TYPE_CHECKING:
    from cxr_edge.report import Report


@click.command()
@click.argument("inputs", nargs=-1, type=click.Path(readable=False))  # what cannot is a row
@click.option(
    "--model",
    default=DEFAULT_MODEL,
    show_default=True,
    help="Bundled name (cnn3_128), bundled file (cnn3_128.tflite) or a path.",
)
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    help="New folder for the report.  [default: reports/<UTC time>]",
)
@click.option(
    "--state",
    type=click.Path(path_type=Path),
    help="Folder of the ledger, on a local disk.  [default: one per set of INPUTs, or per working "
    "folder with --files-from, in the user's state]",
)
@click.option("--operating-point", help="One of the model's own.  [default: screening]")
@click.option("--threshold", type=float, help="A probability, instead of an operating point.")
@click.option(
    "--site-profile",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="The threshold that `cxr-edge evaluate --propose-threshold` chose on your own films.",
)
@runtime_options
@click.option(
    "--settle",
    type=click.FloatRange(0, 86400),
    default=DEFAULT_SETTLE_SECONDS,
    show_default=True,
    help="Seconds that a file must have been left alone to count as complete; 0 trusts all.",
)
@click.option(
    "--identify",
    is_flag=True,
    help="Say whom each film is of: patient ID, accession number, UIDs and time, from its header.",
)
@click.option(
    "--id-tag",
    "id_tags",
    multiple=True,
    metavar="TAG",
    help="One more DICOM keyword to show with each film, such as InstitutionName; several times.",
)
@click.option(
    "--thumbnails",
    is_flag=True,
    help="Show films and what raised or lowered their scores in the page: pixels of patients.",
)
@click.option(
    "--prevalence",
    type=float,
    metavar="SHARE",
    help="Share of pneumonias among your films, such as 0.1: the page says what a flag is worth.",
)
@click.option(
    "--viewer-url",
    metavar="TEMPLATE",
    help="Make rows links, such as https://viewer/{accession_number}; with --identify.",
)
@language_option
@click.option(
    "--files-from",
    metavar="FILE",
    help="Read paths from FILE, one a line or as find -print0 ends them; - is stdin.",
)
@click.option("--jsonl", is_flag=True, help="Write the rows to stdout as JSON lines too.")
@click.option("-q", "--quiet", is_flag=True, help="Print only errors and warnings.")
@click.option("-v", "--verbose", is_flag=True, help="Print what is used and how long it took.")
def score(jsonl: bool, quiet: bool, verbose: bool, **options: Any) -> int:
    """Score films and write a ranked triage report.

    INPUTs are folders, walked recursively, and files. What an earlier run has scored with the same
    model and settings is not scored again, so a run that was stopped goes on when it is started
    again.

    Exit code 0: every file has a score; 1: no report; 2: an input or option is wrong; 3: the report
    is complete and lists files without a score; 4: the model or device is refused; 75: another run
    holds the state folder; 129, 130, 143: stopped by a signal, and the same command goes on.

    \b
    Example:
      cxr-edge score ./incoming --model cnn3_128.onnx --out reports/tonight
    """
    options["language"] = options["language"] or DEFAULT_LANGUAGE
    job = ScoreJob(**options, command=tuple(sys.argv))
    # NumPy's linear algebra, of which nothing is used, starts a thread per core, and they spin.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    from cxr_edge.decoders.start import Decoders

    with Decoders() as decoders:
        decoders.prepare()
        with signals_wait():
            from cxr_edge.scoring.night import run

        night = run(job, decoders, ScoreTerminal(quiet, verbose, jsonl))
    return 0 if night.report.counts.complete else EXIT_INCOMPLETE


@dataclass(frozen=True)
class ScoreTerminal(Terminal):
    """Progress, messages and signals, and the report in the end.

    Attributes:
        verbose: show what is used and how long it took.
        jsonl: write the rows to stdout too.
    """

    verbose: bool = False
    jsonl: bool = False

    def finished(self, report: Report, out: Path) -> None:
        """Write rows to stdout and the top of the list to stderr, as asked for."""
        from cxr_edge.cli import show

        if self.jsonl:
            show.print_jsonl(report, out)
        if not self.quiet:
            show.print_report(report, out, verbose=self.verbose)
