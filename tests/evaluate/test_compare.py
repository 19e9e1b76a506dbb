"""Two models on one set: DeLong by definition, McNemar by counting, bootstrap in pairs."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from cxr_edge.evaluate.compare import compare, delong
from cxr_edge.evaluate.confusion import point_figures
from cxr_edge.evaluate.films import Scored
from cxr_edge.evaluate.results import EvaluatedFilm, MetadataBaseline, ModelFigures
from cxr_edge.statistics.measurements import ScoreDistribution
from tests.evaluate.films import CLASSES, model, not_finite, random_films, scored

metrics = pytest.importorskip("sklearn.metrics")
stats = pytest.importorskip("scipy.stats")


def figures(
    films: tuple[EvaluatedFilm, ...], file: str = "first.onnx", **thresholds: float
) -> ModelFigures:
    """What a comparison looks at; the rest is empty."""
    facts = model()
    points = {"screening": 0.25, "balanced": 0.5, **thresholds}
    kept = Scored.of(films)
    return ModelFigures(
        spec=facts.spec,
        model_file=file,
        model_sha256=facts.sha256,
        device="cpu",
        films=films,
        not_scored=(),
        auc=None,
        average_precision=None,
        brier=0.0,
        log_loss=0.0,
        points=tuple(point_figures(p, kept, CLASSES, None) for p in points.items()),
        roc=None,
        precision_recall=None,
        calibration=(),
        distribution=ScoreDistribution("set", {"NORMAL": (0,) * 20}),
        baseline=MetadataBaseline((), 0, None, None, "not asked"),
        missed=(),
        false_alarms=(),
    )


def by_definition(labels: Any, first: Any, second: Any) -> float:
    """DeLong et al. (1988), equations 3 to 7: every pair of films, then structural components."""
    components = []
    for scores in (first, second):
        positive = [s for s, label in zip(scores, labels, strict=True) if label]
        negative = [s for s, label in zip(scores, labels, strict=True) if not label]
        wins = np.array([[(x > y) + 0.5 * (x == y) for y in negative] for x in positive])
        components.append((wins.mean(axis=1), wins.mean(axis=0), wins.mean()))
    (x10, x01, x_area), (y10, y01, y_area) = components
    s10, s01 = np.cov(np.stack([x10, y10])), np.cov(np.stack([x01, y01]))
    covariance = s10 / len(x10) + s01 / len(x01)
    contrast = np.array([1, -1])
    z = (x_area - y_area) / math.sqrt(contrast @ covariance @ contrast)
    return math.erfc(abs(z) / math.sqrt(2))


def correlated(seed: int, count: int = 80, decimals: int = 6) -> tuple[NDArray[Any], ...]:
    """Labels, and two scores that share part of what they know."""
    random = np.random.default_rng(seed)
    labels = (random.random(count) < 0.4).astype(np.int64)
    common = random.normal(labels, 1)
    scores = [1 / (1 + np.exp(-common - random.normal(0, spread, count))) for spread in (0.5, 1)]
    return labels, *(each.round(decimals) for each in scores)


@pytest.mark.parametrize("decimals", [6, 1], ids=["distinct", "ties"])
@pytest.mark.parametrize("seed", range(5))
def test_delong_is_its_definition(seed: int, decimals: int) -> None:
    labels, first, second = correlated(seed, decimals=decimals)
    expected = by_definition(labels, first, second)
    assert delong(labels, first, second) == pytest.approx(expected, rel=1e-9)
    assert delong(labels, second, first) == pytest.approx(expected, rel=1e-9)
    # The other class, scored the other way round, is the same question.
    assert delong(1 - labels, 1 - first, 1 - second) == pytest.approx(expected, rel=1e-9)


def test_delong_by_hand() -> None:
    """Three positive and two negative films; one model errs on one pair of six.

    Difference 1/6; components 0, 0, 1/2 of the positives and 0, 1/3 of the negatives: variance
    (1/12)/3 + (1/18)/2 = 1/18.
    """
    labels = np.array([1, 1, 1, 0, 0])
    first, second = np.array([0.9, 0.8, 0.7, 0.2, 0.1]), np.array([0.9, 0.8, 0.3, 0.4, 0.1])
    z = (1 / 6) / math.sqrt(1 / 18)
    assert delong(labels, first, second) == pytest.approx(math.erfc(z / math.sqrt(2)))


def test_delong_under_the_null_is_uniform() -> None:
    random = np.random.default_rng(0)
    values = []
    for _ in range(400):
        labels = np.arange(60) % 2
        common = random.normal(labels, 1)
        first, second = (common + random.normal(0, 1, 60) for _ in range(2))
        values.append(delong(labels, first, second))
    assert stats.kstest(values, "uniform").pvalue > 0.01


@pytest.mark.parametrize(
    ("second", "expected"),
    [
        ([0.1, 0.2, 0.8, 0.9], 1.0),
        ([0.0, 0.3, 0.4, 0.5], 1.0),
        ([0.9, 0.8, 0.2, 0.1], None),
        ([0.5, 0.5, 0.5, 0.5], None),
    ],
    ids=["the same", "the same order", "the reverse", "constant"],
)
def test_delong_without_variance(second: list[float], expected: float | None) -> None:
    labels, first = np.array([0, 0, 1, 1]), np.array([0.1, 0.2, 0.8, 0.9])
    assert delong(labels, first, np.array(second)) == expected


@pytest.mark.parametrize("labels", [[0, 1, 1], [0, 0, 1], [1, 1, 1], []])
def test_delong_needs_two_films_of_each_class(labels: list[int]) -> None:
    scores = np.linspace(0.1, 0.9, len(labels))
    assert delong(np.array(labels, np.int64), scores, scores[::-1]) is None


level = st.integers(0, 9).map(lambda k: k / 9)


@given(st.lists(st.tuples(st.integers(0, 1), level, level), max_size=25))
def test_delong_is_a_p_value_or_none(rows: list[tuple[int, float, float]]) -> None:
    labels, first, second = (np.array([row[i] for row in rows]) for i in range(3))
    found = delong(labels.astype(np.int64), first, second)
    assert found is None or 0 <= found <= 1


def test_difference_of_areas_in_pairs() -> None:
    first, second = random_films(100, seed=1, lift=2.5), random_films(100, seed=2, lift=0.5)
    found = compare(figures(first), figures(second, "second.onnx"))
    areas = [
        metrics.roc_auc_score([f.label for f in films], [f.result.probability for f in films])
        for films in (first, second)
    ]
    assert (found.first.split()[0], found.second.split()[0]) == ("first.onnx", "second.onnx")
    assert found.films == 100
    assert found.difference is not None
    assert found.difference.value == pytest.approx(areas[0] - areas[1], abs=1e-12)
    assert 0 < found.difference.low < found.difference.value < found.difference.high
    assert found.difference.patients == 100
    back = compare(figures(second), figures(first)).difference
    assert back is not None
    assert (back.low, back.high) == pytest.approx((-found.difference.high, -found.difference.low))


def test_the_same_draw_for_both() -> None:
    """A model against itself differs by nothing in every replicate."""
    films = random_films(60, per_patient=2)
    found = compare(figures(films), figures(films)).difference
    assert found is not None
    assert (found.value, found.low, found.high, found.patients) == (0.0, 0.0, 0.0, 30)


# Exact two-sided binomial p of 3 against 11: twice the sum of C(14, k) / 2^14 for k up to 3.
def test_mcnemar_is_exact() -> None:
    first = scored([1] * 20, [0.9] * 3 + [0.1] * 11 + [0.9] * 6)
    second = scored([1] * 20, [0.1] * 3 + [0.9] * 11 + [0.9] * 6)
    found = compare(figures(first), figures(second)).mcnemar[0]
    assert (found.only_first_right, found.only_second_right) == (3, 11)
    expected = 2 * sum(math.comb(14, k) for k in range(4)) / 2**14
    assert found.p_value == pytest.approx(expected)


def test_mcnemar_uses_the_threshold_of_each_model() -> None:
    films = scored([1, 0], [0.4, 0.3])
    found = compare(figures(films, balanced=0.35), figures(films, balanced=0.45)).mcnemar
    assert [(each.only_first_right, each.only_second_right) for each in found] == [(0, 0), (1, 0)]
    assert [each.p_value for each in found] == [1.0, 1.0]


def test_only_points_of_the_same_name() -> None:
    films = random_films(10)
    one, other = figures(films, site=0.3), figures(films, local=0.3)
    assert [each.point for each in compare(one, other).mcnemar] == ["screening", "balanced"]


def test_only_films_that_both_have_scored() -> None:
    labels = [0, 0, 0, 1, 1, 1]
    first = scored(labels, [0.1, 0.2, None, 0.8, 0.9, 0.7])
    second = scored(labels, [0.2, 0.1, 0.9, None, 0.9, 0.7])
    found = compare(figures(first), figures(second[::-1]))
    both = [0, 1, 4, 5]
    kept = [tuple(films[i] for i in both) for films in (first, second)]
    assert found == compare(*(figures(films) for films in kept))
    assert found.films == 4


def test_nothing_in_common() -> None:
    one, other = scored([0, 1], [0.1, None]), scored([0, 1], [None, 0.9])
    found = compare(figures(one), figures(other))
    assert (found.films, found.difference, found.delong_p_value, found.mcnemar) == (
        0,
        None,
        None,
        (),
    )


def test_one_class_in_common() -> None:
    films = scored([1, 1, 1], [0.1, 0.8, 0.9])
    found = compare(figures(films), replace(figures(films), model_file="b.onnx"))
    assert (found.difference, found.delong_p_value) == (None, None)
    assert len(found.mcnemar) == 2
    assert not_finite(found) == []
