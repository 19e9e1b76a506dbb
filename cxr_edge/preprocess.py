"""The one preprocessing: training, export and runtime all call it, and only it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

PREPROCESSING_VERSION = 1
RESIZE_FILTER = "bilinear_antialiased"
# Pillow is imported where it works: a process that only needs to know the figures starts without.
VIEW_SIDE = 384  # pixels: enough to recognise a film, too few to read it


def to_network_input(
    pixels: NDArray[np.uint8], size: int, extent: tuple[float, float] | None = None
) -> NDArray[np.uint8]:
    """Resize grey levels to the network's square, without keeping the aspect (as the report does).

    Args:
        pixels: uint8 [H, W].
        size: S, pixels a side.
        extent: width and height of the film in `pixels`, from the top left corner; None for all.
            What is padded for a reduction would else shift the film by up to a grey level.

    Returns:
        uint8 [S, S, 1]. Pillow's bilinear filter widens its support when it shrinks an image, so
        nothing is skipped.
    """
    from PIL import Image

    box = None if extent is None else (0.0, 0.0, *extent)
    resized = Image.fromarray(pixels).resize((size, size), Image.Resampling.BILINEAR, box)
    return np.asarray(resized, dtype=np.uint8)[:, :, np.newaxis]


def to_view(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Shrink grey levels for a page, with their aspect.

    Args:
        pixels: uint8 [H, W].

    Returns:
        uint8 [h, w], the longest side at most `VIEW_SIDE`; a small film stays as it is.
    """
    from PIL import Image

    film = Image.fromarray(pixels)
    film.thumbnail((VIEW_SIDE, VIEW_SIDE), Image.Resampling.BILINEAR, reducing_gap=None)
    return np.asarray(film, dtype=np.uint8)
