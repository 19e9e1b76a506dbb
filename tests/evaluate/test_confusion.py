"""Predictive values at a prevalence that the site states."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from cxr_edge.evaluate.confusion import point_figures, predictive_values
from cxr_edge.evaluate.films import Scored
from cxr_edge.statistics.operating_points import Proportion
from tests.evaluate.films import CLASSES, films, random_films

pytest.importorskip("sklearn")


# Altman and Bland's example: sensitivity 231/258, specificity 54/86, prevalence 0.25.
def test_predictive_values_at_a_prevalence() -> None:
    found = predictive_values(Proportion.of(231, 258), Proportion.of(54, 86), 0.25)
    assert found is not None
    assert found.positive is not None
    assert found.negative is not None
    assert found.positive.value == pytest.approx(0.45, abs=0.005)
    assert found.negative.value == pytest.approx(0.95, abs=0.005)
    # By hand: 231/258 is 0.895 (0.852 to 0.927), 54/86 is 0.628 (0.522 to 0.723).
    for value, low, high in (
        (found.positive, 0.2130 / (0.2130 + 0.3585), 0.23175 / (0.23175 + 0.20775)),
        (found.negative, 0.3915 / (0.3915 + 0.0370), 0.54225 / (0.54225 + 0.01825)),
    ):
        assert (value.low, value.high) == pytest.approx((low, high), abs=0.002)


def test_a_predictive_value_of_few_films_is_not_certain() -> None:
    """No alarm among ten films is no proof that there never is one."""
    found = predictive_values(Proportion.of(10, 10), Proportion.of(10, 10), 0.01)
    assert found is not None
    assert found.positive is not None
    assert found.positive.value == found.positive.high == 1.0
    assert found.positive.low < 0.05


def test_at_the_prevalence_of_the_set_they_are_its_own() -> None:
    films = random_films(200)
    found = point_figures(("site", 0.5), Scored.of(films), CLASSES, 0.5)
    assert found.at_prevalence is not None
    assert found.positive_predictive_value is not None
    stated = found.at_prevalence.positive
    assert stated is not None
    assert stated.value == pytest.approx(found.positive_predictive_value.value)


@pytest.mark.parametrize(
    ("sensitivity", "specificity"),
    [(None, Proportion.of(1, 2)), (Proportion.of(1, 2), None)],
    ids=["no pneumonia", "no normal"],
)
def test_predictive_values_need_both_classes(
    sensitivity: Proportion | None, specificity: Proportion | None
) -> None:
    found = predictive_values(sensitivity, specificity, 0.1)
    assert found is not None
    assert (found.positive, found.negative) == (None, None)


def test_predictive_values_of_a_decision_that_is_never_made() -> None:
    never = predictive_values(Proportion.of(0, 2), Proportion.of(2, 2), 0.1)
    always = predictive_values(Proportion.of(2, 2), Proportion.of(0, 2), 0.1)
    assert never is not None
    assert always is not None
    assert never.positive is None
    assert never.negative is not None
    assert never.negative.value == pytest.approx(0.9)
    assert always.positive is not None
    assert always.positive.value == pytest.approx(0.1)
    assert always.negative is None


def _of_patients(hits: Sequence[bool], patients: Sequence[str]) -> Proportion:
    """Share of the films of these patients that are flagged, and its interval."""
    rows = [(1, 0.9 if hit else 0.1, who) for hit, who in zip(hits, patients, strict=True)]
    named = Scored.of(films(rows))
    return named.share(named.probability >= 0.5, named.labels == 1)


def test_a_patient_with_one_film_has_wilsons_interval() -> None:
    assert _of_patients([True] * 19 + [False], [*map(str, range(20))]) == Proportion.of(19, 20)


def test_films_of_a_patient_that_agree_count_once() -> None:
    """Five copies of each film say no more than the films, and that they agree is an estimate."""
    patients, hits = np.repeat(np.arange(60), 5).astype(str), np.repeat(np.arange(60) % 20 > 0, 5)
    many, few = _of_patients(hits, patients), Proportion.of(57, 60)
    assert (many.value, many.n) == (few.value, 300)
    assert few.low - 0.004 < many.low < few.low
    assert few.high < many.high < few.high + 0.004


def test_films_of_one_patient_are_one() -> None:
    found = _of_patients([True, False] * 5, ["a"] * 10)
    one = Proportion.of(5, 10, 1)
    assert (found.low, found.high) == (one.low, one.high)


def test_a_miss_promises_no_more_than_none() -> None:
    """100 patients with two films each: the first misses lie in different patients."""
    patients = [str(film // 2) for film in range(200)]
    lows = [
        _of_patients([film // 2 >= misses or film % 2 == 1 for film in range(200)], patients).low
        for misses in range(6)
    ]
    assert lows == sorted(lows, reverse=True)


# Films of each patient, share, how much films of a patient agree (intraclass correlation).
COVERED = {
    "copies": ([5] * 60, 0.95, 1.0),
    "alike": ([5] * 60, 0.95, 0.3),
    "few patients": ([10] * 5, 0.8, 0.3),
    "rarely missed": ([2] * 95, 0.98, 0.3),
    "three with many": ([1] * 60 + [20] * 3, 0.8, 1.0),
    "ten with ten": ([1] * 100 + [10] * 10, 0.95, 1.0),
}


@pytest.mark.slow
@pytest.mark.parametrize(("films", "share", "agreement"), COVERED.values(), ids=COVERED)
def test_an_interval_holds_the_truth_as_often_as_it_says(
    films: list[int], share: float, agreement: float
) -> None:
    """Over films alone it is 61 of 100 in the first case."""
    random, rounds = np.random.default_rng(0), 400
    patients = np.repeat(np.arange(len(films)), films)
    held = 0
    for _ in range(rounds):
        of_patient = (random.random(len(films)) < share).astype(float)
        if agreement < 1:  # beta-binomial
            weight = 1 / agreement - 1
            of_patient = random.beta(share * weight, (1 - share) * weight, len(films))
        hits = random.random(len(patients)) < of_patient[patients]
        found = _of_patients(hits.tolist(), patients.astype(str).tolist())
        held += found.low <= share <= found.high
    assert held >= 0.92 * rounds
