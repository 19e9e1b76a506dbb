"""Features of a film, by hand."""

from __future__ import annotations

import numpy as np
import pytest

from cxr_edge.features import FEATURES, ImageFeatures, image_features


def test_by_hand() -> None:
    pixels = np.array([[10, 30], [10, 30]], np.uint8)[..., np.newaxis]
    found = image_features(pixels, (200, 100), (50, 25), (40, 20))
    assert found.mean == 20
    assert found.spread == 10
    # Of four steps, two of 0 down and two of 20 across, over a spread of 10.
    assert found.sharpness == pytest.approx((800 / 4) ** 0.5 / 10)
    assert found.border_share == pytest.approx(1 - 800 / 1250)
    assert found.size == 20_000


def test_one_grey_level_has_no_sharpness() -> None:
    flat = np.full((8, 8, 1), 77, np.uint8)
    assert image_features(flat, (8, 8), (8, 8), (8, 8)) == ImageFeatures(77, 0, 0, 0, 64)


def test_the_order_in_which_they_are_kept() -> None:
    assert (*("mean", "spread", "sharpness", "border_share", "size", "scope", "logit"),) == FEATURES
