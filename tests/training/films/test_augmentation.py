"""Augmentation: bounded, reproducible, and nothing where nothing was asked for."""

from __future__ import annotations

from dataclasses import fields

import numpy as np
import pytest
from numpy.typing import NDArray

from cxr_training.films import augmentation
from cxr_training.films.augmentation import as_rgb
from cxr_training.recipe.sections import Augmentation
from tests.training.films.made import EVERYTHING, SIZE, film

ONE_BY_ONE = {
    item.name: Augmentation(**{item.name: getattr(EVERYTHING, item.name)})
    for item in fields(Augmentation)
    if item.name != "black_outside"  # it changes what a movement brings in
}


def others() -> NDArray[np.uint8]:
    """Darker films than `film`, to be made to resemble."""
    return np.stack([film(seed) // 2 for seed in (100, 101, 102)])


def augment(
    image: NDArray[np.uint8], ranges: Augmentation, rng: np.random.Generator
) -> augmentation.FloatImage:
    return augmentation.augment(image, others(), ranges, rng)


def rows() -> NDArray[np.uint8]:
    """Row i holds the level 100 + i."""
    return np.repeat(np.arange(100, 100 + SIZE, dtype=np.uint8)[:, np.newaxis], SIZE, axis=1)


@pytest.mark.parametrize("ranges", [*ONE_BY_ONE.values(), EVERYTHING], ids=[*ONE_BY_ONE, "all"])
def test_changes_stay_in_range(ranges: Augmentation) -> None:
    changed = np.stack([augment(film(), ranges, np.random.default_rng(s)) for s in range(20)])
    assert changed.shape == (20, SIZE, SIZE)
    assert changed.dtype == np.float32
    assert changed.min() >= 0
    assert changed.max() <= 255
    assert (changed != film()).any()


@pytest.mark.parametrize("ranges", [*ONE_BY_ONE.values(), EVERYTHING], ids=[*ONE_BY_ONE, "all"])
def test_the_same_generator_gives_the_same_film(ranges: Augmentation) -> None:
    first, second = (augment(film(), ranges, np.random.default_rng(3)) for _ in range(2))
    np.testing.assert_array_equal(first, second)


def test_no_range_changes_nothing() -> None:
    for seed in range(5):
        changed = augment(film(), Augmentation(), np.random.default_rng(seed))
        np.testing.assert_array_equal(changed, film())


def test_the_image_itself_is_left_alone() -> None:
    image = film()
    augment(image, EVERYTHING, np.random.default_rng(0))
    np.testing.assert_array_equal(image, film())


def test_flip_only_mirrors() -> None:
    seen = set()
    for seed in range(12):
        changed = augment(film(), Augmentation(flip=True), np.random.default_rng(seed))
        mirrored = not np.allclose(changed, film(), atol=1e-2)
        np.testing.assert_allclose(changed, film()[:, ::-1] if mirrored else film(), atol=1e-2)
        seen.add(mirrored)
    assert seen == {True, False}


def test_shift_repeats_the_border() -> None:
    shifts = []
    for seed in range(40):
        changed = augment(rows(), Augmentation(shift=0.1), np.random.default_rng(seed))
        shift = changed[SIZE // 2, 0] - rows()[SIZE // 2, 0]
        expected = 100 + np.clip(np.arange(SIZE) + shift, 0, SIZE - 1)
        np.testing.assert_allclose(changed, expected[:, np.newaxis] * np.ones(SIZE), atol=1e-3)
        shifts.append(shift)
    assert np.abs(shifts).max() <= 0.1 * SIZE
    assert np.ptp(shifts) > 0.1 * SIZE


def test_zoom_scales_around_the_centre() -> None:
    slopes = []
    for seed in range(40):
        changed = augment(rows(), Augmentation(zoom=0.1), np.random.default_rng(seed))
        middle = changed[SIZE // 4 : -SIZE // 4, 0]
        assert changed[[24, 25], 0].mean() == pytest.approx(100 + 24.5, abs=1e-3)
        slopes.append(np.diff(middle).mean())
    assert 0.9 <= min(slopes) < 0.95
    assert 1.05 < max(slopes) <= 1.1


def test_each_axis_has_its_own_zoom() -> None:
    ranges = Augmentation(zoom=0.1)
    down = augment(rows(), ranges, np.random.default_rng(0))[:, 0]
    across = augment(rows().T.copy(), ranges, np.random.default_rng(0))[0]
    assert np.diff(down[15:35]).mean() != pytest.approx(np.diff(across[15:35]).mean(), abs=1e-3)


def test_rotation_is_in_degrees_either_way() -> None:
    angles = []
    for seed in range(40):
        changed = augment(rows(), Augmentation(rotation=8.0), np.random.default_rng(seed))
        down, across = np.gradient(changed[15:35, 15:35])
        angles.append(np.degrees(np.arctan2(across.mean(), down.mean())))
    assert -8 <= min(angles) < -5
    assert 5 < max(angles) <= 8


def test_a_crop_cuts_off_or_adds_and_changes_the_aspect() -> None:
    """Each end of an axis moves inwards by at most 10 % or outwards by a third of that."""
    starts, ends = [], []
    for seed in range(60):
        changed = augment(rows(), Augmentation(crop=0.1), np.random.default_rng(seed))[:, 0] - 100
        assert (np.diff(changed) >= -1e-3).all()
        starts.append(changed[0])
        ends.append(SIZE - 1 - changed[-1])
    for moved in (np.array(starts), np.array(ends)):
        assert moved.max() == pytest.approx(0.1 * SIZE, rel=0.2)
        assert 0.1 < (moved == 0).mean() < 0.45  # outwards: the border repeated
    across = augment(rows().T.copy(), Augmentation(crop=0.1), np.random.default_rng(0))[0]
    down = augment(rows(), Augmentation(crop=0.1), np.random.default_rng(0))[:, 0]
    assert np.ptp(across) != pytest.approx(np.ptp(down), abs=0.1)


def test_what_comes_from_outside_is_black_as_often_as_asked() -> None:
    for share in (0.0, 0.5, 1.0):
        ranges = Augmentation(rotation=10.0, black_outside=share)
        corners = [
            augment(rows(), ranges, np.random.default_rng(seed))[0, [0, -1]].min()
            for seed in range(60)
        ]
        assert np.mean(np.array(corners) < 60) == pytest.approx(share, abs=0.15), share


def test_half_of_the_films_are_framed() -> None:
    ranges = Augmentation(frame=0.2)
    changed = [
        (augment(film(), ranges, np.random.default_rng(seed)) != film()).any() for seed in range(80)
    ]
    assert 20 <= sum(changed) <= 50


def test_half_of_the_films_are_neither_blurred_nor_sharpened() -> None:
    noisy = film() // 2 + 64  # leaves room to sharpen
    changed = [
        augment(noisy, Augmentation(blur=0.05), np.random.default_rng(seed)) for seed in range(60)
    ]
    contrast = np.array([image.std() - noisy.astype(np.float32).std() for image in changed])
    assert 20 <= (contrast == 0).sum() <= 40
    assert (contrast < 0).sum() > (contrast > 0).sum() > 0


def level_after(level: int, ranges: Augmentation, seed: int) -> float:
    grey = np.full((SIZE, SIZE), level, np.uint8)
    return float(augment(grey, ranges, np.random.default_rng(seed)).mean())


def test_brightness_is_a_share_of_white() -> None:
    ranges = Augmentation(brightness=0.1)
    offsets = [level_after(100, ranges, seed) - 100 for seed in range(40)]
    assert -25.5 <= min(offsets) < -15
    assert 15 < max(offsets) <= 25.5


def test_gamma_bends_between_black_and_white() -> None:
    ranges = Augmentation(gamma=0.4)
    levels = np.array([level_after(100, ranges, seed) for seed in range(40)])
    exponents = np.log(np.log(levels / 255) / np.log(100 / 255))
    assert -0.4 <= exponents.min() < -0.25
    assert 0.25 < exponents.max() <= 0.4
    assert [level_after(level, ranges, 0) for level in (0, 255)] == [0, 255]


def test_contrast_turns_around_the_mean() -> None:
    factors = []
    for seed in range(40):
        changed = augment(rows(), Augmentation(contrast=0.3), np.random.default_rng(seed))
        assert changed.mean() == pytest.approx(rows().mean(), abs=1e-3)
        factors.append(np.log(np.ptp(changed) / np.ptp(rows())))
    assert -0.3 <= min(factors) < -0.2
    assert 0.2 < max(factors) <= 0.3


def test_noise_is_a_share_of_white() -> None:
    grey = np.full((SIZE, SIZE), 128, np.uint8)
    spreads = [
        augment(grey, Augmentation(noise=0.04), np.random.default_rng(seed)).std()
        for seed in range(40)
    ]
    assert max(spreads) < 1.1 * 0.04 * 255
    assert max(spreads) > 0.7 * 0.04 * 255


def test_as_rgb_repeats_the_plane() -> None:
    grey = np.arange(8, dtype=np.uint8).reshape(2, 2, 2, 1)
    rgb = as_rgb(grey)
    assert rgb.shape == (2, 2, 2, 3)
    assert rgb.dtype == np.float32
    for channel in range(3):
        np.testing.assert_array_equal(rgb[..., channel], grey[..., 0])
