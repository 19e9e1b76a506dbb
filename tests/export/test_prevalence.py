"""Bayes' theorem, by hand."""

from __future__ import annotations

from dataclasses import replace

import pytest

from cxr_edge.statistics.operating_points import OnCopies, OperatingPoint, Proportion
from cxr_export.prevalence import PREVALENCES, at_prevalences
from tests.export.specs import evaluation, spec

# Of 1000 films at 10 %: 90 of 100 ill flagged, 180 of 900 healthy.
POINT = OperatingPoint(
    0.5, "made up", Proportion(0.9, 0.8, 0.95, 50), Proportion(0.8, 0.7, 0.9, 60), "nothing"
)


@pytest.mark.parametrize(
    ("prevalence", "positive", "negative", "missed", "alarms"),
    [
        (0.05, 45 / 235, 760 / 765, 5, 190),
        (0.1, 90 / 270, 720 / 730, 10, 180),
        (0.2, 180 / 340, 640 / 660, 20, 160),
    ],
)
def test_by_hand(
    prevalence: float, positive: float, negative: float, missed: float, alarms: float
) -> None:
    shown = spec(evaluations=(), operating_points={"screening": POINT})
    row = at_prevalences(shown).rows[PREVALENCES.index(prevalence)]
    assert row.values.positive is not None
    assert row.values.negative is not None
    assert row.values.prevalence == prevalence
    assert row.values.positive.value == pytest.approx(positive)
    assert row.values.negative.value == pytest.approx(negative)
    assert (row.missed, row.alarms) == pytest.approx((missed, alarms))


def test_a_test_set_comes_before_copies_and_those_before_validation() -> None:
    copies = OnCopies(1, 6, Proportion.of(9, 10), Proportion.of(8, 10))
    point = replace(POINT, sensitivity=Proportion.of(9, 9), copies=copies)
    tested = spec(evaluations=(evaluation(), replace(evaluation(), data="test_y")))
    both = at_prevalences(tested)
    assert both.data == "`test_x`"
    assert [row.point for row in both.rows] == ["screening"] * 3 + ["balanced"] * 3
    decisions = tested.evaluations[0].operating_points["screening"]
    assert both.rows[0].missed == pytest.approx(50 * (1 - decisions.sensitivity.value))
    on_copies = at_prevalences(spec(evaluations=(), operating_points={"screening": point}))
    assert on_copies.data == "changed copies of the films that chose the thresholds"
    assert on_copies.rows[1].missed == pytest.approx(10)
    as_they_are = at_prevalences(spec(evaluations=(), operating_points={"screening": POINT}))
    assert as_they_are.data == "the films that chose the thresholds"


def test_nobody_flagged_has_no_positive_predictive_value() -> None:
    none = replace(
        POINT, sensitivity=Proportion(0.0, 0.0, 0.1, 9), specificity=Proportion(1.0, 0.9, 1.0, 9)
    )
    row = at_prevalences(spec(evaluations=(), operating_points={"screening": none})).rows[0]
    assert row.values.positive is None
    assert row.alarms == 0
