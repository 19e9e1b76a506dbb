"""Quantiles are those of NumPy."""

from __future__ import annotations

import numpy as np
import pytest

from cxr_edge.statistics.quantiles import quantile, quantiles

QUANTILES = {
    "one level": [7] * 1024,
    "two levels": [3] * 52 + [250] * 972,
    "all levels": [n // 4 for n in range(1024)],
    "noise": np.random.default_rng(2).integers(0, 256, 1024).tolist(),
    "steps of every size": [n * n % 251 for n in range(1024)],
    "few": [1, 2],
}


@pytest.mark.parametrize("levels", QUANTILES.values(), ids=QUANTILES)
@pytest.mark.parametrize("share", [0.05, 0.5, 0.95])
def test_of_whole_numbers_to_the_bit(levels: list[int], share: float) -> None:
    expected = np.quantile(np.array(levels, np.uint8), share)
    assert quantile(sorted(levels), share) == expected


@pytest.mark.parametrize("count", [1, 2, 3, 20, 21, 600])
def test_of_numbers_in_any_order_to_the_bit(count: int) -> None:
    values = np.random.default_rng(count).normal(0, 3, count)
    shares = np.linspace(0, 1, 21)
    assert quantiles(values.tolist(), shares.tolist()) == np.quantile(values, shares).tolist()
