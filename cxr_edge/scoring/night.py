"""The night's work as a list of steps; imported once a job is known to be sound."""

from __future__ import annotations

import os
from collections.abc import Iterable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path

from cxr_edge.decoders.start import Decoders
from cxr_edge.engines.provenance import settings_hash, versions
from cxr_edge.errors import CxrEdgeError, InputError, MissingExtraError
from cxr_edge.images import is_id_tag
from cxr_edge.intake.ahead import ahead, wait_for
from cxr_edge.intake.discover import LeftOut, discover, listed
from cxr_edge.intake.file_list import read_file_list
from cxr_edge.intake.settle import SettleRule
from cxr_edge.ledger.run import NIGHT, STUDY, Run
from cxr_edge.ledger.runs import Ledger, open_ledger
from cxr_edge.ledger.state import default_state, held, held_in_turn
from cxr_edge.model.catalog import choose_model
from cxr_edge.report import Report, RunContext
from cxr_edge.report.context import RecordedRows
from cxr_edge.report.parquet import check_parquet
from cxr_edge.runtime import Device, load
from cxr_edge.runtime.loading import proven
from cxr_edge.runtime.scope import load_scope
from cxr_edge.scoring import delivery
from cxr_edge.scoring.decision import Decision, decide
from cxr_edge.scoring.job import ScoreJob
from cxr_edge.scoring.observer import Observer
from cxr_edge.scoring.page_films import FILMS_SHOWN
from cxr_edge.scoring.pipeline import Pipeline, Work, telling_of_cpu
from cxr_edge.support.text import display_name
from cxr_edge.support.utc import Clock
from cxr_edge.types import FoundFile, Place, Url, place_of


@dataclass(frozen=True)
class _Setup:
    """Facts of a run before its first file is read; it begins on `device`."""

    job: ScoreJob
    clock: Clock
    decision: Decision
    pipeline: Pipeline
    decoders: Decoders
    left_out: LeftOut
    device: str


@dataclass(frozen=True)
class Night:
    """A night that is over.

    Attributes:
        report: its context and counts; the rows can no longer be read from it.
        out: folder that the report was written to, or its URL.
        state: folder of the ledger.
        too_few: whether fewer films were found than the job says a night has.
    """

    report: Report
    out: Place
    state: Path
    too_few: bool

    @property
    def complete(self) -> bool:
        """Every film has a score, and there are as many as there should be."""
        return self.report.counts.complete and not self.too_few


def run(job: ScoreJob, decoders: Decoders, observer: Observer) -> Night:
    """Check everything, score, rank and write.

    Args:
        job: what is asked for.
        decoders: where decoder processes come from.
        observer: told about the run, and asked whether it shall stop.

    Raises:
        CxrEdgeError: as the tree in `errors` says; the exit codes of the command line are theirs.
    """
    wait_for(job.inputs)
    delivery.check_report_folder(job)
    check_id_tags(job.id_tags)
    if job.parquet:
        check_parquet()
    choice = choose_model(job.model)
    decision = decide(choice, job.operating_point, job.threshold, job.site_profile)
    device = Device.parse(job.device)
    files, left_out = _files(job)
    state = state_of(job)
    with _held(state, job, observer), _cluster(job):
        clock = Clock()
        out = delivery.report_folder(job, clock, state)
        on_cluster = job.cluster is not None
        work = Work(job.workers, job.batch_size, job.fields_read, on_cluster)
        content = proven(choice)
        with observer.signals_at_once():
            runner = load(choice, device, telling_of_cpu(observer), content)
            scope = load_scope(choice.format, choice.spec)
        pipeline = Pipeline(choice, runner, work, observer, decoders, scope, content)
        setup = _Setup(job, clock, decision, pipeline, decoders, left_out, runner.device)
        with open_ledger(state) as ledger:
            recorded = _begin(setup, ledger)
            total = _total(job, files, observer)
            recalled = pipeline.score(files, recorded, SettleRule(job.settle), total)
            _warn_of_damage(recorded, observer)
            report = _report(setup, recorded, recalled)
            delivery.write(report, out, job.state)
            place = delivery.published(job, out)
            delivery.keep(report, out, state, recorded, observer)
            delivery.tell_or_clear(job, out, observer)
            too_few = _too_few(report, job, observer)
            observer.finished(report, place, complete=report.counts.complete and not too_few)
            return Night(report, place, state, too_few)


def _held(state: Path, job: ScoreJob, observer: Observer) -> AbstractContextManager[None]:
    if not job.wait:
        return held(state, job.command)
    return held_in_turn(state, job.command, lambda why: observer.note(f"waiting: {why}"))


def _cluster(job: ScoreJob) -> AbstractContextManager[None]:
    """Join the cluster, where one is asked for."""
    if job.cluster is None:
        return nullcontext()
    try:
        from cxr_edge.engines.ray_address import joined
    except ModuleNotFoundError as error:
        raise MissingExtraError(error.name or "ray", "cluster") from error
    return joined(job.cluster)


def check_id_tags(keywords: Iterable[str]) -> None:
    """Refuse what is no DICOM keyword of a text.

    Raises:
        InputError: as said.
    """
    for keyword in keywords:
        if not is_id_tag(keyword):
            raise InputError(
                f"--id-tag {keyword}: no DICOM keyword of a text",
                tip="use one such as AccessionNumber or StudyInstanceUID",
            )


def _files(job: ScoreJob) -> tuple[Iterable[FoundFile], LeftOut]:
    """Files that will have a row, walked as the run gets to them, and those that will have none."""
    left_out = LeftOut(job.exclude)
    if job.files_from is None:
        return discover(map(place_of, job.inputs), left_out), left_out
    return list(listed(read_file_list(job.files_from), left_out)), left_out


def state_of(job: ScoreJob) -> Path:
    """The state folder, checked.

    Raises:
        InputError: it lies where it would be scored, or where the report will be.
        StateError: the user has no place for one.
    """
    # A list belongs to the folder that it is used in: its own name may be the night's date.
    state = (job.state or default_state(job.inputs or ["."])).absolute()
    delivery.check_outside(state, "state", "--state", job.inputs)
    if isinstance(job.out, Path) and delivery.is_inside(state, job.out):
        raise InputError("--state lies inside --out", tip="a report is a folder of its own")
    return state


def _begin(setup: _Setup, ledger: Ledger) -> Run:
    if ledger.set_aside is not None:
        setup.pipeline.observer.warn(
            f"the ledger was damaged and is set aside: {display_name(ledger.set_aside)}",
            "check the disk; this run goes on",
        )
    pipeline = setup.pipeline
    settings_sha256 = settings_hash(pipeline.choice, pipeline.runner, pipeline.scope)
    kind = STUDY if setup.job.study else NIGHT
    owed = setup.job.results
    return ledger.begin(setup.clock.run_id, settings_sha256, kind, owes_results=owed)


def _warn_of_damage(recorded: Run, observer: Observer) -> None:
    """Say how many rows of earlier runs were not believed: their films have been read again."""
    if rows := len(recorded.not_recalled):
        observer.warn(
            f"{rows} {'row' if rows == 1 else 'rows'} of the ledger were damaged and not used",
            "check the disk; those films were scored again",
        )


def _total(job: ScoreJob, files: Iterable[FoundFile], observer: Observer) -> int | None:
    """Count the files, where somebody watches: folders are walked twice for it."""
    if isinstance(files, list):
        return len(files)
    inputs = [place_of(name) for name in job.inputs]
    if not observer.wants_total or any(isinstance(each, Url) for each in inputs):
        return None  # a listing of objects is paid for
    left_out = LeftOut(job.exclude)
    return sum(map(bool, ahead(discover(inputs, left_out), lambda: False)))


def _report(setup: _Setup, recorded: Run, recalled: int) -> Report:
    """Finish the run, then look for what its page shows besides."""
    context = _context(setup, recorded, recalled)
    recorded.finish(context.to_dict())
    rows = RecordedRows(recorded, context.threshold, context.identity_fields)
    report = Report(rows, context, earlier=rows.earlier, parquet=setup.job.parquet)
    if not context.thumbnails:
        return report
    try:
        pictures = setup.pipeline.pictures(_first_films(rows, recorded))
    except CxrEdgeError as error:  # a report without films is worth more
        setup.pipeline.observer.warn(f"the report shows no films: {error}", error.tip)
        pictures = {}
    return replace(report, pictures=pictures)


def _first_films(rows: RecordedRows, recorded: Run) -> dict[str, FoundFile]:
    """Find the films that a page shows, by sha256: the first ones with a score."""
    scored = (row.result.sha256 for row in rows if row.flagged is not None)
    first: dict[str, FoundFile] = {}
    while len(first) < FILMS_SHOWN and (sha256 := next(scored, None)):
        first[sha256] = recorded.found(sha256)
    return first


def _context(setup: _Setup, recorded: Run, recalled: int) -> RunContext:
    """Facts of the report about the run, taken when the last score is there."""
    job, decision, clock = setup.job, setup.decision, setup.clock
    choice, runner = setup.pipeline.choice, setup.pipeline.runner
    return RunContext(
        run_id=clock.run_id,
        settings_sha256=recorded.settings_sha256,
        identity_fields=job.identity_fields,
        thumbnails=job.thumbnails,
        spec=choice.spec,
        model_file=display_name(choice.path.name),
        model_sha256=choice.file.sha256,
        operating_point=decision.name,
        threshold=decision.threshold,
        profile=decision.profile,
        device_asked=job.device,
        device_used=setup.device,
        versions=versions(runner),
        started_utc=clock.started_utc,
        seconds=clock.seconds,
        command=tuple(map(display_name, job.command)),
        directory=_working_folder(),
        recalled=recalled,
        left_out=setup.left_out.files,
        excluded=setup.left_out.excluded,
        gone=recorded.gone(),
        sandbox=setup.decoders.sandbox,
        scope_gate=setup.pipeline.scope.facts() if setup.pipeline.scope else None,
        language=job.language,
        prevalence=job.prevalence,
        viewer_url=job.viewer_url or "",
    )


def _working_folder() -> str:
    """Its name; empty where it was deleted under the run."""
    try:
        return display_name(os.getcwd())  # noqa: PTH109 - a name, not a path
    except OSError:
        return ""


def _too_few(report: Report, job: ScoreJob, observer: Observer) -> bool:
    """Tell whether a night has fewer films than every night has, and warn if so."""
    counts, excluded = report.counts, report.context.excluded
    films = counts.found - counts.other
    if films < job.at_least:
        what = f"films found: {films}, fewer than --at-least {job.at_least}"
        observer.warn(f"{what}: is the share mounted?")
    elif not counts.found and excluded:
        observer.warn(f"no file was found but the {excluded} that --exclude leaves out")
    elif not counts.found and job.files_from:
        observer.warn("no file was found", "the list of --files-from names none")
    elif not counts.found:
        observer.warn("no file was found", "is the folder mounted, and the right one?")
    return films < job.at_least
