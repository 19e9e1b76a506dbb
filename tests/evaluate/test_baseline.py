"""What metadata alone tell: found where it is there, nothing where it is not."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cxr_edge.evaluate import baseline as module
from cxr_edge.evaluate.baseline import FEATURES, baseline
from cxr_edge.evaluate.results import EvaluatedFilm
from cxr_edge.statistics import auc
from tests.evaluate.films import Row, film, films, not_finite, random_films, scored

pytest.importorskip("sklearn")


@pytest.fixture(scope="module", autouse=True)
def few_repeats() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(auc, "REPLICATES", 200)
        patch.setattr(module, "_TREES", 20)
        yield


def with_widths(films: tuple[EvaluatedFilm, ...], widths: list[int]) -> tuple[EvaluatedFilm, ...]:
    """The same files and heights for all; only the width differs."""
    return tuple(
        replace(f, bytes=1000, result=replace(f.result, width=width, height=100))
        for f, width in zip(films, widths, strict=True)
    )


def test_a_shortcut_is_found() -> None:
    """Positive films are wider, and the score says nothing but the width."""
    random = np.random.default_rng(0)
    labels = (np.arange(120) % 2).tolist()
    widths = [int(random.normal(200 + 100 * label, 20)) for label in labels]
    scores = [float(1 / (1 + np.exp(-(width - 250) / 50))) for width in widths]
    found = baseline(with_widths(scored(labels, scores), widths))
    assert found.features == FEATURES
    assert (found.folds, found.why_not) == (5, "")
    assert found.auc is not None
    assert found.auc.value > 0.95
    assert found.auc.patients == 120
    assert found.explained is not None
    assert found.explained > 0.9


@pytest.mark.parametrize("feature", ["width", "height", "bytes"])
def test_each_feature_is_looked_at(feature: str) -> None:
    made = tuple(
        film(
            number,
            (number % 2, 0.25 + 0.5 * (number % 2), f"p{number}"),
            **{"width": 100, "height": 100, "bytes": 100, feature: 100 + 50 * (number % 2)},
        )
        for number in range(40)
    )
    found = baseline(made)
    assert found.auc is not None
    assert (found.auc.value, found.explained) == (1.0, pytest.approx(1.0))


def test_nothing_is_found_in_noise() -> None:
    random = np.random.default_rng(1)
    widths = random.integers(100, 300, 200).tolist()
    found = baseline(with_widths(random_films(200), widths))
    assert found.auc is not None
    assert found.auc.low < 0.5 < found.auc.high
    assert found.explained == 0.0


def test_a_patient_is_never_predicted_from_films_of_his_own() -> None:
    """Ten films of one width each: known by heart, they would be told apart; as strangers, not."""
    random = np.random.default_rng(2)
    made = random_films(200, per_patient=10)
    widths = np.repeat(random.permutation(np.arange(20)) * 10 + 100, 10).tolist()
    by_patient = baseline(with_widths(made, widths))
    strangers = tuple(replace(f, patient=f.result.path) for f in made)
    by_film = baseline(with_widths(strangers, widths))
    assert by_patient.auc is not None
    assert by_film.auc is not None
    assert by_patient.auc.value < 0.75
    assert by_film.auc.value > 0.9


@pytest.mark.parametrize(
    ("rows", "why_not"),
    [
        ([], "10 patients of each class"),
        ([(0, 0.1, f"p{n}") for n in range(20)], "10 patients of each class"),
        ([(n % 2, 0.1, f"p{n % 18}") for n in range(60)], "10 patients of each class"),
        ([(n % 2, 0.1 if n else None, f"p{n}") for n in range(20)], "10 patients of each class"),
    ],
    ids=["no film", "one class", "nine patients of a class", "nine with a score"],
)
def test_why_not(rows: list[Row], why_not: str) -> None:
    found = baseline(films(rows))
    assert why_not in found.why_not
    assert (found.folds, found.auc, found.explained) == (0, None, None)


def test_metadata_that_never_differ_tell_nothing() -> None:
    found = baseline(with_widths(random_films(20), [100] * 20))
    assert found.why_not == "all films have the same width, height and bytes"
    assert (found.auc, found.explained) == (None, None)


def test_scores_that_never_differ_need_no_explanation() -> None:
    found = baseline(scored([0, 1] * 10, [0.5] * 20))
    assert found.auc is not None
    assert (found.explained, found.why_not) == (None, "all films have the same score")


def test_labels_are_predicted_once_for_two_models(monkeypatch: pytest.MonkeyPatch) -> None:
    grown = []
    real = module._out_of_fold
    monkeypatch.setattr(module, "_out_of_fold", lambda *a: grown.append(1) or real(*a))
    one = random_films(60, seed=31)
    other = tuple(
        replace(f, result=replace(f.result, probability=1 - (f.result.probability or 0)))
        for f in one
    )
    first, second = baseline(one), baseline(other)
    assert len(grown) == 3  # the labels, and the score of each model
    assert first.auc == second.auc
    relabelled = tuple(replace(f, label=int(i < 30)) for i, f in enumerate(one))
    assert baseline(relabelled).auc != first.auc


def test_trees_do_not_grow_with_the_set(monkeypatch: pytest.MonkeyPatch) -> None:
    """Grown from all of 50,000 films, they took a quarter of an hour."""
    forests: list[Any] = []
    real = module.RandomForestRegressor

    def kept(*arguments: Any, **options: Any) -> Any:
        forests.append(real(*arguments, **options))
        return forests[-1]

    monkeypatch.setattr(module, "RandomForestRegressor", kept)
    assert baseline(random_films(2000, seed=5)).auc is not None
    sizes = {int(tree.tree_.n_node_samples[0]) for f in forests for tree in f.estimators_}
    assert len(forests) == 10
    assert max(sizes) <= 1000


scores = st.sampled_from([None, 0.0, 1e-6, 0.5, 0.7, 1.0])
patients = st.sampled_from("abcdefgh")


@settings(max_examples=60)
@given(st.lists(st.tuples(st.integers(0, 1), scores, patients), max_size=25))
def test_whatever_comes_in_no_figure_is_nan(rows: list[Row]) -> None:
    found = baseline(films(rows))
    assert not_finite(found) == []
    assert (found.auc is None) <= bool(found.why_not)
    assert found.explained is None or 0 <= found.explained <= 1
