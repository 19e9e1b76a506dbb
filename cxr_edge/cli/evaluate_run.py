"""The site acceptance test as a list of steps; `evaluate` imports this once its options are known.

Its ledger is a passing one: an evaluation is repeated as a whole, and no film's name stays behind.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from cxr_edge.catalog import choose_model
from cxr_edge.cli import show
from cxr_edge.cli.evaluate import EvaluateRequest
from cxr_edge.cli.pipeline import Pipeline, Work
from cxr_edge.errors import CxrEdgeError, DeviceError, RunInterruptedError
from cxr_edge.evaluate.compare import compare
from cxr_edge.evaluate.figures import EvaluatedFilm, Evaluation, ModelFigures
from cxr_edge.evaluate.labels import LabelledSet, check_contradictions, from_csv, from_folders
from cxr_edge.evaluate.measure import MeasuredModel, measure, propose, set_figures
from cxr_edge.evaluate.page import SHOWN, render_page
from cxr_edge.evaluate.tables import render_csv, render_json, summary_lines
from cxr_edge.ledger import Run, open_ledger
from cxr_edge.provenance import recipe_hash, versions
from cxr_edge.report.folder import check_target, write_folder
from cxr_edge.runtime import Device, load
from cxr_edge.settle import SettleRule
from cxr_edge.site_profile import SITE_POINT, SiteProfile, load_profile
from cxr_edge.triage import reading_key
from cxr_edge.types import FoundFile, Picture, display_name


@dataclass(frozen=True)
class _Scored:
    """A model and what it says about every labelled film."""

    pipeline: Pipeline
    model: MeasuredModel
    films: tuple[EvaluatedFilm, ...]


def run(request: EvaluateRequest) -> Evaluation:
    """Check everything, score, measure, write, tell."""
    clock = show.Clock()
    out = request.out or Path("evaluations", clock.run_id)
    check_target(out)
    labelled = _labelled(request)
    choices = [choose_model(model) for model in request.models]
    profile = None if request.site_profile is None else load_profile(request.site_profile)
    if profile is not None:
        profile.check(choices[0].file.sha256)  # with a profile there is one model
    device = Device.parse(request.device)
    work = Work(request.workers, request.batch_size, quiet=request.quiet)
    pipelines = [Pipeline(choice, load(choice, device), work) for choice in choices]
    scored = _scored(pipelines, profile, labelled)
    evaluation = _evaluation(request, clock, labelled, scored)
    pictures = _pictures(evaluation.models, scored, labelled) if request.thumbnails else {}
    write_folder(_contents(evaluation, pictures), out)
    if not request.quiet:
        show.print_lines([*summary_lines(evaluation), f"evaluation: {out / 'evaluation.html'}"])
    return evaluation


def _labelled(request: EvaluateRequest) -> LabelledSet:
    if request.labels is not None:
        return from_csv(request.labelled, request.labels, request.positive)
    return from_folders(request.labelled, request.positive)


def _scored(
    pipelines: Sequence[Pipeline], profile: SiteProfile | None, labelled: LabelledSet
) -> list[_Scored]:
    """Every film by every model."""
    scored = []
    with (
        tempfile.TemporaryDirectory(prefix="cxr-edge-") as state,
        open_ledger(Path(state)) as ledger,
    ):
        for number, pipeline in enumerate(pipelines):
            recipe = recipe_hash(pipeline.choice, pipeline.runner, "")
            films = _films(pipeline, labelled, ledger.begin(str(number), recipe))
            check_contradictions(films)
            scored.append(_Scored(pipeline, _model(pipeline, profile), films))
    return scored


def _model(pipeline: Pipeline, profile: SiteProfile | None) -> MeasuredModel:
    choice = pipeline.choice
    site = {SITE_POINT: profile.point} if profile else {}
    return MeasuredModel(
        choice.spec,
        display_name(choice.path.name),
        choice.file.sha256,
        pipeline.runner.device,
        {**site, **choice.spec.operating_points},
    )


def _films(pipeline: Pipeline, labelled: LabelledSet, recorded: Run) -> tuple[EvaluatedFilm, ...]:
    """The films in their order, each with what the model says about it."""
    files = [film.file for film in labelled.films]
    try:
        pipeline.score(files, recorded, SettleRule(0), len(files))
    except RunInterruptedError as error:
        raise _interrupted(error) from error
    results = {result.path: result for result in recorded.results(reading_key(0.5))}
    return tuple(
        EvaluatedFilm(
            results[film.file.display],
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


def _evaluation(
    request: EvaluateRequest, clock: show.Clock, labelled: LabelledSet, scored: Sequence[_Scored]
) -> Evaluation:
    first, least = scored[0], request.least_sensitivity()
    data = set_figures(labelled, first.films)
    models = tuple(measure(each.films, each.model, request.prevalence, data) for each in scored)
    profile = None if least is None else propose(first.films, first.model, least, data)
    return Evaluation(
        created_utc=clock.started_utc,
        seconds=clock.seconds,
        command=tuple(map(display_name, sys.argv)),
        versions={**versions(first.pipeline.runner), **_library_versions()},
        films=data,
        models=models,
        comparison=compare(*models) if len(models) > 1 else None,
        profile=profile,
    )


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
    except DeviceError as error:  # figures without films are worth more than none
        show.warn_no_films(error)
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
        contents["site-profile.json"] = lambda: [text.encode()]
    return {**contents, "evaluation.html": lambda: [render_page(evaluation, pictures)]}
