"""Features of a film, by hand."""

from __future__ import annotations

import numpy as np
import pytest

from cxr_edge.features import FEATURES, ImageFeatures, border_share, image_features, logit_of


def test_by_hand() -> None:
    pixels = np.array([[10, 30], [10, 30]], np.uint8)[..., np.newaxis]
    found = image_features(pixels, (200, 100), border_share((50, 25), (40, 20)))
    assert found.mean == 20
    assert found.spread == 10
    # Of four steps, two of 0 down and two of 20 across, over a spread of 10.
    assert found.sharpness == pytest.approx((800 / 4) ** 0.5 / 10)
    assert found.border_share == pytest.approx(1 - 800 / 1250)
    assert found.size == 20_000


def test_one_grey_level_has_no_sharpness() -> None:
    flat = np.full((8, 8, 1), 77, np.uint8)
    assert image_features(flat, (8, 8), 0) == ImageFeatures(77, 0, 0, 0, 64)


def test_the_order_in_which_they_are_kept() -> None:
    assert (*("mean", "spread", "sharpness", "border_share", "size", "scope", "logit"),) == FEATURES


@pytest.mark.parametrize(
    "probability, logit", [(0.5, 0), (0.75, 1.0986), (0, -14.5087), (1, 14.5087)]
)
def test_the_logit_of_a_row_is_finite(probability: float, logit: float) -> None:
    assert logit_of(probability) == pytest.approx(logit, abs=1e-4)
