"""Batches of changed films, with what teachers say of them in their labels."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from cxr_training.films.augmentation import as_rgb, augment
from cxr_training.films.data import CLASSES, ImageSet
from cxr_training.fit.teachers import NOBODY, Teachers, reduced
from cxr_training.recipe.recipe import Recipe


def film_weights(labels: NDArray[np.float32], recipe: Recipe) -> NDArray[np.float32]:
    """Weight of each film in the loss, float32 [N]; both classes count the same if they are to.

    N / (2 N_class), by the film's own class: Keras's `class_weight` rounds the label, which is no
    class any more where teachers have a say in it.
    """
    if not recipe.class_weights:
        return np.ones(len(labels), np.float32)
    films = np.array([(labels == c).sum() for c in range(len(CLASSES))], np.float64)
    weights: NDArray[np.float64] = len(labels) / (2.0 * films[labels.astype(np.int64)])
    return weights.astype(np.float32)


class TrainingBatches(keras.utils.PyDataset):  # type: ignore[misc]  # keras is untyped
    """Augmented batches; the same seed, epoch and batch always give the same pixels."""

    def __init__(
        self, images: ImageSet, recipe: Recipe, first_epoch: int, teachers: Teachers = NOBODY
    ) -> None:
        """Start at `first_epoch`, so that a resumed run sees what it would have seen.

        All films have the size of that epoch: Keras compiles for one.
        """
        super().__init__(workers=1, use_multiprocessing=False)
        self._size = recipe.size_in(first_epoch)
        self._images = images
        self._recipe = recipe
        self._teachers = teachers
        self._epoch = first_epoch
        self._order = self._shuffled()
        self._weights = film_weights(images.labels, recipe)

    def __len__(self) -> int:
        """Batches in an epoch; the last one may be smaller."""
        return -(-len(self._images.labels) // self._recipe.batch_size)

    def __getitem__(self, index: int) -> tuple[NDArray[np.float32], Any, NDArray[np.float32]]:
        """Batch `index`: float32 [n, S, S, 3], labels float32 [n, 1] and weights float32 [n]."""
        rng = np.random.default_rng([self._recipe.seed, self._epoch, index])
        size = self._recipe.batch_size
        chosen = self._order[index * size : (index + 1) * size]
        films, ranges = self._images.pixels[..., 0], self._recipe.augmentation
        planes = np.stack([augment(films[i], films, ranges, rng) for i in chosen])
        labels = self._teachers.labels(planes, self._images.labels[chosen])
        # Teachers may have asked for larger films than the student takes.
        films_rgb = as_rgb(reduced(planes, self._size)[..., np.newaxis])
        return films_rgb, labels[:, np.newaxis], self._weights[chosen]

    def on_epoch_end(self) -> None:
        """Move on to the next epoch's order and chance."""
        self._epoch += 1
        self._order = self._shuffled()

    def _shuffled(self) -> NDArray[np.int64]:
        order = np.arange(len(self._images.labels))
        if self._recipe.shuffle:
            np.random.default_rng([self._recipe.seed, self._epoch]).shuffle(order)
        return order
