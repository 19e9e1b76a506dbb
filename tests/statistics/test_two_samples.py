"""Two-sample tests, held against SciPy."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import special, stats

from cxr_edge.statistics.two_samples import (
    KOLMOGOROV_MEAN,
    KOLMOGOROV_SD,
    adjusted,
    chi_square_2x2,
    chi_square_p,
    kolmogorov_p,
    stability_index,
)


@pytest.mark.parametrize("distance", [0.0, 0.01, 0.03, 0.06, 0.1, 0.3])
@pytest.mark.parametrize("n", [200, 1000])
def test_kolmogorov_is_near_the_exact_value(distance: float, n: int) -> None:
    expected = stats.kstwo.sf(distance, n) if distance else 1.0
    assert kolmogorov_p(distance, n) == pytest.approx(expected, rel=0.02, abs=1e-9)


def test_kolmogorov_of_two_samples() -> None:
    n, m, distance = 300, 700, 0.08
    effective = n * m / (n + m)
    root = math.sqrt(effective)
    expected = special.kolmogorov((root + 0.12 + 0.11 / root) * distance)
    assert kolmogorov_p(distance, n, m) == pytest.approx(expected, rel=1e-9)
    assert stats.kstwobign.mean() == pytest.approx(KOLMOGOROV_MEAN, rel=1e-6)
    assert stats.kstwobign.std() == pytest.approx(KOLMOGOROV_SD, rel=1e-6)


@pytest.mark.parametrize("degrees", [1, 2, 3, 7, 12])
@pytest.mark.parametrize("value", [0.0, 0.5, 3.0, 20.0, 80.0])
def test_chi_square(value: float, degrees: int) -> None:
    assert chi_square_p(value, degrees) == pytest.approx(stats.chi2.sf(value, degrees), rel=1e-9)


def test_chi_square_of_shares() -> None:
    table = [[30, 170], [50, 450]]
    expected = stats.chi2_contingency(table, correction=False).statistic
    assert chi_square_2x2(30, 200, 50, 500) == pytest.approx(expected, rel=1e-12)
    assert chi_square_2x2(0, 200, 0, 500) == 0


def test_benjamini_hochberg() -> None:
    p = [0.01, 0.04, 0.03, 0.5, 0.002]
    assert adjusted(p) == pytest.approx(stats.false_discovery_control(p).tolist())


def test_the_stability_index() -> None:
    assert stability_index([100, 100], [500, 500]) == pytest.approx(0, abs=1e-12)
    # Shares 0.4 and 0.6 against halves, nearly.
    assert stability_index([400, 600], [500, 500]) == pytest.approx(0.2 * np.log(1.5) / 2, rel=0.01)
    assert 1 < stability_index([0, 500], [250, 250]) < 10
