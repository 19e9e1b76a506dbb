"""Films drawn so that how they were taken no longer tells the classes apart.

Each film is drawn in proportion to one over the propensity of its own class given its style: a
normal that looks like a pneumonia film in borders, greys and sharpness is seen more often, and so
is a pneumonia that looks like a normal. Among the films drawn, style then says little about the
class, and a network has less to gain by learning it.

Source: Rosenbaum, Rubin, Biometrika 70:41 (1983), on the propensity score; its inverse as a weight:
Horvitz, Thompson, JASA 47:663 (1952). The propensity is that of `style`.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from cxr_training import style
from cxr_training.data import CLASSES, ImageSet, LabelledFile

_LEAST_PROPENSITY = 0.02
_MOST_OFTEN = 10.0  # times the median film: a few odd ones are not to be learnt by heart

Weights = NDArray[np.float64]


def style_weights(images: ImageSet, balance: float, seed: int) -> Weights:
    """How often each film is drawn, 1 in the mean of its class: [N].

    Args:
        images: N films of both classes; their files are read.
        balance: power of the inverse propensity, 0 for equal weights.
        seed: of the propensity's folds.

    Raises:
        DataError: too few patients to fit a propensity on others.
    """
    looks = style.propensity(_figures(images.files), images, seed)
    return weights_of(looks, images.labels, balance)


@lru_cache(maxsize=16)  # a search asks for the same few folds in every trial
def _figures(files: tuple[LabelledFile, ...]) -> NDArray[np.float64]:
    return style.all_statistics(files)


def weights_of(looks: Weights, labels: NDArray[np.generic], balance: float) -> Weights:
    """The same from propensities of pneumonia and labels: [N] each."""
    of_its_class = np.where(labels == 1, looks, 1 - looks).clip(_LEAST_PROPENSITY)
    weights = of_its_class**-balance
    weights = np.minimum(weights, _MOST_OFTEN * np.median(weights))
    for label in range(len(CLASSES)):
        weights[labels == label] /= weights[labels == label].mean()
    return weights


def draw(
    weights: Weights, labels: NDArray[np.generic], rng: np.random.Generator
) -> NDArray[np.int64]:
    """As many films of each class as there are, each as often as its weight says: [N], by class.

    Systematic resampling: a film of weight 2.3 comes two or three times, never none.
    """
    drawn = []
    for label in range(len(CLASSES)):
        films = np.flatnonzero(labels == label)
        steps = np.arange(len(films)) + rng.random()
        reached = np.cumsum(weights[films]) * (len(films) / weights[films].sum())
        at = np.searchsorted(reached, steps, side="right")
        drawn.append(films[at.clip(max=len(films) - 1)])  # rounding may end short of the last step
    return np.concatenate(drawn)
