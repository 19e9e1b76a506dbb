"""Random changes of training images, in NumPy and SciPy so that every Keras backend can train."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from cxr_training.films.photometric import (
    FloatImage,
    cut_out,
    frame,
    like_another_film,
    lower_resolution,
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
    if ranges.low_resolution and rng.random() < ranges.low_resolution:
        changed = lower_resolution(changed, rng)
    if ranges.shade:
        changed = shade(changed, ranges.shade, rng)
    changed = _move(changed, ranges, rng)
    changed = _blur_or_sharpen(changed, ranges.blur * len(image), rng)
    changed = _grey_levels(changed, ranges, rng)
    if ranges.noise:
        sigma = rng.uniform(0, ranges.noise) * 255
        changed = changed + rng.normal(0, sigma, changed.shape).astype(np.float32)
    return _cover(np.clip(changed, 0, 255), ranges, rng)


def _cover(image: FloatImage, ranges: Augmentation, rng: np.random.Generator) -> FloatImage:
    """Strips over the borders and a hole, each in half of the images."""
    if ranges.frame and rng.random() < 0.5:
        image = frame(image, ranges.frame, rng)
    if ranges.cut_out and rng.random() < 0.5:
        image = cut_out(image, ranges.cut_out, rng)
    return image


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


def changed_copies(
    pixels: NDArray[np.uint8], ranges: Augmentation, seed: int
) -> NDArray[np.float32]:
    """Each film once, as it might come from elsewhere: uint8 [N, S, S, 1] to float32.

    Args:
        pixels: N films; those that one is made to resemble are among them.
        ranges: the largest changes.
        seed: of all chance.
    """
    films, rng = pixels[..., 0], np.random.default_rng(seed)
    return np.stack([augment(film, films, ranges, rng) for film in films])[..., np.newaxis]


def mixup(
    planes: FloatImage, labels: NDArray[np.float32], alpha: float, rng: np.random.Generator
) -> tuple[FloatImage, NDArray[np.float32]]:
    """Each film of a batch mixed with another one, which weighs at most as much.

    Where classes are weighted, Keras gives a mixed film the weight of its heavier part.
    Source: Zhang et al., ICLR 2018, "mixup: beyond empirical risk minimization".

    Args:
        planes: float32 [n, S, S].
        labels: float32 [n], 1 for pneumonia.
        alpha: both parameters of the Beta distribution of the weight, one for the batch.
        rng: where chance comes from.
    """
    drawn = rng.beta(alpha, alpha)
    weight = np.float32(max(drawn, 1 - drawn))
    others = rng.permutation(len(planes))
    return (
        weight * planes + (1 - weight) * planes[others],
        weight * labels + (1 - weight) * labels[others],
    )


def as_rgb(grey: NDArray[Any]) -> NDArray[np.float32]:
    """Grey [N, S, S, 1] as the three equal channels that the networks take."""
    return np.repeat(grey.astype(np.float32), 3, axis=-1)
