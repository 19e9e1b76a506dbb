"""What is said before any figure."""

from __future__ import annotations

from dataclasses import replace

import pytest

from cxr_edge.evaluate.limitations import cautions
from cxr_edge.evaluate.results import EvaluatedFilm
from cxr_edge.evaluate.tables import summary_lines
from cxr_edge.model.spec import Training
from cxr_edge.statistics.measurements import Estimate
from cxr_edge.types import InputWarning
from tests.evaluate.made import evaluation
from tests.evaluate.parsed import page

MADE = evaluation()
MODEL = MADE.models[0]


def test_nothing_is_said_without_a_cause() -> None:
    assert list(cautions(MODEL, MADE.films)) == []


def test_the_films_that_trained_it_are_no_test() -> None:
    training = Training(
        data="these",
        data_sha256=MADE.films.sha256,
        train_counts={},
        validation_counts={},
        split="",
        recipe="",
        recipe_sha256="",
        pretrained_weights="none",
        seed=1,
        epochs=1,
        seconds=1.0,
        created_utc="",
        software={},
        metrics={},
    )
    spec = replace(MODEL.spec, training=training)
    (said,) = cautions(replace(MODEL, spec=spec), MADE.films)
    assert "was trained on these very films" in said
    assert list(cautions(MODEL, MADE.films)) == []


def warned(film: EvaluatedFilm) -> EvaluatedFilm:
    kinds = (InputWarning.PATIENT_AGE,)
    scored = film.result.probability is not None
    return replace(film, result=replace(film.result, warnings=kinds)) if scored else film


def test_films_that_the_model_was_not_made_for_are_counted() -> None:
    model = replace(MODEL, films=tuple(map(warned, MODEL.films)))
    (said,) = cautions(model, MADE.films)
    scored = len(MODEL.films) - len(MODEL.not_scored)
    assert said.startswith(f"{scored} of {scored} scored films carry a warning (patient age ")


@pytest.mark.parametrize(("value", "said"), [(0.49, True), (0.5, False)])
def test_worse_than_chance_is_a_question(value: float, said: bool) -> None:
    auc = Estimate(value, 0.1, 0.9, 20, 2000)
    assert bool(list(cautions(replace(MODEL, auc=auc), MADE.films))) == said


@pytest.mark.usefixtures("undrawn")
def test_page_and_terminal_say_it() -> None:
    model = replace(MODEL, films=tuple(map(warned, MODEL.films)))
    made = replace(MADE, models=(model,))
    assert any("CAUTION: " in line for line in summary_lines(made))
    assert "carry a warning (patient age" in page(made).text("verdict")
