"""Bayes' theorem, by hand."""

from __future__ import annotations

from dataclasses import replace

import pytest

from cxr_edge.statistics.operating_points import OperatingPoint, Proportion
from cxr_export.prevalence import PREVALENCES, at_prevalences
from tests.export.specs import evaluation, spec

# Of 1000 films at 10 %: 90 of 100 ill flagged, 180 of 900 healthy.
POINT = OperatingPoint(
    0.5, "made up", Proportion(0.9, 0.8, 0.95, 50), Proportion(0.8, 0.7, 0.9, 60), "nothing"
)


@pytest.mark.parametrize(
    ("prevalence", "positive", "negative", "flagged"),
    [
        (0.05, 45 / 235, 760 / 765, 23.5),
        (0.1, 90 / 270, 720 / 730, 27.0),
        (0.2, 180 / 340, 640 / 660, 34.0),
    ],
)
def test_by_hand(prevalence: float, positive: float, negative: float, flagged: float) -> None:
    shown = spec(evaluations=(), operating_points={"screening": POINT})
    row = at_prevalences(shown).rows[PREVALENCES.index(prevalence)]
    assert row.values.positive is not None
    assert row.values.negative is not None
    assert row.values.prevalence == prevalence
    assert row.values.positive.value == pytest.approx(positive)
    assert row.values.negative.value == pytest.approx(negative)
    assert row.flagged.value == pytest.approx(flagged)


def test_the_ends_of_flagged_films_are_the_furthest() -> None:
    shown = spec(evaluations=(), operating_points={"screening": POINT})
    flagged = at_prevalences(shown).rows[1].flagged
    # 8 + 9 of 100: sensitivity 0.8, specificity 0.9; 9.5 + 27: 0.95 and 0.7.
    assert (flagged.low, flagged.high) == pytest.approx((17.0, 36.5))


def test_a_test_set_comes_before_validation() -> None:
    both = spec(evaluations=(evaluation(), replace(evaluation(), data="test_y")))
    found, without = at_prevalences(both), at_prevalences(spec(evaluations=()))
    assert found.data == "`test_x`"
    assert without.data == "the films that chose the thresholds"
    assert [row.point for row in found.rows] == ["screening"] * 3 + ["balanced"] * 3
    (screening, *_), (other, *_) = found.rows, without.rows
    decisions = both.evaluations[0].operating_points["screening"]
    sensitivity, specificity = decisions.sensitivity.value, decisions.specificity.value
    assert screening.flagged.value == pytest.approx(5 * sensitivity + 95 * (1 - specificity))
    assert screening.flagged.value != other.flagged.value


def test_nobody_flagged_has_no_positive_predictive_value() -> None:
    none = replace(
        POINT, sensitivity=Proportion(0.0, 0.0, 0.1, 9), specificity=Proportion(1.0, 0.9, 1.0, 9)
    )
    row = at_prevalences(spec(evaluations=(), operating_points={"screening": none})).rows[0]
    assert row.values.positive is None
    assert row.flagged.value == 0
