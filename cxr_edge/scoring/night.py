"""The night's work as a list of steps; `score` imports this once its options are known."""

from __future__ import annotations

import codecs
import os
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from cxr_edge.cli import show
from cxr_edge.cli.score import ScoreRequest
from cxr_edge.cli.stopping import signals_wait
from cxr_edge.decoders.start import Decoders
from cxr_edge.errors import CxrEdgeError, InputError, ReportError
from cxr_edge.images import is_id_tag
from cxr_edge.intake.discover import discover, listed
from cxr_edge.intake.settle import SettleRule
from cxr_edge.ledger.runs import Ledger, Run, open_ledger
from cxr_edge.ledger.state import default_state, held
from cxr_edge.model.catalog import ModelChoice, choose_model
from cxr_edge.model.site_profile import SITE_POINT, SiteProfile, load_profile
from cxr_edge.model.spec import DEFAULT_OPERATING_POINT
from cxr_edge.report import Report, RunContext, write_report
from cxr_edge.report.context import RecordedRows
from cxr_edge.report.folder import check_target
from cxr_edge.runtime import Device, load
from cxr_edge.scoring.page_films import FILMS_SHOWN
from cxr_edge.scoring.pipeline import Pipeline, Work
from cxr_edge.scoring.provenance import settings_hash, versions
from cxr_edge.support.text import display_name
from cxr_edge.types import PROBABILITY_DECIMALS, FoundFile


@dataclass(frozen=True)
class _Point:
    """What decides which films are flagged; the profile, where a site has chosen it."""

    name: str
    threshold: float
    profile: SiteProfile | None = None


@dataclass(frozen=True)
class _Setup:
    """What is settled before the first file is read; `device` is the one that the run begins on."""

    request: ScoreRequest
    clock: show.Clock
    point: _Point
    pipeline: Pipeline
    device: str


def run(request: ScoreRequest, decoders: Decoders) -> Report:
    """Check everything, score, rank, write, tell; decoder processes come from `decoders`."""
    clock = show.Clock()
    out = request.out or Path("reports", clock.run_id)
    check_target(out)
    _check_outside(out, "report", "--out", request.inputs)
    _check_id_tag(request.id_tag)
    choice = choose_model(request.model)
    point = _point(request, choice)
    device = Device.parse(request.device)
    files = _files(request)
    state = _state(request)
    with held(state, sys.argv):
        work = Work(request.workers, request.batch_size, request.id_tag, request.quiet)
        with signals_wait():
            runner = load(choice, device, show.warn_on_cpu)
        pipeline = Pipeline(choice, runner, work, decoders)
        setup = _Setup(request, clock, point, pipeline, runner.device)
        with open_ledger(state) as ledger:
            recorded = _begin(setup, ledger)
            settle = SettleRule(request.settle)
            recalled = setup.pipeline.score(files, recorded, settle, _total(request, files))
            report = _report(setup, recorded, recalled)
            _write(report, out, request.state)
            _tell(request, report, out)
            return report


def _check_id_tag(keyword: str) -> None:
    if keyword and not is_id_tag(keyword):
        raise InputError(
            f"--id-tag {keyword}: no DICOM keyword of a text",
            tip="use one such as AccessionNumber or StudyInstanceUID",
        )


def _point(request: ScoreRequest, choice: ModelChoice) -> _Point:
    if request.site_profile is not None:
        profile = load_profile(request.site_profile)
        profile.check(choice.file.sha256)
        return _Point(SITE_POINT, profile.point.threshold, profile)
    if request.threshold is not None:
        # As many decimals as a probability has: the threshold that is printed is the one used.
        return _Point("custom", round(request.threshold, PROBABILITY_DECIMALS))
    name = request.operating_point or DEFAULT_OPERATING_POINT
    points = choice.spec.operating_points
    if name not in points:
        raise InputError(
            f"{choice.spec.name} has no operating point {name!r}",
            tip=f"it has: {', '.join(points)}",
        )
    return _Point(name, points[name].threshold)


def _files(request: ScoreRequest) -> Iterable[FoundFile]:
    """Everything that will have a row; folders are walked as the run gets to them."""
    if request.files_from is None:
        return discover(map(Path, request.inputs))
    return list(listed(_lines(request.files_from)))


def _lines(source: str) -> Iterator[str]:
    """Paths, one a line or each ended by a null byte; empty ones do not count."""
    if source == "-" and sys.stdin is None:
        raise InputError("--files-from - needs an open stdin")
    try:
        names = sys.stdin.buffer.read() if source == "-" else Path(source).read_bytes()
    except OSError as error:
        raise InputError(f"--files-from {source} cannot be read: {error.strerror}") from error
    if names.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        raise InputError(f"--files-from {source} is UTF-16", tip="write it as UTF-8")
    text = os.fsdecode(names.removeprefix(codecs.BOM_UTF8))  # file names need not be UTF-8
    if "\0" not in text:
        return (line.removesuffix("\r") for line in text.split("\n") if line.strip())
    paths = text.removesuffix("\0").split("\0")  # no name has a null byte: find -print0 wrote it
    if "" in paths:
        raise InputError(
            f"--files-from {source} has null bytes in a row",
            tip="was it copied to its end? find -print0 ends each path with one",
        )
    return iter(paths)


def _state(request: ScoreRequest) -> Path:
    """The state folder, checked."""
    # A list belongs to the folder that it is used in: its own name may be the night's date.
    state = (request.state or default_state(request.inputs or ["."])).absolute()
    _check_outside(state, "state", "--state", request.inputs)
    if request.out is not None and state.resolve().is_relative_to(request.out.resolve()):
        raise InputError("--state lies inside --out", tip="a report is a folder of its own")
    return state


def _check_outside(folder: Path, kind: str, option: str, inputs: Iterable[str]) -> None:
    """What is written inside an INPUT is a row of the next report."""
    if any(folder.resolve().is_relative_to(Path(name).resolve()) for name in inputs):
        raise InputError(
            f"the {kind} folder {display_name(folder)} lies inside an INPUT",
            tip=f"give {option} a folder outside of what is scored",
        )


def _begin(setup: _Setup, ledger: Ledger) -> Run:
    if ledger.set_aside is not None:
        show.warn_damaged_ledger(ledger.set_aside)
    choice, runner = setup.pipeline.choice, setup.pipeline.runner
    settings_sha256 = settings_hash(choice, runner, setup.request.id_tag)
    return ledger.begin(setup.clock.run_id, settings_sha256)


def _total(request: ScoreRequest, files: Iterable[FoundFile]) -> int | None:
    """How many files there are, where somebody watches: folders are walked twice for it."""
    if isinstance(files, list):
        return len(files)
    watched = show.is_watched() and not request.quiet
    return sum(1 for _ in discover(map(Path, request.inputs))) if watched else None


def _report(setup: _Setup, recorded: Run, recalled: int) -> Report:
    """Finish the run, then look for what its page shows besides."""
    context = _context(setup, recorded, recalled)
    recorded.finish(context.to_dict())
    rows = RecordedRows(recorded, context.threshold)
    if not context.thumbnails:
        return Report(rows, context)
    try:
        pictures = setup.pipeline.pictures(_first_films(rows, recorded))
    except CxrEdgeError as error:  # a report without films is worth more
        show.warn_no_films(error)
        pictures = {}
    return Report(rows, context, pictures)


def _first_films(rows: RecordedRows, recorded: Run) -> dict[str, FoundFile]:
    """Those that a page shows: the first ones with a score, by the sha256 of their bytes."""
    scored = (row.result.sha256 for row in rows if row.flagged is not None)
    first: dict[str, FoundFile] = {}
    while len(first) < FILMS_SHOWN and (sha256 := next(scored, None)):
        first[sha256] = recorded.found(sha256)
    return first


def _context(setup: _Setup, recorded: Run, recalled: int) -> RunContext:
    """Everything the report says about the run, taken when the last score is there."""
    request, point, clock = setup.request, setup.point, setup.clock
    choice, runner = setup.pipeline.choice, setup.pipeline.runner
    return RunContext(
        run_id=clock.run_id,
        settings_sha256=recorded.settings_sha256,
        id_tag=request.id_tag,
        thumbnails=request.thumbnails,
        spec=choice.spec,
        model_file=display_name(choice.path.name),
        model_sha256=choice.file.sha256,
        operating_point=point.name,
        threshold=point.threshold,
        profile=point.profile,
        device_asked=request.device,
        device_used=setup.device,
        versions=versions(runner),
        started_utc=clock.started_utc,
        seconds=clock.seconds,
        command=tuple(map(display_name, sys.argv)),
        directory=_working_folder(),
        recalled=recalled,
    )


def _working_folder() -> str:
    """Its name; empty where it was deleted under the run."""
    try:
        return display_name(os.getcwd())  # noqa: PTH109 - a name, not a path
    except OSError:
        return ""


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
