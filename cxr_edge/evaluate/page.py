"""`evaluation.html`: the site acceptance test as one file that opens from disk with no network."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import jinja2

from cxr_edge.evaluate import generalisation, words
from cxr_edge.evaluate.limitations import cautions
from cxr_edge.evaluate.plots import ModelPlots, draw
from cxr_edge.evaluate.results import Curve, EvaluatedFilm, Evaluation, ModelFigures
from cxr_edge.report.context import BANNER
from cxr_edge.report.environment import data_uri, new_environment, policy, source
from cxr_edge.report.film import FilmView, film_view
from cxr_edge.report.texts import texts
from cxr_edge.statistics.measurements import with_interval
from cxr_edge.types import Picture

SHOWN = 12  # worst films of each kind
CURVE_ROWS = 21
NAMES_SHOWN = 50  # of films without a label or without a score

Pictures = Mapping[str, Mapping[str, Picture]]


@dataclass(frozen=True)
class Mistakes:
    """Films on the wrong side of a threshold, worst first.

    Attributes:
        shown: the worst of them, with a view where there is a picture.
        count: all of them.
    """

    title: str
    shown: tuple[tuple[EvaluatedFilm, FilmView | None], ...]
    count: int


@dataclass(frozen=True)
class ModelView:
    """One model as the page shows it.

    Attributes:
        key: starts the ids of its parts.
        why: said where a figure is None.
    """

    key: str
    name: str
    figures: ModelFigures
    why: str
    plots: ModelPlots
    mistakes: tuple[Mistakes, ...]

    @property
    def pictured(self) -> bool:
        """A film is shown, so the page explains its map."""
        return any(view for kind in self.mistakes for _, view in kind.shown)


def render_page(evaluation: Evaluation, pictures: Pictures) -> bytes:
    """The page; every value is escaped, and no script runs in it.

    Args:
        evaluation: the figures.
        pictures: by sha256 of the model file, then by sha256 of the film's file; empty mappings
            where no film is to be shown.
    """
    environment = _environment()
    style = source(environment, "base.css", "evaluation.css")
    plots = draw(evaluation)
    page = environment.get_template("evaluation.html.j2").render(
        banner=BANNER,
        evaluation=evaluation,
        models=_views(evaluation, plots.models, pictures),
        plots=plots,
        names_shown=NAMES_SHOWN,
        policy=policy(style),
        style=style,
        t=texts(),
    )
    return page.encode("utf-8")


def _environment() -> jinja2.Environment:
    """Environment with what the templates need to put figures into words."""
    environment = new_environment()
    environment.filters["interval"] = with_interval
    environment.filters["png"] = functools.partial(data_uri, "image/png")
    environment.globals.update(
        cautions=cautions, generalisation=generalisation, thinned=thinned, words=words
    )
    return environment


def _views(
    evaluation: Evaluation, plots: Sequence[ModelPlots], pictures: Pictures
) -> list[ModelView]:
    names = words.model_names(evaluation)
    return [
        ModelView(
            f"model-{number}",
            name,
            model,
            words.why_not(evaluation, model),
            drawn,
            _mistakes(model, evaluation.films.classes, pictures.get(model.model_sha256, {})),
        )
        for number, (name, model, drawn) in enumerate(
            zip(names, evaluation.models, plots, strict=True)
        )
    ]


def _mistakes(
    model: ModelFigures, classes: tuple[str, str], pictures: Mapping[str, Picture]
) -> tuple[Mistakes, ...]:
    negative, positive = classes
    return tuple(
        Mistakes(title, tuple((film, _view(film, model, pictures)) for film in films[:SHOWN]), n)
        for title, films, n in (
            (f"{positive}, unflagged", model.missed, len(model.missed)),
            (f"{negative}, flagged", model.false_alarms, len(model.false_alarms)),
        )
    )


def _view(
    film: EvaluatedFilm, model: ModelFigures, pictures: Mapping[str, Picture]
) -> FilmView | None:
    picture = pictures.get(film.result.sha256)
    return film_view(picture, model.spec) if picture else None


def thinned(curve: Curve) -> list[tuple[float, float, float]]:
    """Threshold, x and y of points spread evenly over a curve, both ends among them."""
    points = list(zip(curve.thresholds, curve.x, curve.y, strict=True))
    if len(points) <= CURVE_ROWS:
        return points
    last = CURVE_ROWS - 1
    return [points[round(row * (len(points) - 1) / last)] for row in range(CURVE_ROWS)]
