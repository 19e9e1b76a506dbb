"""Figures and distributions that specs keep."""

from __future__ import annotations

import numpy as np
import pytest

from cxr_edge.features import FEATURES, FEATURES_VERSION, ImageFeatures
from cxr_edge.statistics.measurements import (
    SCORE_BINS,
    Estimate,
    FeatureDistribution,
    ScoreDistribution,
    with_interval,
)
from cxr_edge.statistics.operating_points import Proportion
from cxr_edge.support.strict_json import read


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


def made_features(films: int = 101) -> dict[str, np.ndarray]:
    """All but `scope`, which only a model with a scope gate has."""
    rng = np.random.default_rng(0)
    names = (*ImageFeatures._fields, "logit")
    return {name: rng.normal(size=films) for name in names}


def test_quantiles_of_features_are_those_of_numpy() -> None:
    features = made_features()
    found = FeatureDistribution.of("some films", features)
    assert (found.version, found.films, found.data) == (FEATURES_VERSION, 101, "some films")
    assert tuple(found.quantiles) == tuple(name for name in FEATURES if name != "scope")
    for name, values in features.items():
        quantiles = found.quantiles[name]
        assert quantiles[10] == pytest.approx(np.median(values), rel=1e-5)
        assert (quantiles[0], quantiles[-1]) == pytest.approx(
            (values.min(), values.max()), rel=1e-5
        )
    assert read(FeatureDistribution, found.to_dict(), "features") == found


def test_a_step_of_the_quantiles_holds_a_twentieth_of_the_films() -> None:
    """So that a distribution function, and a distance between two, can be had from them."""
    features = made_features(films=2000)
    edges = FeatureDistribution.of("x", features).quantiles["logit"]
    counts, _ = np.histogram(features["logit"], edges)
    assert counts.min() >= 98
    assert counts.max() <= 102


@pytest.mark.parametrize(
    ("films", "quantiles", "sentence"),
    [
        (0, {"mean": (0.0,) * 21}, "of no films"),
        (3, {}, "of no feature"),
        (3, {"mean": (0.0,) * 20}, "mean: not 21 ascending quantiles"),
        (3, {"mean": (1.0, *(0.0,) * 20)}, "mean: not 21 ascending quantiles"),
    ],
)
def test_a_distribution_that_is_none_is_refused(
    films: int, quantiles: dict[str, tuple[float, ...]], sentence: str
) -> None:
    with pytest.raises(ValueError, match=sentence):
        FeatureDistribution(1, "x", films, quantiles)
