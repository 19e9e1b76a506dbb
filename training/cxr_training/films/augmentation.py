"""Random changes of training images, in NumPy and SciPy so that every Keras backend can train."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from cxr_training.films.photometric import (
    FloatImage,
    frame,
    like_another_film,
    shade,
)
from cxr_training.recipe.sections import Augmentation


def augment(
    image: NDArray[np.uint8],
    films: NDArray[np.uint8],
    ranges: Augmentation,
    rng: np.random.Generator,
) -> FloatImage:
    """One changed copy.

    Args:
        image: uint8 [S, S].
        films: uint8 [N, S, S], the training films that it may be made to resemble.
        ranges: the largest changes.
        rng: where chance comes from.

    Returns:
        float32 [S, S] in 0..255; pixels from outside repeat the edge (Keras `fill_mode=nearest`)
        or are black.
    """
    changed = like_another_film(image, films, ranges, rng)
    if ranges.shade:
        changed = shade(changed, ranges.shade, rng)
    changed = _move(changed, ranges, rng)
    changed = _blur_or_sharpen(changed, ranges.blur * len(image), rng)
    changed = _grey_levels(changed, ranges, rng)
    if ranges.noise:
        sigma = rng.uniform(0, ranges.noise) * 255
        changed = changed + rng.normal(0, sigma, changed.shape).astype(np.float32)
    changed = np.clip(changed, 0, 255)
    if ranges.frame and rng.random() < 0.5:
        changed = frame(changed, ranges.frame, rng)
    return changed


def _move(image: FloatImage, ranges: Augmentation, rng: np.random.Generator) -> FloatImage:
    """Crop, zoom, shift, rotation and flip as one resampling around the centre."""
    if not (ranges.zoom or ranges.shift or ranges.rotation or ranges.flip or ranges.crop):
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
    if ranges.crop:
        start, end = rng.uniform(-ranges.crop / 3, ranges.crop, (2, 2)) * size
        kept = 1 - (start + end) / (size - 1)
        matrix, offset = kept[:, np.newaxis] * matrix, kept * offset + start
    black = bool(ranges.black_outside) and rng.random() < ranges.black_outside
    mode = "constant" if black else "nearest"
    moved: FloatImage = ndimage.affine_transform(image, matrix, offset, order=1, mode=mode)
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


def as_rgb(grey: NDArray[Any]) -> NDArray[np.float32]:
    """Grey [N, S, S, 1] as the three equal channels that the networks take."""
    return np.repeat(grey.astype(np.float32), 3, axis=-1)
