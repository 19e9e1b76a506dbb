"""Calibration of probabilities as they ship, by hand and against scikit-learn."""

from __future__ import annotations

import numpy as np
import pytest

from cxr_edge.model.reliability import CalibrationBin
from cxr_edge.statistics.operating_points import Proportion
from cxr_export.calibration import calibration_error, calibration_on

LABELS = np.array([0, 0, 1, 1], np.float32)
SCORES = np.array([0.1, 0.4, 0.35, 0.8])


def test_figures_by_hand() -> None:
    found = calibration_on("four films", LABELS, SCORES, ["a", "a", "b", "c"])
    assert (found.data, found.films, found.share) == ("four films", 4, 0.5)
    assert found.mean_probability == pytest.approx(1.65 / 4)
    said = np.where(LABELS == 1, SCORES, 1 - SCORES)
    assert found.log_loss == pytest.approx(-np.log(said).mean(), abs=1e-6)
    assert found.brier == pytest.approx(((SCORES - LABELS) ** 2).mean(), abs=1e-6)
    # Each film lies in a bin of its own.
    assert found.calibration_error == pytest.approx(np.abs(SCORES - LABELS).mean())


def test_a_film_that_is_certain_has_a_logarithm() -> None:
    certain = calibration_on("x", LABELS, np.array([0.0, 1.0, 0.0, 1.0]), ["a", "b", "c", "d"])
    assert np.isfinite(certain.log_loss)
    assert certain.brier == 0.5


def test_calibration_error_by_hand() -> None:
    bins = [
        CalibrationBin(0.0, 0.1, 0.05, Proportion.of(1, 10)),  # off by 0.05
        CalibrationBin(0.9, 1.0, 0.95, Proportion.of(24, 30)),  # off by 0.15
    ]
    assert calibration_error(bins) == pytest.approx((10 * 0.05 + 30 * 0.15) / 40)
