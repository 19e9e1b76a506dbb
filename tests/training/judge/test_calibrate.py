"""Temperature scaling finds what logits were made with, and stays sober at the ends."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import expit

from cxr_training.judge.calibrate import fit_temperature


def calibrated(n: int = 20_000) -> tuple[np.ndarray, np.ndarray]:
    """Labels and the logits of their true probabilities."""
    rng = np.random.default_rng(0)
    logits = rng.normal(0.5, 2, n)
    return (rng.random(n) < expit(logits)).astype(int), logits


@pytest.mark.parametrize("factor", [0.2, 1.0, 3.0])
def test_temperature_undoes_over_and_underconfidence(factor: float) -> None:
    labels, logits = calibrated()
    assert fit_temperature(labels, factor * logits) == pytest.approx(factor, rel=0.04)


def test_temperature_is_the_best_of_a_grid() -> None:
    labels, logits = calibrated(3000)
    found = fit_temperature(labels, 2.5 * logits)
    grid = np.geomspace(0.1, 10, 500)
    signed = np.where(labels == 1, 2.5 * logits, -2.5 * logits)
    losses = [np.logaddexp(0, -signed / t).mean() for t in grid]
    assert found == pytest.approx(grid[np.argmin(losses)], rel=0.02)


def test_one_film_on_the_wrong_side_is_no_other_scale() -> None:
    """Fully apart or all but one film: the same network, so about the same temperature."""
    rng = np.random.default_rng(0)
    labels = np.repeat([0, 1], 300)
    logits = rng.normal(np.where(labels == 1, 4, -4), 1)
    assert logits[labels == 1].min() > 0 > logits[labels == 0].max(), "fully apart"
    apart = fit_temperature(labels, logits)
    logits[0] = 1.0
    assert fit_temperature(labels, logits) == pytest.approx(apart, rel=0.1)


def test_twice_the_logits_are_twice_the_temperature() -> None:
    labels, logits = (
        np.repeat([0, 1], 50),
        np.concatenate((-np.arange(1.0, 51), np.arange(1.0, 51))),
    )
    assert fit_temperature(labels, 2 * logits) == pytest.approx(
        2 * fit_temperature(labels, logits), rel=1e-3
    )


def test_temperature_stays_finite_where_the_best_is_not() -> None:
    wrong_way = fit_temperature(np.array([1, 1, 0, 0]), np.array([-2.0, -1.0, 1.0, 2.0]))
    assert wrong_way == pytest.approx(20, rel=0.01)
