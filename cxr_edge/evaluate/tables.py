"""An evaluation as CSV, as JSON and as lines for the terminal."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Iterator
from typing import Any

from cxr_edge.evaluate.generalisation import against_words
from cxr_edge.evaluate.limitations import cautions
from cxr_edge.evaluate.results import EvaluatedFilm, Evaluation, ModelFigures, PointFigures
from cxr_edge.evaluate.words import (
    TESTS_ASSUME,
    at_prevalence_words,
    baseline_meaning,
    baseline_words,
    count_text,
    difference_words,
    files_text,
    flagged_wrongly,
    mcnemar_words,
    missed,
    model_names,
    patients_text,
    profile_cautions,
    profile_words,
    reasons,
    triage_words,
    why_not,
)
from cxr_edge.report.context import BANNER
from cxr_edge.report.csv import csv_cell, csv_line
from cxr_edge.statistics.measurements import with_interval
from cxr_edge.types import probability_text

LINE_WIDTH = 100
COLUMNS = (
    "model",
    "path",
    "label",
    "patient",
    "status",
    "reason",
    "probability",
    "warnings",
    "bytes",
    "width",
    "height",
    "sha256",
)


def render_csv(evaluation: Evaluation) -> Iterator[bytes]:
    """UTF-8, line feeds, one header line, one line per model and film; a line at a time."""
    yield csv_line(COLUMNS)
    for name, model in zip(model_names(evaluation), evaluation.models, strict=True):
        for film in model.films:
            values = name, *_film_values(film, evaluation.films.classes)
            yield csv_line([csv_cell(value) for value in values])


def _film_values(film: EvaluatedFilm, classes: tuple[str, str]) -> tuple[Any, ...]:
    result = film.result
    return (
        result.path,
        classes[film.label],
        film.patient,
        result.status.value,
        result.reason and result.reason.value,
        result.probability,
        [warning.value for warning in result.warnings],
        film.bytes,
        result.width,
        result.height,
        result.sha256,
    )


def render_json(evaluation: Evaluation) -> bytes:
    """UTF-8 JSON with a trailing newline; every film stands in the CSV.

    Raises:
        ValueError: a figure is no finite number.
    """
    values = {"banner": BANNER, **evaluation.to_dict()}
    text = json.dumps(values, indent=2, allow_nan=False)
    return (text + "\n").encode("utf-8")


def summary_lines(evaluation: Evaluation) -> Iterator[str]:
    """Lines for the terminal, none wider than `LINE_WIDTH`."""
    for line in _lines(evaluation):
        indent = " " * (len(line) - len(line.lstrip()) + 2)
        yield from textwrap.wrap(line, LINE_WIDTH, subsequent_indent=indent) or [""]


def _lines(evaluation: Evaluation) -> Iterator[str]:
    films, names = evaluation.films, model_names(evaluation)
    yield f"{films.name}: {files_text(films)}"
    yield patients_text(films)
    if films.repeated:
        yield f"{count_text(films.repeated, 'film')} with the same bytes as another; they count"
    if films.unlabelled:
        yield f"{count_text(len(films.unlabelled), 'file')} without a label; they do not count"
    for name, model in zip(names, evaluation.models, strict=True):
        yield ""
        yield from _model_lines(evaluation, model, name)
    if meaning := baseline_meaning(evaluation.models[0].baseline):
        yield f"  {meaning}"
    if comparison := evaluation.comparison:
        yield ""
        yield difference_words(comparison, names)
        yield from (f"  {mcnemar_words(test, names)}" for test in comparison.mcnemar)
        yield f"  {TESTS_ASSUME}"
    if profile := evaluation.profile:
        yield ""
        yield profile_words(profile)
        yield from (f"  {caution}" for caution in profile_cautions(evaluation, profile))


def _model_lines(evaluation: Evaluation, model: ModelFigures, name: str) -> Iterator[str]:
    why = why_not(evaluation, model)
    spec, scored = model.spec, len(model.films) - len(model.not_scored)
    yield f"{name} ({spec.name} {spec.version}, {model.model_file}) on {model.device}"
    yield f"  scored       {scored:,} of {count_text(len(model.films), 'file')}"
    if model.not_scored:
        yield f"  not scored   {len(model.not_scored):,}: {reasons(model)}"
    yield from (f"  CAUTION: {caution}" for caution in cautions(model, evaluation.films))
    yield f"  AUC          {with_interval(model.auc) if model.auc else why}"
    for point in model.points:
        yield from _point_lines(point, why)
    yield f"  {triage_words(model, evaluation.films.classes)}"
    yield f"  {against_words(model, evaluation.films)}"
    yield f"  {baseline_words(model.baseline)}"


def _point_lines(point: PointFigures, why: str) -> Iterator[str]:
    yield f"  {point.name} at {probability_text(point.threshold)}"
    for name, share, films in (
        ("sensitivity", point.sensitivity, f"{missed(point)} missed"),
        ("specificity", point.specificity, f"{flagged_wrongly(point)} flagged"),
    ):
        yield f"    {name}  {with_interval(share)}, {films}" if share else f"    {name}  {why}"
    if line := at_prevalence_words(point):
        yield f"    {line}"
