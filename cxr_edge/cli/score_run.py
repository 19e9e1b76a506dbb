"""The night's work as a list of steps; `score` imports this once its options are known."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from cxr_edge.catalog import ModelChoice, choose_model
from cxr_edge.cli import show
from cxr_edge.cli.score import ScoreRequest
from cxr_edge.cli.stopping import graceful_stop
from cxr_edge.discover import discover, listed
from cxr_edge.errors import InputError, ReportError, RunInterruptedError
from cxr_edge.gates import Scope
from cxr_edge.images import is_id_tag
from cxr_edge.intake import IntakeSettings
from cxr_edge.ledger import Ledger, Run, open_ledger
from cxr_edge.provenance import recipe_hash, versions
from cxr_edge.recorded import RecordedRows
from cxr_edge.report import Report, RunContext, write_report
from cxr_edge.report.folder import check_target
from cxr_edge.runtime import Device, Runner, load
from cxr_edge.runtime.device import usable_cores
from cxr_edge.scoring import Scorer
from cxr_edge.settle import SettleRule
from cxr_edge.spec import DEFAULT_OPERATING_POINT
from cxr_edge.state import default_state, held
from cxr_edge.types import PROBABILITY_DECIMALS, FoundFile, display_name
from cxr_edge.workers import Workers


@dataclass(frozen=True)
class _Setup:
    """What is settled before the first file is read.

    Attributes:
        point: name and threshold that decide what is flagged.
    """

    request: ScoreRequest
    clock: show.Clock
    choice: ModelChoice
    point: tuple[str, float]
    runner: Runner


def run(request: ScoreRequest) -> Report:
    """Check everything, score, rank, write, tell."""
    clock = show.Clock()
    out = request.out or Path("reports", clock.run_id)
    check_target(out)
    _check_id_tag(request.id_tag)
    choice = choose_model(request.model)
    point = _operating_point(request, choice)
    device = Device.parse(request.device)
    files = _files(request)
    state = _state(request)
    with held(state, sys.argv):
        setup = _Setup(request, clock, choice, point, load(choice, device))
        with open_ledger(state) as ledger:
            recorded = _begin(setup, ledger)
            _score(setup, recorded, files)
            context = _context(setup, recorded)
            recorded.finish(context.to_dict())
            report = Report(RecordedRows(recorded, context.threshold), context)
            _write(report, out, request.state)
            _tell(request, report, out)
            return report


def _check_id_tag(keyword: str) -> None:
    if keyword and not is_id_tag(keyword):
        raise InputError(
            f"--id-tag {keyword}: no DICOM keyword of a text",
            tip="use one such as AccessionNumber or StudyInstanceUID",
        )


def _operating_point(request: ScoreRequest, choice: ModelChoice) -> tuple[str, float]:
    """Name and threshold that decide what is flagged."""
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


def _files(request: ScoreRequest) -> Iterable[FoundFile]:
    """Everything that will have a row; folders are walked as the run gets to them."""
    if request.files_from is None:
        return discover(map(Path, request.inputs))
    return list(listed(_lines(request.files_from)))


def _lines(source: str) -> Iterator[str]:
    """Paths, one a line; empty lines do not count."""
    if source == "-" and sys.stdin is None:
        raise InputError("--files-from - needs an open stdin")
    try:
        names = sys.stdin.buffer.read() if source == "-" else Path(source).read_bytes()
    except OSError as error:
        raise InputError(f"--files-from {source} cannot be read: {error.strerror}") from error
    lines = os.fsdecode(names).split("\n")  # file names need not be UTF-8
    return (line.removesuffix("\r") for line in lines if line.strip())


def _state(request: ScoreRequest) -> Path:
    """The state folder; inside an INPUT it would be scored itself."""
    state = (request.state or default_state(request.inputs or (".",))).absolute()
    if any(state.resolve().is_relative_to(Path(name).resolve()) for name in request.inputs):
        raise InputError(
            f"the state folder {display_name(state)} lies inside an INPUT",
            tip="give --state a folder outside of what is scored",
        )
    if request.out is not None and state.resolve().is_relative_to(request.out.resolve()):
        raise InputError("--state lies inside --out", tip="a report is a folder of its own")
    return state


def _begin(setup: _Setup, ledger: Ledger) -> Run:
    if ledger.set_aside is not None:
        show.warn_damaged_ledger(ledger.set_aside)
    recipe = recipe_hash(setup.choice, setup.runner, setup.request.id_tag)
    return ledger.begin(setup.clock.run_id, recipe)


def _score(setup: _Setup, recorded: Run, files: Iterable[FoundFile]) -> None:
    """One row per file in the ledger, with progress on stderr."""
    request, spec = setup.request, setup.choice.spec
    scope = Scope(spec.use.age_years, spec.use.views)
    settings = IntakeSettings(spec.size, scope, request.id_tag)
    with (
        graceful_stop() as stop,
        Workers(request.workers or usable_cores(), settings) as workers,
        show.Progress(_total(request, files), quiet=request.quiet) as progress,
    ):
        scorer = Scorer(
            runner=setup.runner,
            workers=workers,
            run=recorded,
            settle=SettleRule(request.settle),
            batch_size=request.batch_size,
            stop=stop,
            progress=progress,
        )
        if not scorer.score(files):
            raise RunInterruptedError(stop.signal_number, progress.done)


def _total(request: ScoreRequest, files: Iterable[FoundFile]) -> int | None:
    """How many files there are, where somebody watches: folders are walked twice for it."""
    if isinstance(files, list):
        return len(files)
    watched = sys.stderr is not None and sys.stderr.isatty() and not request.quiet
    return sum(1 for _ in discover(map(Path, request.inputs))) if watched else None


def _context(setup: _Setup, recorded: Run) -> RunContext:
    """Everything the report says about the run, taken when the last score is there."""
    name, threshold = setup.point
    return RunContext(
        run_id=setup.clock.run_id,
        recipe=recorded.recipe,
        id_tag=setup.request.id_tag,
        spec=setup.choice.spec,
        model_file=display_name(setup.choice.path.name),
        model_sha256=setup.choice.file.sha256,
        operating_point=name,
        threshold=threshold,
        device_asked=setup.request.device,
        device_used=setup.runner.device,
        versions=versions(setup.runner),
        started_utc=setup.clock.started_utc,
        seconds=setup.clock.seconds,
        command=tuple(map(display_name, sys.argv)),
    )


def _write(report: Report, out: Path, state: Path | None) -> None:
    try:
        write_report(report, out)
    except ReportError as error:
        where = f" --state {display_name(state)}" if state else ""
        again = f"cxr-edge report {report.context.run_id}{where} --out NEW"
        raise ReportError(str(error), tip=f"the scores are safe: {again}") from error


def _tell(request: ScoreRequest, report: Report, out: Path) -> None:
    if request.jsonl:
        show.print_jsonl(report, out)
    if not report.counts.found:
        show.warn_nothing_found()
    if not request.quiet:
        show.print_report(report, out, verbose=request.verbose)
