"""What the card says of the project's goals: which were met, and by how much others were missed."""

from __future__ import annotations

from dataclasses import replace

import pytest

from cxr_edge.model.catalog import bundled_specs
from cxr_edge.model.spec import ModelSpec
from cxr_edge.statistics.measurements import Decisions, Estimate, MeasuredSet
from cxr_edge.statistics.operating_points import Proportion
from cxr_export.card import render_card
from cxr_export.goals import GOALS, Goal, reached
from cxr_export.intended_use import KERMANY
from cxr_training.nets import NETS
from tests.export.test_card import evaluation, spec


def measured(auc: float = 0.9921, accuracy: int = 956, sensitivity: int = 980) -> MeasuredSet:
    """1,000 films of each class; everything but these figures is good enough."""
    good, n = Proportion.of(1000, 1000), 1000
    return MeasuredSet(
        "test_a",
        "ab" * 32,
        {"NORMAL": n, "PNEUMONIA": n, "patients": n},
        Estimate(auc, auc - 0.01, auc + 0.005, n, n),
        {
            "screening": Decisions(good, Proportion.of(sensitivity, n), good),
            "balanced": Decisions(Proportion.of(accuracy, n), good, good),
        },
    )


@pytest.mark.parametrize(
    ("test", "outcomes"),
    [
        (measured(), ["met", "met", "met", "met"]),
        (measured(auc=0.992), ["**missed by less than 0.001**", "met", "met", "met"]),
        (measured(auc=0.9874), ["**missed by 0.005**", "met", "met", "met"]),
        (measured(accuracy=955), ["met", "**missed by less than 0.001**", "met", "met"]),
        (measured(accuracy=917), ["met", "**missed by 0.038**", "met", "met"]),
        (measured(sensitivity=979), ["met", "met", "**missed by 0.001**", "met"]),
    ],
)
def test_what_is_missed_is_missed_by_so_much(test: MeasuredSet, outcomes: list[str]) -> None:
    rows = reached("cnn3_128", test)
    assert [row.outcome for row in rows] == outcomes
    assert [row.missed for row in rows] == ["missed" in outcome for outcome in outcomes]


def test_a_row_has_the_figure_its_aim_and_its_interval() -> None:
    auc, accuracy, *_ = reached("cnn3_128", measured())
    assert (auc.figure, auc.aim) == ("area under the ROC curve", "above 0.992")
    assert auc.measured == "0.992 (0.982 to 0.997)"
    assert (accuracy.figure, accuracy.aim) == ("accuracy at `balanced`", "above 0.955")
    assert reached("cnn3_50", measured())[0].aim == "at least 0.987"


def test_every_network_has_goals_and_no_other() -> None:
    assert GOALS.keys() == NETS.keys()
    assert reached("another", measured()) == ()
    aims = {net: {(g.point, g.figure): g.aim for g in goals} for net, goals in GOALS.items()}
    assert all(aim["screening", "specificity"] == 0.85 for aim in aims.values())
    assert Goal(None, "auc", 0.992, strictly=True) in GOALS["cnn3_128"]


@pytest.mark.parametrize(
    ("name", "source", "told"),
    [("test_a", KERMANY, True), ("test_x", KERMANY, False), ("test_a", "made up", False)],
)
def test_goals_are_about_the_official_test_films(name: str, source: str, told: bool) -> None:
    shown = spec(evaluations=(replace(evaluation(), data=name),), data_source=source)
    card = render_card(shown)
    assert ("| specificity at `screening` | at least 0.850 |" in card) == told
    assert ("What the project tried" in card) == told


def test_nothing_was_tried_for_what_is_met() -> None:
    card = render_card(spec(evaluations=(measured(),), data_source=KERMANY))
    assert "| area under the ROC curve | above 0.992 | 0.992 (0.982 to 0.997) | met |" in card
    assert "missed" not in card.split("## At other prevalences")[0]


@pytest.mark.parametrize("shipped", bundled_specs(), ids=lambda it: it.name)
def test_what_ships_says_which_goals_it_misses(shipped: ModelSpec) -> None:
    (test,) = shipped.evaluations
    card = render_card(shipped)
    rows = reached(shipped.architecture.name, test)
    assert rows
    for row in rows:
        assert f"| {row.figure} | {row.aim} | {row.measured} | {row.outcome} |" in card
