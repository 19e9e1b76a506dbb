"""The one preprocessing: training, export and runtime all call it, and only it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image

PREPROCESSING_VERSION = 1
RESIZE_FILTER = "bilinear_antialiased"


def to_network_input(pixels: NDArray[np.uint8], size: int) -> NDArray[np.uint8]:
    """Resize grey levels to the network's square, without keeping the aspect (as the report does).

    Args:
        pixels: uint8 [H, W].
        size: S, pixels a side.

    Returns:
        uint8 [S, S, 1]. Pillow's bilinear filter widens its support when it shrinks an image, so
        nothing is skipped.
    """
    resized = Image.fromarray(pixels).resize((size, size), Image.Resampling.BILINEAR)
    return np.asarray(resized, dtype=np.uint8)[:, :, np.newaxis]
