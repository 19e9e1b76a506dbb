"""Temperature and Platt scaling find what logits were made with, and stay sober at the ends."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import expit
from sklearn.linear_model import LogisticRegression

from cxr_training.judge.calibrate import Platt, fit_platt, fit_temperature, negative_log_likelihood


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


def test_likelihood_does_not_overflow() -> None:
    assert negative_log_likelihood(np.array([1, 0]), np.array([-900.0, 900.0])) == 900


def test_platt_finds_slope_and_offset() -> None:
    labels, logits = calibrated()
    found = fit_platt(labels, (logits - 1) / 0.5)
    assert (found.slope, found.offset) == pytest.approx((0.5, 1), abs=0.05)
    np.testing.assert_allclose(found((logits - 1) / 0.5), expit(logits), atol=0.02)


def test_platt_agrees_with_logistic_regression() -> None:
    labels, logits = calibrated()
    peer = LogisticRegression(C=1e9).fit(logits[:, np.newaxis], labels)
    found = fit_platt(labels, logits)
    assert found.slope == pytest.approx(peer.coef_[0, 0], abs=2e-3)
    assert found.offset == pytest.approx(peer.intercept_[0], abs=2e-3)


def test_platt_has_an_answer_where_classes_are_apart() -> None:
    found = fit_platt(np.array([0, 0, 1, 1]), np.array([-2.0, -1.0, 1.0, 2.0]))
    assert np.isfinite([found.slope, found.offset]).all()
    assert found.slope > 0


def test_platt_of_one_and_zero_is_the_sigmoid() -> None:
    np.testing.assert_allclose(Platt(1, 0)(np.array([-1.0, 2.0])), expit([-1.0, 2.0]))
