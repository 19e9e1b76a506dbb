"""The site acceptance test as a list of steps; `evaluate` imports this once its options are known.

Its ledger is in memory, because an evaluation is repeated as a whole; a kill leaves no name of a
film on any disk.
"""

from __future__ import annotations

import math
import shlex
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path

import numpy as np

from cxr_edge.engines.provenance import settings_hash, versions
from cxr_edge.errors import (
    CxrEdgeError,
    DataError,
    InputError,
    RunInterruptedError,
)
from cxr_edge.evaluate.compare import compare
from cxr_edge.evaluate.job import EvaluateJob
from cxr_edge.evaluate.labels import (
    LabelledFilm,
    LabelledSet,
    check_contradictions,
    read_labels,
    with_header_patients,
)
from cxr_edge.evaluate.limitations import CHANCE
from cxr_edge.evaluate.metrics import MeasuredModel, measure, propose, set_figures
from cxr_edge.evaluate.page import SHOWN, render_page
from cxr_edge.evaluate.results import EvaluatedFilm, Evaluation, ModelFigures, SetFigures
from cxr_edge.evaluate.tables import render_csv, render_json, summary_lines
from cxr_edge.intake.settle import SettleRule
from cxr_edge.ledger.run import Run
from cxr_edge.ledger.runs import passing_ledger
from cxr_edge.model.catalog import ModelChoice, choose_model
from cxr_edge.model.site_profile import SITE_POINT, Limits, SiteProfile, load_profile
from cxr_edge.report.folder import check_target, write_folder
from cxr_edge.runtime import Device, load
from cxr_edge.runtime.scope import load_scope
from cxr_edge.scoring.observer import Observer
from cxr_edge.scoring.pipeline import Pipeline, Work, telling_of_cpu
from cxr_edge.statistics.auc import LEAST_PATIENTS, class_patients
from cxr_edge.support.text import display_name
from cxr_edge.support.utc import Clock
from cxr_edge.triage import reading_key
from cxr_edge.types import PATIENT_ID, FoundFile, Picture, Result

PROFILE_NAME = "site-profile.json"
_FINEST = 0.01  # a sensitivity of 1 is asked of a hundred patients, not of infinitely many


@dataclass(frozen=True)
class _Scored:
    """A model and what it says about every labelled film; `labelled` knows whom headers name."""

    pipeline: Pipeline
    model: MeasuredModel
    labelled: LabelledSet
    films: tuple[EvaluatedFilm, ...]


@dataclass(frozen=True)
class Acceptance:
    """A finished acceptance test.

    Attributes:
        job: what was asked for.
        evaluation: what was found.
        out: folder that the figures were written to.
        refusal: why no threshold was chosen, where one was asked for.
    """

    job: EvaluateJob
    evaluation: Evaluation
    out: Path
    refusal: DataError | None

    def lines(self) -> list[str]:
        """Figures for a terminal, where they are, and the command that uses the threshold."""
        return [*summary_lines(self.evaluation), *self._next_steps()]

    def _next_steps(self) -> Iterator[str]:
        if self.evaluation.profile is not None:
            command = ["cxr-edge", "score", "INCOMING", "--model", self.job.models[0]]
            command += ["--site-profile", str(self.out / PROFILE_NAME)]
            yield f"use it: {display_name(shlex.join(command))}"  # as it can be pasted
        yield f"evaluation: {display_name(self.out / 'evaluation.html')}"


def run(job: EvaluateJob, observer: Observer) -> Acceptance:
    """Check everything, score, measure and write.

    Args:
        job: what is asked for.
        observer: told about the run, and asked whether it shall stop.

    Raises:
        CxrEdgeError: as the tree in `errors` says.
    """
    clock = Clock()
    out = job.out or Path("evaluations", clock.run_id)
    check_target(out)
    _check_outside(out, job.labelled)
    labelled = read_labels(job.labelled, job.labels)
    if not job.labels.patients_from_header:  # else it is checked with the films that were read
        _check_enough(labelled.films, labelled.classes, job.least_sensitivity())
    choices = _choices(job.models)
    profile = None if job.site_profile is None else load_profile(job.site_profile)
    if profile is not None:
        profile.check(choices[0].file.sha256)  # with a profile there is one model
    pipelines = _pipelines(job, choices, observer)
    scored = _scored(pipelines, profile, labelled)
    evaluation = _evaluation(job, clock, scored)
    _check_other_films(profile, evaluation.films)
    evaluation, refusal = _with_profile(
        evaluation, scored[0], job.least_sensitivity(), job.chosen_limits()
    )
    pictures = _pictures(evaluation.models, scored, labelled) if job.thumbnails else {}
    write_folder(_contents(evaluation, pictures), out)
    if refusal is not None:
        refusal = DataError(str(refusal), tip=f"the figures are in {display_name(out)}")
    return Acceptance(job, evaluation, out, refusal)


def _pipelines(
    job: EvaluateJob, choices: Sequence[ModelChoice], observer: Observer
) -> list[Pipeline]:
    device = Device.parse(job.device)
    work = Work(job.workers, job.batch_size, job.labels.identity_fields)
    on_cpu = telling_of_cpu(observer)
    runners = [load(choice, device, on_cpu) for choice in choices]
    return [
        Pipeline(*(choice, runner, work, observer), scope=load_scope(choice.format, choice.spec))
        for choice, runner in zip(choices, runners, strict=True)
    ]


def _check_outside(out: Path, labelled: Path) -> None:
    if out.resolve().is_relative_to(labelled.resolve()):
        raise InputError(
            f"--out lies inside {display_name(labelled)}",
            tip="the next evaluation would take the figures for films: another --out",
        )


def _choices(models: Sequence[str]) -> list[ModelChoice]:
    choices = [choose_model(model) for model in models]
    if len({choice.file.sha256 for choice in choices}) < len(choices):
        raise InputError(f"{' and '.join(models)} are the same file", tip="compare two models")
    return choices


def _check_enough(
    films: Iterable[LabelledFilm | EvaluatedFilm], classes: tuple[str, str], least: float | None
) -> None:
    """Refuse what too few patients would choose.

    The share asked for must be one that so many can have without being all of them.
    """
    if least is None:
        return
    named = [(film.label, film.patient) for film in films]
    labels = np.array([label for label, _ in named])
    negatives, positives = class_patients(labels, [patient for _, patient in named])
    needed = max(LEAST_PATIENTS, math.ceil(round(1 / max(1 - least, _FINEST), 6)))
    if positives < needed or negatives < LEAST_PATIENTS:
        negative, positive = classes
        raise DataError(
            f"{positives} {positive} and {negatives} {negative} patients cannot choose a threshold "
            f"of sensitivity {least}",
            tip=f"{needed} patients with {positive} are needed, and {LEAST_PATIENTS} {negative}",
        )


def _check_other_films(profile: SiteProfile | None, films: SetFigures) -> None:
    """On the films that chose it, a threshold is no better than it promised to be."""
    if profile is not None and profile.data_sha256 == films.sha256:
        raise DataError(
            f"{films.name} chose the threshold of this site profile and cannot judge it",
            tip="give other films whose findings are known",
        )


def _scored(
    pipelines: Sequence[Pipeline], profile: SiteProfile | None, labelled: LabelledSet
) -> list[_Scored]:
    """Every film by every model."""
    scored = []
    with passing_ledger() as ledger:
        for number, pipeline in enumerate(pipelines):
            settings_sha256 = settings_hash(pipeline.choice, pipeline.runner, pipeline.scope)
            began_on = pipeline.runner.device
            results = _results(pipeline, labelled, ledger.begin(str(number), settings_sha256))
            known = with_header_patients(
                labelled,
                {path: each.identity.get(PATIENT_ID, "") for path, each in results.items()},
            )
            films = _films(known, results)
            check_contradictions(films)
            used = {film.result.device or began_on for film in films}
            devices = " and ".join(sorted(used, key=lambda device: device != began_on))
            model = _model(pipeline, profile, devices)
            scored.append(_Scored(pipeline, model, known, films))
    return scored


def _model(pipeline: Pipeline, profile: SiteProfile | None, device: str) -> MeasuredModel:
    choice = pipeline.choice
    site = {SITE_POINT: profile.point} if profile else {}
    return MeasuredModel(
        choice.spec,
        display_name(choice.path.name),
        choice.file.sha256,
        device,
        {**site, **choice.spec.operating_points},  # no spec has a point of that name
    )


def _results(pipeline: Pipeline, labelled: LabelledSet, recorded: Run) -> dict[str, Result]:
    """Rows of the films by name."""
    files = [film.file for film in labelled.films]
    try:
        pipeline.score(files, recorded, SettleRule(0), len(files))
    except RunInterruptedError as error:
        raise _interrupted(error) from error
    fields = pipeline.work.identity_fields
    return {result.path: result for result in recorded.results(reading_key(0.5), fields)}


def _films(labelled: LabelledSet, results: Mapping[str, Result]) -> tuple[EvaluatedFilm, ...]:
    """The films in their order, each with what the model says about it, and no name of a person."""
    return tuple(
        EvaluatedFilm(
            replace(results[film.file.display], identity={}),
            film.label,
            film.patient,
            film.file.stamp.size if film.file.stamp else 0,
        )
        for film in labelled.films
    )


def _interrupted(error: RunInterruptedError) -> CxrEdgeError:
    """Unlike a night's work, an evaluation begins again."""
    stopped = CxrEdgeError("stopped by a signal; no figures were written", tip="run it again")
    stopped.exit_code = error.exit_code
    return stopped


def _evaluation(job: EvaluateJob, clock: Clock, scored: Sequence[_Scored]) -> Evaluation:
    first = scored[0]
    data = set_figures(first.labelled, first.films)
    models = tuple(measure(each.films, each.model, job.prevalence, data) for each in scored)
    return Evaluation(
        created_utc=clock.started_utc,
        seconds=clock.seconds,
        command=tuple(map(display_name, job.command)),
        versions={**versions(first.pipeline.runner), **_library_versions()},
        films=data,
        models=models,
        comparison=compare(*models) if len(models) > 1 else None,
        profile=None,
    )


def _with_profile(
    evaluation: Evaluation, scored: _Scored, least: float | None, limits: Limits | None
) -> tuple[Evaluation, DataError | None]:
    """The evaluation with the threshold that was asked for, or why there is none."""
    if least is None:
        return evaluation, None
    auc = evaluation.models[0].auc
    if auc is not None and auc.value < CHANCE:
        return evaluation, DataError("no threshold is chosen where the AUC is below 0.5")
    try:
        read = (film for film in scored.films if film.result.probability is not None)
        _check_enough(read, evaluation.films.classes, least)
        profile = propose(scored.films, scored.model, least, evaluation.films, limits)
    except DataError as error:
        return evaluation, error
    return replace(evaluation, profile=profile), None


def _library_versions() -> dict[str, str]:
    return {package: version(package) for package in ("scikit-learn", "scipy")}


def _pictures(
    models: Sequence[ModelFigures], scored: Sequence[_Scored], labelled: LabelledSet
) -> dict[str, dict[str, Picture]]:
    """The films that the page shows, by sha256 of model and film: the evidence differs."""
    files = {film.file.display: film.file for film in labelled.films}
    pictures = {}
    for model, each in zip(models, scored, strict=True):
        shown = (*model.missed[:SHOWN], *model.false_alarms[:SHOWN])
        films = {film.result.sha256: files[film.result.path] for film in shown}
        pictures[model.model_sha256] = _of_one(each.pipeline, films)
    return pictures


def _of_one(pipeline: Pipeline, films: dict[str, FoundFile]) -> dict[str, Picture]:
    try:
        return pipeline.pictures(films)
    except RunInterruptedError as error:
        raise _interrupted(error) from error
    except CxrEdgeError as error:  # figures without films are worth more than none
        pipeline.observer.warn(f"the report shows no films: {error}", error.tip)
        return {}


def _contents(
    evaluation: Evaluation, pictures: dict[str, dict[str, Picture]]
) -> dict[str, Callable[[], Iterable[bytes]]]:
    """Files of the folder; the page comes last."""
    contents: dict[str, Callable[[], Iterable[bytes]]] = {
        "films.csv": lambda: render_csv(evaluation),
        "evaluation.json": lambda: [render_json(evaluation)],
    }
    if evaluation.profile is not None:
        text = evaluation.profile.to_json()
        contents[PROFILE_NAME] = lambda: [text.encode()]
    return {**contents, "evaluation.html": lambda: [render_page(evaluation, pictures)]}
