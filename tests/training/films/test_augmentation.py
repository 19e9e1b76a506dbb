"""Augmentation: bounded, reproducible, and nothing where nothing was asked for."""

from __future__ import annotations

from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from numpy.typing import NDArray

from cxr_training.films import augmentation
from cxr_training.films.augmentation import TrainingBatches, as_rgb, changed_copies, mixup
from cxr_training.films.data import ImageSet, LabelledFile
from cxr_training.recipe.recipe import Recipe, load_recipe
from cxr_training.recipe.sections import Augmentation

SIZE = 50
TUNED = load_recipe("cnn3_50", "tuned").augmentation
EVERYTHING = replace(
    TUNED,
    histogram=1.0,
    fourier=1.0,
    shade=0.4,
    crop=0.1,
    low_resolution=1.0,
    frame=0.1,
    cut_out=0.3,
)
ONE_BY_ONE = {
    item.name: Augmentation(**{item.name: getattr(EVERYTHING, item.name)})
    for item in fields(Augmentation)
    # One changes a batch and not an image, the other what a movement brings in.
    if item.name not in ("mixup", "black_outside")
}


def film(seed: int = 0) -> NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 256, (SIZE, SIZE), np.uint8)


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


def recipe(**changes: Any) -> Recipe:
    plain = Recipe(name="test", net="cnn3_50", epochs=3, batch_size=4, augmentation=EVERYTHING)
    return replace(plain, **changes)


def image_set(n: int = 10) -> ImageSet:
    files = tuple(LabelledFile(Path(f"{i}.png"), i % 2, str(i)) for i in range(n))
    pixels = np.stack([film(i) for i in range(n)])[..., np.newaxis]
    return ImageSet(files, pixels, np.array([f.label for f in files], np.float32), "0" * 64)


def epoch(batches: TrainingBatches) -> list[tuple[NDArray[np.float32], Any]]:
    return [batches[i] for i in range(len(batches))]


def assert_same(first: list[Any], second: list[Any]) -> None:
    for (one, one_labels), (two, two_labels) in zip(first, second, strict=True):
        np.testing.assert_array_equal(one, two)
        np.testing.assert_array_equal(one_labels, two_labels)


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


def test_half_of_the_films_are_framed_and_half_have_a_hole() -> None:
    for ranges in (Augmentation(frame=0.2), Augmentation(cut_out=0.5)):
        changed = [
            (augment(film(), ranges, np.random.default_rng(seed)) != film()).any()
            for seed in range(80)
        ]
        assert 20 <= sum(changed) <= 50, ranges


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


@pytest.mark.parametrize("name", ["gamma", "contrast", "brightness"])
def test_grey_level_changes_keep_the_order_of_levels(name: str) -> None:
    for seed in range(10):
        changed = augment(rows(), ONE_BY_ONE[name], np.random.default_rng(seed))
        assert (np.diff(changed[:, 0]) >= 0).all()
        assert (changed == changed[:, :1]).all()


def test_as_rgb_repeats_the_plane() -> None:
    grey = np.arange(8, dtype=np.uint8).reshape(2, 2, 2, 1)
    rgb = as_rgb(grey)
    assert rgb.shape == (2, 2, 2, 3)
    assert rgb.dtype == np.float32
    for channel in range(3):
        np.testing.assert_array_equal(rgb[..., channel], grey[..., 0])


def test_batches_cover_every_image_once() -> None:
    batches = epoch(TrainingBatches(image_set(), recipe(augmentation=Augmentation()), 0))
    assert [len(pixels) for pixels, _ in batches] == [4, 4, 2]
    assert [labels.shape for _, labels in batches] == [(4, 1), (4, 1), (2, 1)]
    seen = np.concatenate([pixels[..., 0] for pixels, _ in batches])
    assert {p.tobytes() for p in seen} == {
        p.astype(np.float32).tobytes() for p in image_set().pixels[..., 0]
    }


def test_labels_go_with_their_pixels() -> None:
    images = image_set()
    label_of = {
        pixels.astype(np.float32).tobytes(): label
        for pixels, label in zip(images.pixels[..., 0], images.labels, strict=True)
    }
    for pixels, labels in epoch(TrainingBatches(images, recipe(augmentation=Augmentation()), 0)):
        assert [label_of[plane.tobytes()] for plane in pixels[..., 0]] == labels[:, 0].tolist()


def test_the_same_seed_epoch_and_batch_give_the_same_pixels() -> None:
    first, second = (TrainingBatches(image_set(), recipe(), 0) for _ in range(2))
    assert_same(epoch(first), epoch(second))
    assert_same([first[1]], [second[1]])


@pytest.mark.parametrize("shuffle", [True, False])
def test_another_epoch_or_seed_gives_other_pixels(shuffle: bool) -> None:
    plain = recipe(shuffle=shuffle)
    first = TrainingBatches(image_set(), plain, 0)[0][0]
    assert (TrainingBatches(image_set(), plain, 1)[0][0] != first).any()
    assert (TrainingBatches(image_set(), replace(plain, seed=1), 0)[0][0] != first).any()


def test_unshuffled_order_is_file_order() -> None:
    batches = TrainingBatches(image_set(), recipe(shuffle=False, augmentation=Augmentation()), 0)
    for _ in range(2):
        seen = np.concatenate([pixels[..., 0] for pixels, _ in epoch(batches)])
        np.testing.assert_array_equal(seen, image_set().pixels[..., 0])
        batches.on_epoch_end()


def test_a_resumed_run_sees_what_it_would_have_seen() -> None:
    original = TrainingBatches(image_set(), recipe(), 0)
    for k in range(3):
        assert_same(epoch(TrainingBatches(image_set(), recipe(), k)), epoch(original))
        original.on_epoch_end()


def test_mixup_mixes_films_and_labels_by_one_weight() -> None:
    labels = np.array([0, 0, 0, 1], np.float32)
    planes = labels[:, np.newaxis, np.newaxis] * np.full((4, 2, 2), 200, np.float32)
    soft = set()
    for seed in range(30):
        mixed, mixed_labels = mixup(planes, labels, 0.4, np.random.default_rng(seed))
        assert (mixed.dtype, mixed_labels.dtype) == (np.float32, np.float32)
        np.testing.assert_allclose(mixed[:, 0, 0] / 200, mixed_labels, rtol=1e-6)
        assert mixed_labels.sum() == pytest.approx(1)
        assert (mixed_labels[3] >= 0.5) and (mixed_labels[:3] <= 0.5).all()
        soft.add(round(float(mixed_labels[3]), 3))
    assert len(soft) > 10


def test_batches_are_mixed_where_the_recipe_says_so() -> None:
    plain = recipe(augmentation=Augmentation(mixup=0.4), batch_size=10)
    _, labels = TrainingBatches(image_set(), plain, 0)[0]
    assert ((labels > 0) & (labels < 1)).any()
    assert labels.shape == (10, 1)


class MeanLevel(keras.layers.Layer):  # type: ignore[misc]  # keras is untyped
    """The mean grey level, so that the loss tells which pixels were trained on."""

    def build(self, shape: Any) -> None:
        self.gain = self.add_weight(shape=(), initializer="ones")  # `fit` wants one to train

    def call(self, pixels: Any) -> Any:
        return self.gain * keras.ops.mean(pixels, axis=(1, 2, 3))[:, None]


def levels_seen_by_fit(first_epoch: int, epochs: int) -> list[float]:
    model = keras.Sequential([keras.Input((SIZE, SIZE, 3)), MeanLevel()])
    model.compile(optimizer=keras.optimizers.SGD(0.0), loss=lambda _, level: level)
    batches = TrainingBatches(image_set(8), recipe(), first_epoch)
    history = model.fit(batches, epochs=epochs, initial_epoch=first_epoch, shuffle=False, verbose=0)
    return [float(level) for level in history.history["loss"]]


def test_a_resumed_fit_sees_what_it_would_have_seen() -> None:
    """Keras itself decides how often it calls `on_epoch_end`."""
    whole = levels_seen_by_fit(0, 4)
    assert len({round(level, 2) for level in whole}) == 4
    assert levels_seen_by_fit(2, 4) == pytest.approx(whole[2:], rel=1e-6)


def test_changed_copies_are_what_training_makes_of_the_films() -> None:
    films = image_set(4).pixels
    copies = changed_copies(films, EVERYTHING, 3)
    assert (copies.shape, copies.dtype) == (films.shape, np.float32)
    rng = np.random.default_rng(3)
    expected = [augmentation.augment(f, films[..., 0], EVERYTHING, rng) for f in films[..., 0]]
    np.testing.assert_array_equal(copies[..., 0], np.stack(expected))
    np.testing.assert_array_equal(changed_copies(films, EVERYTHING, 3), copies)
    assert (changed_copies(films, EVERYTHING, 4) != copies).any()


def test_a_recipe_that_changes_nothing_copies_the_films() -> None:
    films = image_set(4).pixels
    np.testing.assert_array_equal(changed_copies(films, Augmentation(), 0), films)
