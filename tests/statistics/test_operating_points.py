"""Operating points: intervals against published ones, thresholds against brute force."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cxr_edge.statistics.operating_points import (
    SCREENING_SENSITIVITY,
    CopyScores,
    OnCopies,
    OperatingPoint,
    Proportion,
    candidates,
    choose,
    choose_on_copies,
    equal_error,
    measure,
)

Z = 1.959963984540054
LABELS = np.array([0, 0, 0, 0, 1, 1, 1, 1])
SCORES = np.array([0.1, 0.2, 0.3, 0.6, 0.4, 0.7, 0.8, 0.9])

# Printed scores have six decimals; ties and neighbours one step apart are the hard cases.
score = st.one_of(
    st.integers(1, 999_999).map(lambda k: k / 1e6),
    st.integers(1, 20).map(lambda k: k / 20 - 0.025),
    st.integers(499_995, 500_005).map(lambda k: k / 1e6),
    # Not half-way between two printed scores: np.round and print may part there.
    st.floats(1e-5, 1 - 1e-5).filter(lambda p: abs(p * 1e6 % 1 - 0.5) > 1e-3),
)


@st.composite
def scored(draw: st.DrawFn) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """Labels and scores with at least one of each class."""
    rows = draw(st.lists(st.tuples(st.integers(0, 1), score), min_size=0, max_size=120))
    rows += [(0, draw(score)), (1, draw(score))]
    return np.array([label for label, _ in rows]), np.array([p for _, p in rows])


def sensitivity_and_specificity(
    labels: np.ndarray[Any, Any], scores: np.ndarray[Any, Any], threshold: float
) -> tuple[float, float]:
    """By counting, on the scores as they are printed."""
    flagged = [float(f"{p:.6f}") >= threshold for p in scores]
    positive = [flag for flag, label in zip(flagged, labels, strict=True) if label == 1]
    negative = [flag for flag, label in zip(flagged, labels, strict=True) if label == 0]
    return sum(positive) / len(positive), negative.count(False) / len(negative)


# Newcombe, Statistics in Medicine 17:857 (1998), table I, method 3 (score, no correction).
@pytest.mark.parametrize(
    ("successes", "n", "low", "high"),
    [
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0000, 0.1611),
        (1, 29, 0.0061, 0.1718),
    ],
)
def test_wilson_interval_is_the_published_one(
    successes: int, n: int, low: float, high: float
) -> None:
    share = Proportion.of(successes, n)
    assert share.value == successes / n
    assert (round(share.low, 4), round(share.high, 4)) == (low, high)
    assert share.n == n


@given(st.integers(1, 5000).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_wilson_bounds_solve_wilsons_equation(counts: tuple[int, int]) -> None:
    """At a bound p, the measured share lies z standard errors of p away."""
    successes, n = counts
    share = Proportion.of(successes, n)
    for bound in (share.low, share.high):
        distance = (share.value - bound) ** 2
        assert distance == pytest.approx(Z**2 * bound * (1 - bound) / n, abs=1e-12)
    mirrored = Proportion.of(n - successes, n)
    assert mirrored.low == pytest.approx(1 - share.high, abs=1e-12)


@pytest.mark.parametrize("n", [0, -1])
def test_a_proportion_of_nothing_is_refused(n: int) -> None:
    with pytest.raises(ValueError, match="a proportion of nothing"):
        Proportion.of(0, n)


@pytest.mark.parametrize(
    ("value", "low", "high", "n"),
    [
        (0.5, 0.6, 0.7, 10),
        (0.5, 0.3, 0.4, 10),
        (0.5, -0.1, 0.6, 10),
        (0.5, 0.4, 1.1, 10),
        (0.5, 0.4, 0.6, 0),
        (float("nan"), 0.4, 0.6, 10),
    ],
)
def test_an_interval_holds_its_value(value: float, low: float, high: float, n: int) -> None:
    with pytest.raises(ValueError, match="not a proportion with its interval"):
        Proportion(value, low, high, n)


@pytest.mark.parametrize("threshold", [0.0, 1.0, -0.1, 1.1, float("nan")])
def test_a_threshold_lies_inside_zero_and_one(threshold: float) -> None:
    share = Proportion.of(1, 2)
    with pytest.raises(ValueError, match=r"is not inside \(0, 1\)"):
        OperatingPoint(threshold, "by hand", share, share, "x")


@pytest.mark.parametrize(
    ("threshold", "sensitivity", "specificity"),
    [(0.05, 1.0, 0.0), (0.4, 1.0, 0.75), (0.400001, 0.75, 0.75), (0.65, 0.75, 1.0), (0.95, 0, 1.0)],
)
def test_measure_counts_at_or_above(
    threshold: float, sensitivity: float, specificity: float
) -> None:
    found = measure(LABELS, SCORES, threshold)
    assert [share.value for share in found] == [sensitivity, specificity]
    assert [share.n for share in found] == [4, 4]


def test_measure_decides_on_the_score_as_printed() -> None:
    labels, scores = np.array([1, 0]), np.array([0.4999996, 0.1])
    assert measure(labels, scores, 0.5)[0].value == 1.0


@given(scored())
def test_candidates_tell_every_pair_of_scores_apart(
    case: tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]],
) -> None:
    _, scores = case
    printed = np.unique([float(f"{p:.6f}") for p in scores])
    thresholds = candidates(scores)
    assert (np.diff(thresholds) > 0).all()
    assert thresholds.min() > 0
    assert thresholds.max() < 1
    decisions = {tuple(printed >= threshold) for threshold in thresholds}
    assert decisions == {tuple(printed >= one) for one in printed}


@given(scored())
def test_screening_is_the_highest_threshold_that_misses_few(
    case: tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]],
) -> None:
    labels, scores = case
    point = choose(labels, scores, "drawn")["screening"]
    assert point.sensitivity.value >= SCREENING_SENSITIVITY
    found = sensitivity_and_specificity(labels, scores, point.threshold)
    assert found == pytest.approx((point.sensitivity.value, point.specificity.value), abs=1e-12)
    printed = np.unique([float(f"{p:.6f}") for p in scores])
    above = printed[printed >= point.threshold]  # flagged; the next decision drops the lowest
    for higher in above[1:]:
        sensitivity, _ = sensitivity_and_specificity(labels, scores, higher)
        assert sensitivity < SCREENING_SENSITIVITY


@given(scored())
def test_balanced_is_near_the_best_sum_and_nearest_to_one_half(
    case: tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]],
) -> None:
    labels, scores = case
    point = choose(labels, scores, "drawn")["balanced"]
    thresholds = candidates(scores)
    pairs = [sensitivity_and_specificity(labels, scores, t) for t in thresholds]
    gains = np.array([sum(pair) for pair in pairs])
    n = np.array([(labels == 1).sum(), (labels == 0).sum()])
    errors = np.array([np.sqrt((np.array(p) * (1 - np.array(p)) / n).sum()) for p in pairs])
    best = gains > gains.max() - 1e-9
    chosen = gains[thresholds == point.threshold]
    assert chosen == pytest.approx([point.sensitivity.value + point.specificity.value])
    assert chosen >= gains.max() - errors[best].max() - 1e-9
    nearer = np.abs(thresholds - 0.5) < abs(point.threshold - 0.5) - 1e-9
    assert (gains[nearer] < gains.max() - errors[best].min() + 1e-9).all()


def test_points_of_separable_scores() -> None:
    labels, scores = np.array([0, 0, 1, 1]), np.array([0.1, 0.2, 0.8, 0.9])
    points = choose(labels, scores, "four films")
    assert {name: point.threshold for name, point in points.items()} == {
        "screening": 0.5,
        "balanced": 0.5,
    }
    assert all(point.data == "four films" for point in points.values())
    assert "0.98" in points["screening"].chosen_by
    assert "0.5" in points["balanced"].chosen_by


def test_screening_allows_two_misses_in_a_hundred() -> None:
    labels = np.array([1] * 100 + [0] * 10)
    scores = np.array([0.1, 0.2, *np.linspace(0.5, 0.9, 98), *np.linspace(0.05, 0.45, 10)])
    point = choose(labels, scores, "x")["screening"]
    assert point.sensitivity.value == 0.98
    assert 0.45 < point.threshold <= 0.5
    three = choose(labels, np.where(scores == 0.5, 0.3, scores), "x")["screening"]
    assert three.sensitivity.value == 0.98
    assert 0.2 < three.threshold <= 0.3


@pytest.mark.parametrize("value", [1e-6, 0.3, 1 - 1e-6, 1.0])
def test_equal_scores_are_all_flagged(value: float) -> None:
    points = choose(np.array([0, 1, 1]), np.full(3, value), "x")
    assert all(point.sensitivity.value == 1 for point in points.values())


@pytest.mark.parametrize("scores", [[0.123457, 0.123457], [0.123456, 0.123457]])
def test_single_precision_scores_give_the_same_points(scores: list[float]) -> None:
    labels, double = np.array([0, 1]), np.array(scores)
    assert choose(labels, double.astype(np.float32), "x") == choose(labels, double, "x")


def test_pneumonia_scored_zero_is_no_crash() -> None:
    labels, scores = np.array([0, 1, 1]), np.array([0.4, 0.0, 0.9])
    point = choose(labels, scores, "x")["screening"]
    assert point.threshold == 1e-6
    assert point.sensitivity.value == 0.5


@given(scored())
def test_the_equal_error_rate_by_brute_force(
    drawn: tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]],
) -> None:
    labels, scores = drawn

    def gap(threshold: float) -> float:
        sensitivity, specificity = sensitivity_and_specificity(labels, scores, threshold)
        return abs(sensitivity - specificity)

    found = equal_error(labels, scores)
    gaps = {float(threshold): gap(threshold) for threshold in candidates(scores)}
    assert gaps[found] == pytest.approx(min(gaps.values()), abs=1e-12)


def test_copies_alone_choose() -> None:
    """Normals score higher on copies: both thresholds rise, films as they are keep their say."""
    copies = CopyScores(7, np.stack([SCORES + 0.05, SCORES + 0.01]))
    plain = np.where(LABELS == 1, 0.99, 0.01)
    points = choose_on_copies(LABELS, plain, copies, "eight films")
    assert points["screening"].threshold == pytest.approx(0.36, abs=0.051)
    for point in points.values():
        assert point.data == "eight films"
        assert (point.sensitivity.value, point.specificity.value) == (1, 1)
        assert (point.sensitivity.n, point.specificity.n) == (4, 4)
        assert "on changed copies (version 7, 2 draws)" in point.chosen_by
        assert point.copies == copies.measure(LABELS, point.threshold)
    screening, balanced = (points[name].copies for name in ("screening", "balanced"))
    assert screening is not None
    assert screening.sensitivity.value == 1
    assert balanced is not None
    assert balanced.sensitivity.value == balanced.specificity.value


def test_all_draws_are_pooled_and_the_interval_counts_films() -> None:
    copies = CopyScores(1, np.stack([SCORES, 1 - SCORES]))
    found = copies.measure(LABELS, 0.5)
    assert (found.version, found.draws) == (1, 2)
    assert (found.sensitivity.value, found.sensitivity.n) == ((3 + 1) / 8, 8)
    assert found.specificity.value == (3 + 1) / 8
    four = Proportion.of(2, 4)
    assert (found.sensitivity.low, found.sensitivity.high) == (four.low, four.high)


def test_a_single_film_of_each_class_is_enough() -> None:
    labels, scores = np.array([0, 1]), np.array([0.2, 0.9])
    points = choose_on_copies(labels, scores, CopyScores(1, scores[np.newaxis]), "two films")
    assert {point.sensitivity.value for point in points.values()} == {1.0}


@pytest.mark.parametrize(("version", "draws"), [(0, 6), (1, 0)])
def test_figures_of_no_draw_are_refused(version: int, draws: int) -> None:
    share = Proportion.of(1, 2)
    with pytest.raises(ValueError, match="not a list of changes and its draws"):
        OnCopies(version, draws, share, share)
