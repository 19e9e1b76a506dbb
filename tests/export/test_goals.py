"""What the card says of the project's goals: which were met, and by how much others were missed."""

from __future__ import annotations

from dataclasses import replace

import pytest

from cxr_edge.statistics.measurements import Decisions, Estimate, MeasuredSet
from cxr_edge.statistics.operating_points import Proportion
from cxr_export.card import render_card
from cxr_export.goals import GOALS, reached
from cxr_export.intended_use import KERMANY
from cxr_training.nets import NETS
from tests.export.specs import evaluation, spec


def measured(accuracy: int = 956, sensitivity: int = 980) -> MeasuredSet:
    """1,000 films of each class; everything but these figures is good enough."""
    good, n = Proportion.of(1000, 1000), 1000
    return MeasuredSet(
        "test_a",
        "ab" * 32,
        {"NORMAL": n, "PNEUMONIA": n, "patients": n},
        Estimate(0.99, 0.98, 0.995, n, n),
        {
            "screening": Decisions(good, Proportion.of(sensitivity, n), good),
            "balanced": Decisions(Proportion.of(accuracy, n), good, good),
        },
    )


@pytest.mark.parametrize(
    ("test", "outcomes"),
    [
        (measured(), ["met", "met", "met", "met"]),
        (measured(accuracy=917), ["met", "met", "**missed by 0.028**", "met"]),
        (measured(sensitivity=979), ["**missed by 0.001**", "met", "met", "met"]),
    ],
)
def test_what_is_missed_is_missed_by_so_much(test: MeasuredSet, outcomes: list[str]) -> None:
    assert [row.outcome for row in reached("cnn3_128", test)] == outcomes


def test_a_hair_is_missed_as_well() -> None:
    hair = measured()
    point = replace(hair.operating_points["balanced"], accuracy=Proportion(0.9449, 0.9, 0.97, 999))
    points = {**hair.operating_points, "balanced": point}
    row = reached("cnn3_128", replace(hair, operating_points=points))[2]
    assert row.goal == "accuracy at `balanced` at least 0.945"
    assert row.outcome == "**missed by less than 0.001**"


def test_every_network_has_goals_and_no_other() -> None:
    assert GOALS.keys() == NETS.keys()
    assert reached("another", measured()) == ()


@pytest.mark.parametrize(
    ("name", "source", "told"),
    [("test_a", KERMANY, True), ("test_x", KERMANY, False), ("test_a", "made up", False)],
)
def test_goals_are_about_the_official_test_films(name: str, source: str, told: bool) -> None:
    shown = spec(evaluations=(replace(evaluation(), data=name),), data_source=source)
    card = render_card(shown)
    assert ("specificity at `screening` at least 0.820 **missed by 0.136**;" in card) == told
    assert ("Goals there:" in card) == told
