"""Figures of a model on a set: scikit-learn's own, computed apart, and never a NaN."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cxr_edge.errors import DataError
from cxr_edge.evaluate import baseline
from cxr_edge.evaluate.metrics import measure
from cxr_edge.evaluate.results import ClassReport, Confusion, EvaluatedFilm, ModelFigures
from cxr_edge.statistics import auc
from cxr_edge.statistics.operating_points import Proportion
from cxr_edge.types import Reason, Result
from tests.evaluate.films import CLASSES, Row, data, film, films, model, not_finite, random_films
from tests.evaluate.films import scored as made

metrics = pytest.importorskip("sklearn.metrics")


@pytest.fixture(scope="module", autouse=True)
def few_repeats() -> Iterator[None]:
    """Bootstrap and forest have tests of their own."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(auc, "REPLICATES", 20)
        patch.setattr(baseline, "_TREES", 2)
        yield


def figures(films: tuple[EvaluatedFilm, ...], **thresholds: float) -> ModelFigures:
    return measure(films, model(**thresholds), None, data(films))


def arrays(films: tuple[EvaluatedFilm, ...]) -> tuple[list[int], list[float]]:
    return [f.label for f in films], [f.result.probability or 0.0 for f in films]


def test_the_figures_are_scikit_learns() -> None:
    films = random_films(200)
    labels, scores = arrays(films)
    found = figures(films)
    assert found.auc is not None
    assert found.auc.value == metrics.roc_auc_score(labels, scores)
    assert found.average_precision == metrics.average_precision_score(labels, scores)
    assert found.brier == metrics.brier_score_loss(labels, scores)
    assert found.log_loss == pytest.approx(metrics.log_loss(labels, scores))
    assert (found.films, found.not_scored) == (films, ())
    assert [point.name for point in found.points] == ["screening", "balanced"]


@pytest.mark.parametrize("wrong", [0.0, 1.0])
def test_a_wrong_film_that_is_printed_as_certain_costs_what_was_printed(wrong: float) -> None:
    """Half a last digit off, 14.5 nats, and not the 36 of a double's last bit."""
    labels = [0, 1, int(not wrong)]
    found = figures(made(labels, [0.5, 0.5, wrong]))
    assert found.log_loss == pytest.approx((2 * math.log(2) - math.log(0.5e-6)) / 3)


@pytest.mark.parametrize("threshold", [0.1, 0.5, 0.9])
def test_an_operating_point_is_scikit_learns(threshold: float) -> None:
    films = random_films(200)
    labels, scores = arrays(films)
    flagged = [int(score >= threshold) for score in scores]
    (point,) = figures(films, site=threshold).points
    tn, fp, fn, tp = metrics.confusion_matrix(labels, flagged).ravel().tolist()
    assert point.confusion == Confusion(tp, fn, fp, tn)
    assert point.accuracy == Proportion.of(tp + tn, 200)
    assert point.sensitivity == Proportion.of(tp, tp + fn)
    assert point.specificity == Proportion.of(tn, tn + fp)
    assert point.positive_predictive_value == Proportion.of(tp, tp + fp)
    assert point.negative_predictive_value == Proportion.of(tn, tn + fn)
    expected = metrics.classification_report(
        labels, flagged, target_names=CLASSES, output_dict=True
    )
    for line in point.report:
        values = expected[line.name]
        assert (line.precision, line.recall) == (values["precision"], values["recall"])
        assert (line.f1, line.support) == (values["f1-score"], values["support"])
    assert [line.name for line in point.report] == [*CLASSES, "macro avg", "weighted avg"]


def test_curves_are_scikit_learns() -> None:
    films = random_films(60)
    labels, scores = arrays(films)
    found = figures(films)
    false_positive, true_positive, thresholds = metrics.roc_curve(labels, scores)
    assert found.roc is not None
    assert found.roc.x == tuple(false_positive)
    assert found.roc.y == tuple(true_positive)
    assert found.roc.thresholds == (1.0, *thresholds[1:])
    curve = found.precision_recall
    assert curve is not None
    assert (curve.x[-1], curve.y[-1], curve.thresholds[-1]) == (0.0, 1.0, 1.0)
    for recall, precision, threshold in zip(curve.x[:-1], curve.y, curve.thresholds, strict=False):
        flagged = [score >= threshold for score in scores]
        assert recall == metrics.recall_score(labels, flagged)
        assert precision == metrics.precision_score(labels, flagged)


def test_flagged_means_at_or_above_the_threshold() -> None:
    found = figures(made([1, 1, 0, 0], [0.3, 0.299999, 0.3, 0.299999]), site=0.3)
    assert found.points[0].confusion == Confusion(1, 1, 1, 1)


def test_the_worst_misses_come_first() -> None:
    labels, scores = [1, 1, 1, 0, 0, 0], [0.2, 0.1, 0.3, 0.5, 0.2, 0.9]
    found = figures(made(labels, scores), first=0.25, second=0.95)
    assert [f.result.probability for f in found.missed] == [0.1, 0.2]
    assert [f.result.probability for f in found.false_alarms] == [0.9, 0.5]


@pytest.mark.parametrize(
    ("thresholds", "names"),
    [
        (
            {"balanced": 0.5, "screening": 0.25, "site": 0.4},
            ["site", "screening", "balanced"],
        ),
        ({"balanced": 0.5, "screening": 0.25}, ["screening", "balanced"]),
        ({"other": 0.5, "more": 0.25}, ["other", "more"]),
    ],
    ids=["site", "screening", "as given"],
)
def test_misses_are_those_of_the_point_that_score_decides_by(
    thresholds: dict[str, float], names: list[str]
) -> None:
    """Whatever the order in the model's spec."""
    given = made([1, 1, 1, 0], [0.2, 0.3, 0.45, 0.1])
    found = figures(given, **thresholds)
    assert [point.name for point in found.points] == names
    missed = [score for score in (0.2, 0.3, 0.45) if score < thresholds[names[0]]]
    assert [f.result.probability for f in found.missed] == missed


def test_equal_misses_come_by_name() -> None:
    found = figures(made([1, 1, 0, 0], [0.1, 0.1, 0.9, 0.9])[::-1], site=0.5)
    assert [f.result.path[-8:] for f in found.missed] == ["0000.png", "0001.png"]
    assert [f.result.path[-8:] for f in found.false_alarms] == ["0002.png", "0003.png"]


def test_films_without_a_score_are_in_no_figure() -> None:
    whole = made([0, 1, 1, 0], [0.2, 0.8, None, None])
    found, without = figures(whole), figures(whole[:2])
    assert found.films == whole
    assert found.not_scored == whole[2:]
    assert (found.points, found.brier, found.roc) == (without.points, without.brier, without.roc)


def test_calibration_bins_are_tenths_of_what_is_printed() -> None:
    scores = [0.0, 0.099999, 0.1, 0.3, 0.7, 0.95, 1.0]
    found = figures(made([0, 1, 0, 1, 1, 1, 1], scores)).calibration
    assert [(b.low, b.high, b.observed.n) for b in found] == [
        (0.0, 0.1, 2),
        (0.1, 0.2, 1),
        (0.3, 0.4, 1),
        (0.7, 0.8, 1),
        (0.9, 1.0, 2),
    ]
    assert found[0].mean_probability == pytest.approx(0.0499995)
    assert found[0].observed == Proportion.of(1, 2)


def test_distribution_by_class() -> None:
    found = figures(made([0, 1, 1], [0.0, 0.05, 1.0])).distribution
    assert {name: [i for i, n in enumerate(bins) if n] for name, bins in found.counts.items()} == {
        "NORMAL": [0],
        "PNEUMONIA": [1, 19],
    }
    assert found.data == "set"


@pytest.mark.parametrize(
    ("label", "missing"), [(0, "sensitivity"), (1, "specificity")], ids=["normal", "pneumonia"]
)
def test_one_class_has_no_curves(label: int, missing: str) -> None:
    found = figures(made([label] * 3, [0.2, 0.6, 0.8]), site=0.5)
    assert (found.auc, found.average_precision) == (None, None)
    assert (found.roc, found.precision_recall) == (None, None)
    shares = {"sensitivity", "specificity"}
    assert {name for name in shares if getattr(found.points[0], name) is None} == {missing}
    absent, *_ = (line for line in found.points[0].report if line.support == 0)
    assert absent.recall is None


def test_a_class_that_is_never_said_has_no_precision() -> None:
    (point,) = figures(made([0, 1], [0.6, 0.8]), site=0.5).points
    assert point.negative_predictive_value is None
    assert point.report[0] == ClassReport("NORMAL", None, 0.0, 0.0, 1)
    # scikit-learn would average the precision of the other class alone.
    assert [line.precision for line in point.report[2:]] == [None, None]
    assert [line.recall for line in point.report[2:]] == [0.5, 0.5]


def test_classes_may_be_named_like_averages() -> None:
    films = made([0, 1], [0.2, 0.8])
    named = data(films, classes=("macro avg", "accuracy"))
    point = measure(films, model(site=0.5), None, named).points[0]
    assert [line.support for line in point.report] == [1, 1, 2, 2]


@pytest.mark.parametrize("prevalence", [0.0, 1.0, -0.1, 38.0, float("nan"), float("inf")])
def test_a_prevalence_is_a_share(prevalence: float) -> None:
    films = made([0, 1], [0.2, 0.8])
    with pytest.raises(DataError, match="a prevalence lies between 0 and 1"):
        measure(films, model(), prevalence, data(films))


def test_no_film_scored() -> None:
    without = Result.without_score("NORMAL/x.png", Reason.EMPTY)
    films = (*made([0, 1], [None, None]), EvaluatedFilm(without, 0, "p", 0))
    with pytest.raises(DataError, match="none of the 3 films could be scored: corrupt 2, empty 1"):
        figures(films)


scores = st.one_of(
    st.none(),
    st.sampled_from([0.0, 1e-6, 0.3, 0.5, 1 - 1e-6, 1.0, 5e-324]),
    st.floats(0, 1),
)
rows = st.lists(
    st.tuples(st.integers(0, 1), scores, st.sampled_from("abcdefg")), min_size=1, max_size=30
).filter(lambda rows: any(score is not None for _, score, _ in rows))
prevalences = st.none() | st.floats(0, 1, exclude_min=True, exclude_max=True)


@pytest.mark.slow
@settings(max_examples=150)
@given(rows, st.floats(1e-6, 1 - 1e-6), prevalences)
def test_whatever_comes_in_no_figure_is_nan(
    rows: list[Row], threshold: float, prevalence: float | None
) -> None:
    given = films(rows)
    found = measure(given, model(site=threshold), prevalence, data(given))
    assert not_finite(found) == []
    counts = found.points[0].confusion
    decided = counts.true_positive + counts.false_negative
    decided += counts.false_positive + counts.true_negative
    assert decided + len(found.not_scored) == len(given)
    assert len(found.missed) == counts.false_negative
    assert len(found.false_alarms) == counts.false_positive
    assert sum(b.observed.n for b in found.calibration) == decided


@pytest.mark.parametrize("facts", [{"width": None}, {"bytes": 0}, {"width": 2**31 - 1}])
def test_odd_metadata(facts: dict[str, Any]) -> None:
    random = np.random.default_rng(0)
    given = tuple(
        film(i, (i % 2, float(random.random()), f"p{i}"), **facts if i == 3 else {})
        for i in range(30)
    )
    assert not_finite(figures(given)) == []
