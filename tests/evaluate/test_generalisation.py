"""The site's figures beside the spec's: only what can be compared, and no more than it says."""

from __future__ import annotations

from dataclasses import replace

import pytest

from cxr_edge.evaluate.generalisation import (
    VALIDATION,
    Against,
    _apart,
    against,
    against_words,
    sources,
)
from cxr_edge.statistics.operating_points import Proportion
from tests.evaluate.made import evaluation

SHARES = ("sensitivity", "specificity")


@pytest.mark.parametrize(
    ("here", "there", "verdict"),
    [
        ((0.5, 0.6), (0.7, 0.8), "lower here"),
        ((0.7, 0.8), (0.5, 0.6), "higher here"),
        ((0.5, 0.7), (0.6, 0.8), "intervals overlap"),
        ((0.5, 0.6), (0.6, 0.8), "intervals overlap"),
        ((0.6, 0.8), (0.5, 0.6), "intervals overlap"),
        ((1.0, 1.0), (0.5, 0.6), "no interval"),
        ((0.5, 0.6), (1.0, 1.0), "no interval"),
    ],
)
def test_a_verdict_needs_intervals_apart(
    here: tuple[float, float], there: tuple[float, float], verdict: str
) -> None:
    one, other = (Proportion(low, low, high, 100) for low, high in (here, there))
    assert Against("AUC", one, other, "validation").verdict == verdict


def test_every_figure_that_both_have_is_compared() -> None:
    made = evaluation()
    (model,) = made.models
    rows = against(model, made.films)
    of_points = {f"{share} at {point.name}" for share in SHARES for point in model.points}
    assert {row.figure for row in rows if row.source == VALIDATION} == of_points
    assert {row.figure for row in rows if row.source == "test_x"} == {"AUC", *of_points}
    first = model.points[0]
    assert (
        Against(
            "specificity at screening",
            first.specificity,  # type: ignore[arg-type]
            model.spec.operating_points["screening"].specificity,
            VALIDATION,
        )
        in rows
    )
    lower = "Specificity at screening is lower here than on validation, which set the threshold;"
    assert lower in against_words(model, made.films)
    assert sources(model, made.films) == (
        "Validation is nothing real; it chose the thresholds, so its figures are optimistic. "
        "test_x was not used to set a threshold."
    )


def test_the_very_films_of_a_test_set_are_no_second_measurement() -> None:
    made = evaluation()
    (model,) = made.models
    same = replace(made.films, sha256=model.spec.evaluations[0].data_sha256)
    assert {row.source for row in against(model, same)} == {VALIDATION}
    assert sources(model, same).endswith(
        "This set is test_x, to the byte: the spec holds its figures already."
    )


@pytest.mark.parametrize("change", [{"threshold": 0.4}, {"name": "site"}], ids=str)
def test_a_threshold_that_the_spec_has_not_measured_is_not_compared(
    change: dict[str, float | str],
) -> None:
    made = evaluation()
    (model,) = made.models
    points = tuple(replace(point, **change) for point in model.points)  # type: ignore[arg-type]
    moved = replace(model, points=points)
    assert [row.figure for row in against(moved, made.films)] == ["AUC"]
    bare = replace(moved, auc=None)
    assert against(bare, made.films) == []
    assert against_words(bare, made.films) == (
        "The model's spec holds no figures to compare these with."
    )


def test_figures_that_moved_alike_share_a_sentence() -> None:
    assert _apart(["AUC", "sensitivity at balanced"], "lower here", "test_x") == (
        "AUC and sensitivity at balanced are lower here than on test_x; the 95 % intervals do not "
        "overlap."
    )
