"""Area under the ROC curve: scikit-learn's figure, and a bootstrap that draws patients."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from cxr_edge.statistics import auc
from cxr_edge.statistics.auc import (
    LEAST_PATIENTS,
    REPLICATES,
    auc_estimate,
    estimate,
    newcombe_interval,
    resampled_auc,
)
from cxr_edge.statistics.measurements import Estimate

metrics = pytest.importorskip("sklearn.metrics")

Films = tuple[NDArray[np.int64], NDArray[np.float64], list[str]]


def films(count: int, patients: int, seed: int = 1, decimals: int = 6) -> Films:
    """Labels, scores that say something about them, and patients of one class each."""
    random = np.random.default_rng(seed)
    owner = random.integers(patients, size=count)
    labels = (owner % 3 > 0).astype(np.int64)
    scores = 1 / (1 + np.exp(-random.normal(1.5 * labels, 1)))
    return labels, scores.round(decimals), [f"p{number}" for number in owner]


@pytest.mark.parametrize(
    ("labels", "scores", "area"),
    [
        ([0, 1], [0.1, 0.9], 1.0),
        ([0, 1], [0.9, 0.1], 0.0),
        ([0, 1], [0.5, 0.5], 0.5),
        ([0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8], 0.75),
        ([0, 0, 1, 1], [0.1, 0.4, 0.4, 0.8], 0.875),
    ],
    ids=["right", "wrong", "equal", "three of four", "three and a half of four"],
)
def test_small_sets(labels: list[int], scores: list[float], area: float) -> None:
    assert resampled_auc(np.array(labels), np.array(scores))(np.ones(len(labels), int)) == area


@given(data=st.data(), count=st.integers(2, 40))
def test_counts_are_films_repeated(data: Any, count: int) -> None:
    """What scikit-learn says of a set in which each film stands as often as it was drawn."""
    each = {"min_size": count, "max_size": count}
    labels = np.array(data.draw(st.lists(st.integers(0, 1), **each)))
    scores = np.array(data.draw(st.lists(st.integers(0, 9), **each))) / 9
    counts = np.array(data.draw(st.lists(st.integers(0, 4), **each)))
    area = resampled_auc(labels, scores)(counts)
    expanded = np.repeat(labels, counts)
    if len(np.unique(expanded)) < 2:
        assert area is None
    else:
        expected = metrics.roc_auc_score(expanded, np.repeat(scores, counts))
        assert area == pytest.approx(expected, abs=1e-12)


def slowly(labels: Any, scores: Any, patients: Sequence[str]) -> tuple[float, float, int]:
    """The same bootstrap film by film, through scikit-learn."""
    people, random, areas = sorted(set(patients)), np.random.default_rng(0), []
    for _ in range(auc.REPLICATES):
        drawn = [people[number] for number in random.integers(len(people), size=len(people))]
        rows = [i for person in drawn for i, owner in enumerate(patients) if owner == person]
        if len(np.unique(labels[rows])) == 2:
            areas.append(metrics.roc_auc_score(labels[rows], scores[rows]))
    low, high = np.percentile(areas, [2.5, 97.5])
    return float(low), float(high), len(areas)


def test_the_interval_is_that_of_a_bootstrap_by_patient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(auc, "REPLICATES", 300)
    labels, scores, patients = films(20, 6, decimals=1)
    found = estimate(0.7, resampled_auc(labels, scores), patients)
    low, high, replicates = slowly(labels, scores, patients)
    assert (found.low, found.high) == pytest.approx((low, high), abs=1e-12)
    assert found.patients == len(set(patients))
    # Few patients: some replicates drew one class only, and say nothing.
    assert found.replicates == replicates < 300


def test_films_of_one_patient_say_less_than_those_of_many() -> None:
    labels, scores, patients = films(300, 30)
    by_patient = auc_estimate(labels, scores, patients)
    by_film = auc_estimate(labels, scores, [str(i) for i in range(300)])
    tenfold = auc_estimate(labels.repeat(10), scores.repeat(10), list(np.repeat(patients, 10)))
    assert by_patient is not None
    assert by_film is not None
    assert tenfold is not None
    assert by_patient.value == by_film.value == pytest.approx(tenfold.value, abs=1e-12)
    assert by_film.low < by_film.value < by_film.high
    # The same films ten times over are no more evidence.
    assert (tenfold.low, tenfold.high) == pytest.approx((by_patient.low, by_patient.high))
    assert (tenfold.patients, by_film.patients) == (30, 300)


@pytest.mark.slow
def test_it_covers_the_truth_about_as_often_as_it_says() -> None:
    """60 sets of normal scores a standard deviation apart, whose area is known."""
    truth, inside = 0.7602499, 0
    for seed in range(60):
        random = np.random.default_rng(seed)
        labels = np.arange(80) % 2
        found = auc_estimate(labels, random.normal(labels, 1), [str(i) for i in range(80)])
        assert found is not None
        inside += found.low <= truth <= found.high
    assert 54 <= inside < 60


def test_it_is_the_same_every_time_and_in_any_order() -> None:
    labels, scores, patients = films(100, 40)
    order = np.random.default_rng(2).permutation(100)
    shuffled = auc_estimate(labels[order], scores[order], [patients[i] for i in order])
    assert auc_estimate(labels, scores, patients) == shuffled
    assert auc_estimate(labels, scores, patients) == shuffled


@pytest.mark.parametrize("label", [0, 1])
def test_a_class_without_films(label: int) -> None:
    assert auc_estimate(np.full(3, label), np.array([0.1, 0.2, 0.3]), ["a", "b", "c"]) is None


@pytest.mark.parametrize("few", [0, 1])
def test_films_of_few_patients_have_no_interval_however_many_they_are(few: int) -> None:
    """Patients count, not films: of two, the bootstrap would be sure of nearly anything."""
    random = np.random.default_rng(3)
    labels = np.arange(400) % 2
    scores = random.normal(labels, 1)

    def found(patients: int) -> Estimate | None:
        """Of the class in question, over all its films."""
        owner = np.where(labels == few, -1 - np.arange(400) // 2 % patients, np.arange(400))
        return auc_estimate(labels, scores, owner.astype(str).tolist())

    assert found(LEAST_PATIENTS - 1) is None
    assert found(LEAST_PATIENTS) is not None


@pytest.mark.parametrize(
    ("scores", "area"),
    [
        (lambda labels: 0.2 + 0.5 * labels, 1.0),
        (lambda labels: 0.7 - 0.5 * labels, 0.0),
        (lambda labels: 0.5 + 0 * labels, 0.5),
    ],
    ids=["perfect", "reversed", "constant"],
)
def test_an_area_that_never_varies_has_an_honest_interval(
    scores: Callable[[NDArray[np.int64]], NDArray[np.float64]], area: float
) -> None:
    labels = np.array([0] * 12 + [1] * 12)
    found = auc_estimate(labels, scores(labels), [str(i) for i in range(24)])
    assert found is not None
    assert found.value == area
    assert found.low <= area <= found.high
    assert found.high - found.low > 0.1
    assert (found.low, found.high) == pytest.approx(newcombe_interval(area, 12, 12))


@pytest.mark.parametrize("area", [0.0, 0.3, 0.5, 0.9, 0.999, 1.0])
@pytest.mark.parametrize(("negative", "positive"), [(10, 10), (12, 50), (400, 200)])
def test_ends_of_newcombes_interval_solve_its_equation(
    area: float, negative: int, positive: int
) -> None:
    """Each end lies 1.96 standard errors of its own from the area, or at the end of the scale."""
    low, high = newcombe_interval(area, negative, positive)
    assert 0 <= low <= area <= high <= 1
    assert low < high
    for end in (low, high):
        n = (negative + positive) / 2 - 1
        spread = end * (1 - end) * (1 + n * (1 - end) / (2 - end) + n * end / (1 + end))
        off = 1.959964 * (spread / (negative * positive)) ** 0.5
        assert abs(end - area) == pytest.approx(off, abs=1e-5)


def test_newcombes_interval_covers_a_nearly_perfect_area() -> None:
    """Normal scores 2.5 apart, 15 patients a class: some sets are perfect, the truth is not."""
    truth, inside, perfect = 0.961450, 0, 0
    for seed in range(300):
        random = np.random.default_rng(seed)
        labels = np.arange(30) % 2
        area = metrics.roc_auc_score(labels, random.normal(2.5 * labels, 1))
        low, high = newcombe_interval(float(area), 15, 15)
        inside += low <= truth <= high
        perfect += area == 1.0
    assert perfect > 15
    assert inside >= 0.95 * 300


def test_any_figure_gets_its_interval() -> None:
    """A share of 30 positive among 100 films, one a patient: the normal approximation is close."""
    positive = np.arange(100) < 30

    def share(counts: NDArray[np.int64]) -> float:
        return float(counts[positive].sum() / counts.sum())

    found = estimate(0.3, share, [str(i) for i in range(100)])
    half = 1.96 * (0.3 * 0.7 / 100) ** 0.5
    assert (found.low, found.high) == pytest.approx((0.3 - half, 0.3 + half), abs=0.015)
    assert (found.value, found.patients, found.replicates) == (0.3, 100, REPLICATES)


def test_a_test_set_takes_about_a_second() -> None:
    labels, scores, patients = films(312, 196)
    auc_estimate(labels, scores, patients)
    start = time.process_time()
    auc_estimate(labels, scores, patients)
    assert time.process_time() - start < 3
    assert REPLICATES == 2000
