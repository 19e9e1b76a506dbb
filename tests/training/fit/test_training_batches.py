"""Batches: every film once an epoch, and the same after a kill."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import keras
import numpy as np
import pytest
from numpy.typing import NDArray

from cxr_training.fit.teachers import NOBODY
from cxr_training.fit.training_batches import TrainingBatches
from cxr_training.recipe.recipe import Recipe
from cxr_training.recipe.sections import Augmentation
from tests.training.films.made import EVERYTHING, SIZE, image_set


def recipe(**changes: Any) -> Recipe:
    plain = Recipe(name="test", net="cnn3_50", epochs=3, batch_size=4, augmentation=EVERYTHING)
    return replace(plain, **changes)


def epoch(batches: TrainingBatches) -> list[tuple[NDArray[np.float32], Any, Any]]:
    return [batches[i] for i in range(len(batches))]


def assert_same(first: list[Any], second: list[Any]) -> None:
    for ones, twos in zip(first, second, strict=True):
        for one, two in zip(ones, twos, strict=True):
            np.testing.assert_array_equal(one, two)


def test_batches_cover_every_image_once() -> None:
    batches = epoch(TrainingBatches(image_set(), recipe(augmentation=Augmentation()), 0))
    assert [len(pixels) for pixels, *_ in batches] == [4, 4, 2]
    assert [labels.shape for _, labels, _ in batches] == [(4, 1), (4, 1), (2, 1)]
    seen = np.concatenate([pixels[..., 0] for pixels, *_ in batches])
    assert {p.tobytes() for p in seen} == {
        p.astype(np.float32).tobytes() for p in image_set().pixels[..., 0]
    }


def test_labels_go_with_their_pixels() -> None:
    images = image_set()
    label_of = {
        pixels.astype(np.float32).tobytes(): label
        for pixels, label in zip(images.pixels[..., 0], images.labels, strict=True)
    }
    for pixels, labels, _ in epoch(TrainingBatches(images, recipe(augmentation=Augmentation()), 0)):
        assert [label_of[plane.tobytes()] for plane in pixels[..., 0]] == labels[:, 0].tolist()


class Mistaken:
    """Takes every film for the other class, as a teacher may."""

    def labels(self, planes: Any, labels: NDArray[np.float32]) -> NDArray[np.float32]:
        return np.float32(0.9) - np.float32(0.8) * labels


@pytest.mark.parametrize("teachers", [NOBODY, Mistaken()], ids=["alone", "taught"])
def test_a_film_is_weighted_by_its_own_class(teachers: Any) -> None:
    """Whatever a teacher says of it: Keras itself would weigh by the rounded label."""
    images = image_set(12).subset([0, 1, 2, 3, 4, 6, 8, 10])  # six of the one, two of the other
    batches = TrainingBatches(images, recipe(shuffle=False), 0, teachers)
    weights = np.concatenate([weights for *_, weights in epoch(batches)])
    np.testing.assert_allclose(weights, np.where(images.labels == 1, 8 / 4, 8 / 12))
    plain = TrainingBatches(images, recipe(class_weights=False), 0, teachers)
    assert (plain[0][2] == 1).all()


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
        seen = np.concatenate([pixels[..., 0] for pixels, *_ in epoch(batches)])
        np.testing.assert_array_equal(seen, image_set().pixels[..., 0])
        batches.on_epoch_end()


def test_a_resumed_run_sees_what_it_would_have_seen() -> None:
    original = TrainingBatches(image_set(), recipe(), 0)
    for k in range(3):
        assert_same(epoch(TrainingBatches(image_set(), recipe(), k)), epoch(original))
        original.on_epoch_end()


def test_films_have_the_size_of_the_epoch_that_a_run_begins_with() -> None:
    images = replace(image_set(), pixels=np.zeros((10, 160, 160, 1), np.uint8))
    smaller = recipe(net="efficientnet_lite0_160", first_epochs=1, first_size=128)
    assert TrainingBatches(images, smaller, 0)[0][0].shape == (4, 128, 128, 3)
    assert TrainingBatches(images, smaller, 1)[0][0].shape == (4, 160, 160, 3)


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
