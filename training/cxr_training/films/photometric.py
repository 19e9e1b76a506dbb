"""Changes of how a film was taken, not of who is on it: greys, light, sharpness, margins.

In the public training films these alone tell the classes apart, so a network may learn them
instead of lungs. Each function takes and returns one plane of grey levels 0..255.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy import fft

from cxr_training.recipe.sections import Augmentation

FloatImage = NDArray[np.float32]

LOW_CYCLES = 6  # waves across the film; ribs begin above
_SHADE_POINTS = 4  # a side: the light changes over a quarter of the film, as a heel effect does
_FRAMED_SIDES = 0.4
_FRAME_SHARES = (0.5, 0.3)  # black, white; the others are grey


def like_another_film(
    image: NDArray[np.uint8],
    films: NDArray[np.uint8],
    ranges: Augmentation,
    rng: np.random.Generator,
) -> FloatImage:
    """Histogram, then broad light and dark, drawn towards films picked by chance.

    Args:
        image: uint8 [S, S].
        films: uint8 [N, S, S] to draw from.
        ranges: `histogram` and `fourier` are how often.
        rng: where chance comes from.
    """
    changed = image.astype(np.float32)
    if ranges.histogram and rng.random() < ranges.histogram:
        other = films[rng.integers(len(films))]
        changed += np.float32(rng.uniform()) * (with_histogram(image, other) - changed)
    if ranges.fourier and rng.random() < ranges.fourier:
        other = films[rng.integers(len(films))]
        changed = with_low_amplitudes(changed, other, rng.uniform())
    return changed


def with_histogram(image: NDArray[np.uint8], other: NDArray[np.uint8]) -> FloatImage:
    """`image` with exactly the grey levels of `other`, in its own order of brightness.

    Pixels that are equal are told apart by their place: row by row.
    """
    order = np.argsort(image, axis=None, kind="stable")  # a radix sort, as long as it is uint8
    matched = np.empty(image.size, np.float32)
    counts = np.bincount(other.ravel(), minlength=256)
    matched[order] = np.repeat(np.arange(256, dtype=np.float32), counts)
    return matched.reshape(image.shape)


def with_low_amplitudes(image: FloatImage, other: NDArray[np.uint8], weight: float) -> FloatImage:
    """Amplitudes below `LOW_CYCLES` waves mixed with those of another film; phases stay.

    Source: Yang, Soatto, CVPR 2020, "FDA: Fourier domain adaptation", with a weight.
    """
    own = fft.rfft2(image)
    foreign = fft.rfft2(other.astype(np.float32))
    for rows in (slice(0, LOW_CYCLES), slice(1 - LOW_CYCLES, None)):
        low = own[rows, :LOW_CYCLES]
        amplitude = np.abs(low)
        mixed = (1 - weight) * amplitude + weight * np.abs(foreign[rows, :LOW_CYCLES])
        own[rows, :LOW_CYCLES] = low * (mixed / np.maximum(amplitude, 1e-6))
    changed: FloatImage = fft.irfft2(own, image.shape)
    return changed.astype(np.float32, copy=False)


def shade(image: FloatImage, strength: float, rng: np.random.Generator) -> FloatImage:
    """Brighter here and darker there, smoothly: a factor 1 +- strength / 2 at one sigma."""
    spread = _interpolation(len(image))
    points = rng.normal(0, 0.5 * strength * rng.uniform(), (_SHADE_POINTS, _SHADE_POINTS))
    field = spread @ points.astype(np.float32) @ spread.T
    return image * (1 + field)


@lru_cache(maxsize=4)
def _interpolation(size: int) -> FloatImage:
    """[S, points]: linear between points in the middle of their cells, constant outside."""
    pixels = (np.arange(size) + 0.5) / size
    points = (np.arange(_SHADE_POINTS) + 0.5) / _SHADE_POINTS
    rows = [np.interp(pixels, points, unit) for unit in np.eye(_SHADE_POINTS)]
    return np.stack(rows, axis=1).astype(np.float32)


def frame(image: FloatImage, widest: float, rng: np.random.Generator) -> FloatImage:
    """A border around the film or strips over some of its sides, one as often as the other.

    Scans, screenshots and prints have borders that the training films lack.

    Args:
        image: float32 [S, S].
        widest: of a side, as a share of the size.
        rng: where chance comes from.
    """
    widths = rng.integers(0, int(widest * len(image)) + 1, 4)
    if rng.random() < 0.5:
        return _surrounded(image, widths, _frame_level(rng))
    framed = image.copy()
    for turns, width in enumerate(widths):
        if rng.random() < _FRAMED_SIDES:
            np.rot90(framed, turns)[:width] = _frame_level(rng)
    return framed


def _surrounded(image: FloatImage, widths: NDArray[np.int64], level: float) -> FloatImage:
    """The whole film, made smaller, within a border: above, below, left and right."""
    size = len(image)
    above, below, left, right = map(int, widths)
    inside = (size - left - right, size - above - below)
    framed = np.full_like(image, level)
    smaller = Image.fromarray(image).resize(inside, Image.Resampling.BILINEAR)
    framed[above : size - below, left : size - right] = np.asarray(smaller)
    return framed


def _frame_level(rng: np.random.Generator) -> float:
    """Black, white or any grey."""
    black, white = _FRAME_SHARES
    chance = rng.random()
    if chance < black + white:
        return 0 if chance < black else 255
    return float(rng.uniform(0, 255))
