"""Random changes of training images, in NumPy and SciPy so that every Keras backend can train."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from cxr_training.data import ImageSet
from cxr_training.recipe import Augmentation, Recipe

FloatImage = NDArray[np.float32]


def augment(image: NDArray[np.uint8], ranges: Augmentation, rng: np.random.Generator) -> FloatImage:
    """One changed copy.

    Args:
        image: uint8 [S, S].
        ranges: the largest changes.
        rng: where chance comes from.

    Returns:
        float32 [S, S] in 0..255; pixels from outside repeat the border (Keras `fill_mode=nearest`).
    """
    changed = _move(image.astype(np.float32), ranges, rng)
    changed = _blur_or_sharpen(changed, ranges.blur * len(image), rng)
    changed = _grey_levels(changed, ranges, rng)
    if ranges.noise:
        sigma = rng.uniform(0, ranges.noise) * 255
        changed = changed + rng.normal(0, sigma, changed.shape).astype(np.float32)
    return np.clip(changed, 0, 255)


def _move(image: FloatImage, ranges: Augmentation, rng: np.random.Generator) -> FloatImage:
    """Zoom, shift, rotation and flip as one resampling around the centre."""
    if not (ranges.zoom or ranges.shift or ranges.rotation or ranges.flip):
        return image
    size = len(image)
    angle = np.deg2rad(rng.uniform(-ranges.rotation, ranges.rotation))
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    matrix = turn @ np.diag(rng.uniform(1 - ranges.zoom, 1 + ranges.zoom, 2))
    shift = rng.uniform(-ranges.shift, ranges.shift, 2) * size
    if ranges.flip and rng.random() < 0.5:
        matrix[:, 1] *= -1
    centre = np.full(2, (size - 1) / 2)
    offset = centre - matrix @ centre + shift
    moved: FloatImage = ndimage.affine_transform(image, matrix, offset, order=1, mode="nearest")
    return moved


def _blur_or_sharpen(image: FloatImage, sigma: float, rng: np.random.Generator) -> FloatImage:
    """A third blurred, a sixth sharpened, half left alone."""
    if not sigma or rng.random() < 0.5:
        return image
    soft: FloatImage = ndimage.gaussian_filter(image, rng.uniform(0, sigma))
    if rng.random() < 2 / 3:
        return soft
    return image + np.float32(rng.uniform(0, 1)) * (image - soft)


def _grey_levels(image: FloatImage, ranges: Augmentation, rng: np.random.Generator) -> FloatImage:
    """Gamma, then contrast around the mean, then brightness."""
    if ranges.gamma:
        exponent = np.exp(rng.uniform(-ranges.gamma, ranges.gamma))
        image = (255 * (np.clip(image, 0, 255) / 255) ** exponent).astype(np.float32)
    if ranges.contrast:
        mean = image.mean()
        factor = np.exp(rng.uniform(-ranges.contrast, ranges.contrast))
        image = (image - mean) * np.float32(factor) + mean
    if ranges.brightness:
        image = image + np.float32(rng.uniform(-ranges.brightness, ranges.brightness) * 255)
    return image


class TrainingBatches(keras.utils.PyDataset):  # type: ignore[misc]  # keras is untyped
    """Augmented batches; the same seed, epoch and batch always give the same pixels."""

    def __init__(self, images: ImageSet, recipe: Recipe, first_epoch: int) -> None:
        """Start at `first_epoch`, so that a resumed run sees what it would have seen."""
        super().__init__(workers=1, use_multiprocessing=False)
        self._images = images
        self._recipe = recipe
        self._epoch = first_epoch
        self._order = self._shuffled()

    def __len__(self) -> int:
        """Batches in an epoch; the last one may be smaller."""
        return -(-len(self._images.labels) // self._recipe.batch_size)

    def __getitem__(self, index: int) -> tuple[NDArray[np.float32], Any]:
        """Batch `index`: float32 [n, S, S, 3] and labels float32 [n, 1]."""
        rng = np.random.default_rng([self._recipe.seed, self._epoch, index])
        size = self._recipe.batch_size
        chosen = self._order[index * size : (index + 1) * size]
        planes = [
            augment(self._images.pixels[i, :, :, 0], self._recipe.augmentation, rng) for i in chosen
        ]
        return as_rgb(np.stack(planes)[..., np.newaxis]), self._images.labels[chosen, np.newaxis]

    def on_epoch_end(self) -> None:
        """Move on to the next epoch's order and chance."""
        self._epoch += 1
        self._order = self._shuffled()

    def _shuffled(self) -> NDArray[np.int64]:
        order = np.arange(len(self._images.labels))
        if self._recipe.shuffle:
            np.random.default_rng([self._recipe.seed, self._epoch]).shuffle(order)
        return order


def as_rgb(grey: NDArray[Any]) -> NDArray[np.float32]:
    """Grey [N, S, S, 1] as the three equal channels that the report's networks take."""
    return np.repeat(grey.astype(np.float32), 3, axis=-1)
