"""Figures and distributions that specs keep."""

from __future__ import annotations

import numpy as np
import pytest

from cxr_edge.statistics.measurements import SCORE_BINS, Estimate, ScoreDistribution, with_interval
from cxr_edge.statistics.operating_points import Proportion


def test_scores_fall_into_twentieths() -> None:
    edges = [round(number / 20, 6) for number in range(21)]
    below = [round(edge - 1e-6, 6) for edge in edges[1:]]
    found = ScoreDistribution.of("set A", {"NORMAL": edges, "PNEUMONIA": np.array(below)})
    assert found.data == "set A"
    assert found.counts == {"NORMAL": (*[1] * 19, 2), "PNEUMONIA": (1,) * SCORE_BINS}


def test_a_class_without_films() -> None:
    assert ScoreDistribution.of("set A", {"NORMAL": []}).counts == {"NORMAL": (0,) * SCORE_BINS}


@pytest.mark.parametrize(
    ("figure", "text"),
    [
        (Proportion.of(19, 20), "0.950 (0.764 to 0.991)"),
        (Estimate(0.97654, 0.96, 0.98871, 196, 2000), "0.977 (0.960 to 0.989)"),
    ],
    ids=["share", "estimate"],
)
def test_with_interval(figure: Proportion | Estimate, text: str) -> None:
    assert with_interval(figure) == text
