"""`cxr-edge score`: the night's work as a list of steps."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cxr_edge.errors import InputError
from cxr_edge.types import PROBABILITY_DECIMALS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cxr_edge.catalog import ModelChoice
    from cxr_edge.report import Report
    from cxr_edge.runtime import Runner
    from cxr_edge.types import FoundFile, Result

EXIT_INCOMPLETE = 3
DEFAULT_MODEL = "cnn3_128"


@dataclass(frozen=True)
class ScoreRequest:
    """The command line of `score`, one field per parameter."""

    inputs: tuple[str, ...]
    model: str
    out: Path | None
    operating_point: str | None
    threshold: float | None
    device: str
    workers: int | None
    batch_size: int
    files_from: str | None
    jsonl: bool
    quiet: bool
    verbose: bool

    def __post_init__(self) -> None:
        """Refuse what contradicts itself."""
        if "" in self.inputs:
            # Path("") is the current folder, and "$UNSET" is a likely way to get there.
            raise InputError("an INPUT is an empty string", tip="is the shell variable set?")
        if bool(self.inputs) == (self.files_from is not None):
            raise InputError("give INPUTs or --files-from, one of the two")
        if self.operating_point is not None and self.threshold is not None:
            raise InputError("give --operating-point or --threshold, one of the two")
        if self.threshold is not None and not 0 < round(self.threshold, PROBABILITY_DECIMALS) < 1:
            raise InputError(f"--threshold must lie between 0 and 1: {self.threshold}")


@click.command()
@click.argument("inputs", nargs=-1, type=click.Path())
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
@click.option("--operating-point", help="One of the model's own.  [default: screening]")
@click.option("--threshold", type=float, help="A probability, instead of an operating point.")
@click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda or cuda:N.")
@click.option(
    "--workers", type=click.IntRange(1, 256), help="Decoding threads.  [default: usable cores]"
)
@click.option("--batch-size", type=click.IntRange(1, 256), default=32, show_default=True)
@click.option("--files-from", metavar="FILE", help="Read paths from FILE, one a line; - is stdin.")
@click.option("--jsonl", is_flag=True, help="Write the rows to stdout as JSON lines too.")
@click.option("-q", "--quiet", is_flag=True, help="Say nothing but errors.")
@click.option("-v", "--verbose", is_flag=True, help="Say what is used and how long it took.")
def score(**options: Any) -> int:
    """Score films and write a ranked triage report.

    INPUTs are folders, walked recursively, and files.

    Exit code 0: every file has a score; 3: the report is complete and lists files without one.

    \b
    Example:
      cxr-edge score ./incoming --model cnn3_128.onnx --out reports/tonight
    """
    request = ScoreRequest(**options)
    report = _run(request)
    return 0 if report.counts.complete else EXIT_INCOMPLETE


def _run(request: ScoreRequest) -> Report:
    """Check everything, score, rank, write, tell."""
    from cxr_edge.catalog import choose_model
    from cxr_edge.cli import show
    from cxr_edge.report import Report, write_report
    from cxr_edge.report.folder import check_target
    from cxr_edge.runtime import Device, load
    from cxr_edge.triage import triage

    clock = show.Clock()
    out = request.out or Path("reports", clock.folder_name)
    check_target(out)
    choice = choose_model(request.model)
    name, threshold = _operating_point(request, choice)
    runner = load(choice, Device.parse(request.device))
    files = _files(request)
    results = _score(request, choice, runner, files)
    context = show.run_context(choice, runner, clock, (name, threshold), request.device)
    report = Report(tuple(triage(results, threshold)), context)
    write_report(report, out)
    if request.jsonl:
        show.print_jsonl(report, out)
    if not files:
        show.warn_nothing_found()
    if not request.quiet:
        show.print_report(report, out, verbose=request.verbose)
    return report


def _operating_point(request: ScoreRequest, choice: ModelChoice) -> tuple[str, float]:
    """Name and threshold that decide what is flagged."""
    from cxr_edge.spec import DEFAULT_OPERATING_POINT

    if request.threshold is not None:
        # As many decimals as a probability has: the threshold that is printed is the one used.
        return "custom", round(request.threshold, PROBABILITY_DECIMALS)
    name = request.operating_point or DEFAULT_OPERATING_POINT
    points = choice.spec.operating_points
    if name not in points:
        raise InputError(
            f"{choice.spec.name} has no operating point {name!r}",
            tip=f"it has: {', '.join(points)}",
        )
    return name, points[name].threshold


def _files(request: ScoreRequest) -> list[FoundFile]:
    """Everything that will have a row."""
    from cxr_edge.discover import discover, listed

    if request.files_from is None:
        return list(discover(map(Path, request.inputs)))
    return list(listed(_lines(request.files_from)))


def _lines(source: str) -> Iterator[str]:
    """Paths, one a line; empty lines do not count."""
    try:
        names = sys.stdin.buffer.read() if source == "-" else Path(source).read_bytes()
    except OSError as error:
        raise InputError(f"--files-from {source} cannot be read: {error.strerror}") from error
    lines = os.fsdecode(names).split("\n")  # file names need not be UTF-8
    return (line.removesuffix("\r") for line in lines if line.strip())


def _score(
    request: ScoreRequest, choice: ModelChoice, runner: Runner, files: list[FoundFile]
) -> list[Result]:
    """One result per file, with progress on stderr."""
    from cxr_edge.cli import show
    from cxr_edge.runtime.device import usable_cores
    from cxr_edge.scoring import ScoringOptions, score

    workers = request.workers or usable_cores()
    options = ScoringOptions(choice.spec.size, workers, request.batch_size)
    results = score(files, runner, options)
    return list(show.with_progress(results, len(files), quiet=request.quiet))
