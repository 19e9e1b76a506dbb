"""`cxr-edge score`."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cxr_edge.cli.boundary import echo, exit_code_of, say_warning
from cxr_edge.cli.options import (
    EXIT_INCOMPLETE,
    Seconds,
    language_option,
    metrics_option,
    parquet_option,
    runtime_options,
)
from cxr_edge.cli.results import check_hospital, wanted_options, write_results
from cxr_edge.cli.stopping import signals_wait
from cxr_edge.cli.terminal import Terminal
from cxr_edge.errors import InputError
from cxr_edge.hospital.results_job import ResultsJob, Wanted
from cxr_edge.intake.settle import DEFAULT_SETTLE_SECONDS
from cxr_edge.scoring.job import DEFAULT_MODEL, ScoreJob
from cxr_edge.types import DEFAULT_LANGUAGE, Place, Url, place_of

if TYPE_CHECKING:
    from cxr_edge.decoders.start import Decoders
    from cxr_edge.report import Report
    from cxr_edge.scoring.night import Night


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
    callback=lambda _, __, text: None if text is None else place_of(text),
    metavar="PATH",
    help="New folder for the report, or a URL.  [default: reports/<UTC time>]",
)
@click.option(
    "--state",
    type=click.Path(path_type=Path, readable=False),
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
    type=Seconds(0, 86400),
    metavar="SECONDS",
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
@click.option(
    "--exclude",
    multiple=True,
    metavar="GLOB",
    help="Leave out files and folders whose path, or a part of it, matches; several times.",
)
@click.option(
    "--at-least",
    type=click.IntRange(0),
    default=0,
    metavar="N",
    help="Exit with 3 when fewer films are found: an unmounted share is an empty folder.",
)
@parquet_option
@click.option("--wait", is_flag=True, help="Wait for another run that holds the state folder.")
@click.option(
    "--cluster",
    metavar="ADDRESS",
    help="Have a Ray cluster read and score: local, auto, HOST:PORT or ray://HOST:10001.",
)
@click.option(
    "--study",
    is_flag=True,
    envvar="CXR_EDGE_STUDY",
    help="A run that `receive` starts, which sets CXR_EDGE_STUDY=1: films are complete, and it "
    "counts neither as a night nor for what is new.",
)
@metrics_option("when the run has ended")
@click.option(
    "--results",
    is_flag=True,
    help="Write DICOM results of new films into REPORT/results, as `cxr-edge results` does.",
)
@wanted_options
@click.option("--jsonl", is_flag=True, help="Write the rows to stdout as JSON lines too.")
@click.option(
    "-q",
    "--quiet",
    is_flag=True,
    help="Print only errors and warnings, and one line after a night that has not gone well.",
)
@click.option("-v", "--verbose", is_flag=True, help="Print what is used and how long it took.")
def score(metrics: Path | None, jsonl: bool, wanted: Wanted, **options: Any) -> int:
    """Score films and write a ranked triage report.

    INPUTs are folders, walked recursively, files, and URLs (s3://BUCKET/PREFIX). What an earlier
    run has scored with the same model and settings is not scored again, so a run that was stopped
    goes on when it is started again.

    Exit code 0: every file has a score; 1: no report; 2: an input or option is wrong; 3: the report
    is complete and lists files without a score, or fewer films than --at-least; 4: the model or
    device is refused; 75: another run holds the state folder; 129, 130, 143: stopped by a signal,
    and the same command goes on.

    \b
    Example:
      cxr-edge score ./incoming --model cnn3_128.onnx --out reports/tonight
    """
    options["language"] = options["language"] or DEFAULT_LANGUAGE
    if options["study"]:  # a spool holds whole files alone
        options["settle"] = 0.0
    terminal = ScoreTerminal(options.pop("quiet"), options.pop("verbose"), jsonl)
    job = ScoreJob(**options, command=tuple(sys.argv))
    check_results(job, wanted)
    outcome = _Outcome()
    with contextlib.ExitStack() as stack:
        if metrics:
            stack.enter_context(_metrics_written(metrics, outcome))
        decoders = stack.enter_context(decoders_for(job))
        outcome.night = scored(job, decoders, terminal)
        if job.results:
            work = _results_job(outcome.night, job, wanted)
            write_results(work, decoders, terminal)
        outcome.exit_code = 0 if outcome.night.complete else EXIT_INCOMPLETE
    return outcome.exit_code


def check_results(job: ScoreJob, wanted: Wanted) -> None:
    """Refuse, before a night's work, results that could not be written after it.

    Raises:
        InputError: the report goes to a URL, or options of results come without --results.
        MissingExtraError: the extra `hospital` is not installed.
    """
    if job.results:
        check_hospital()
        _results_folder(job.out or Path())
    elif wanted != Wanted():
        raise InputError("options of results without --results")


def decoders_for(job: ScoreJob) -> Decoders:
    """The decoders of a night and of its results; those of this machine start at once."""
    # NumPy's linear algebra, of which nothing is used, starts a thread per core, and they spin.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    from cxr_edge.decoders.start import Decoders

    decoders = Decoders()
    if job.cluster is None:
        decoders.prepare()
    return decoders


def scored(job: ScoreJob, decoders: Decoders, terminal: ScoreTerminal) -> Night:
    """Work through a night; CxrEdgeError as `scoring.night.run`."""
    with signals_wait():
        from cxr_edge.scoring.night import run

    return run(job, decoders, terminal)


def _results_job(night: Night, job: ScoreJob, wanted: Wanted) -> ResultsJob:
    """The night's results below its report; the model lies where it was a moment ago."""
    run, out = night.report.context.run_id, _results_folder(night.out)
    return ResultsJob(run, night.state, out, wanted, job.model)


def _results_folder(report: Place) -> Path:
    """Folder for the results of a report; InputError for a report in object storage."""
    if isinstance(report, Url):
        raise InputError(
            "--results writes into a folder, and --out is a URL",
            tip="leave --results out, and then: cxr-edge results latest --out FOLDER",
        )
    return report / "results"


@dataclass
class _Outcome:
    """Outcome of a run; exit code 1 is that of an error which nobody has foreseen."""

    exit_code: int = 1
    night: Night | None = None


@contextlib.contextmanager
def _metrics_written(path: Path, outcome: _Outcome) -> Iterator[None]:
    """Write metrics however the run ends; that they cannot be written changes nothing else."""
    from cxr_edge.report.metrics import write_metrics

    try:
        yield
    except BaseException as error:
        outcome.exit_code = exit_code_of(error)
        raise
    finally:
        night = outcome.night
        succeeded = night is not None and not night.too_few
        report = None if night is None else night.report
        try:
            write_metrics(path, outcome.exit_code, report, succeeded=succeeded)
        except OSError as error:
            say_warning(f"the metrics could not be written to {path}: {error.strerror}")


@dataclass(frozen=True)
class ScoreTerminal(Terminal):
    """Progress, messages and signals, and the report in the end.

    Attributes:
        verbose: show what is used and how long it took.
        jsonl: write the rows to stdout too.
    """

    verbose: bool = False
    jsonl: bool = False

    def finished(self, report: Report, out: Place, *, complete: bool) -> None:
        """Write rows to stdout and the top of the list to stderr, as asked for.

        Quiet, a good night is not worth a word, and any other one is worth a line.
        """
        from cxr_edge.cli import show

        if self.jsonl:
            show.print_jsonl(report, out)
        if not self.quiet:
            show.print_report(report, out, verbose=self.verbose)
        elif not complete:
            echo(show.night_line(report, out), err=True)
