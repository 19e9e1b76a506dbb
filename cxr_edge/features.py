"""A film's features: few figures of how it looks, to compare nights with validation.

The spec of a model carries their distribution on validation, and the ledger keeps them for each
film that is scored. Both call this and nothing else.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from cxr_edge.preprocess import Extent
from cxr_edge.types import PROBABILITY_DECIMALS

FEATURES_VERSION = 1  # raised when a feature of the same film gets another value


class ImageFeatures(NamedTuple):
    """Features that need no network.

    Attributes:
        mean: of the grey levels of the network's input, 0 to 255.
        spread: their standard deviation.
        sharpness: root mean square of the steps between neighbouring pixels over the spread; 0 of a
            film of one grey level.
        border_share: of the film's area, that lies in the border around it, 0 to 1.
        size: pixels of the film as it was stored, border included.
    """

    mean: float
    spread: float
    sharpness: float
    border_share: float
    size: float


# All of a film, in the order in which they are kept. `scope` is out of scope as the scope gate says
# it, where a model has one; `logit` is the network's.
FEATURES = (*ImageFeatures._fields, "scope", "logit")


def image_features(pixels: NDArray[np.uint8], stored: Extent, border_share: float) -> ImageFeatures:
    """Features of one film, in some tens of microseconds.

    Args:
        pixels: uint8 [S, S, 1], the network's input.
        stored: width and height of the film as it was stored.
        border_share: as `border_share` gives it.
    """
    levels = pixels[..., 0].astype(np.int64)
    mean = float(levels.sum()) / levels.size
    variance = _square(levels) / levels.size - mean**2
    down, across = levels[1:] - levels[:-1], levels[:, 1:] - levels[:, :-1]
    steps = (_square(down) + _square(across)) / (down.size + across.size)
    return ImageFeatures(
        mean=mean,
        spread=max(variance, 0.0) ** 0.5,
        sharpness=(steps / variance) ** 0.5 if steps else 0.0,
        border_share=border_share,
        size=float(stored[0] * stored[1]),
    )


def border_share(whole: Extent, inside: Extent) -> float:
    """Share of a film's area that lies in its border, from its extent with and without it."""
    return 1 - (inside[0] * inside[1]) / (whole[0] * whole[1])


def logit_of(probability: float) -> float:
    """The logit of a probability as rows have it, to six decimals; at most 14.5 either way."""
    half = 0.5 * 10**-PROBABILITY_DECIMALS
    kept = min(max(probability, half), 1 - half)
    return math.log(kept / (1 - kept))


def _square(values: NDArray[np.int64]) -> float:
    """Sum of squares, which is exact: every processor gives the same."""
    flat = values.ravel()
    return float(np.dot(flat, flat))
