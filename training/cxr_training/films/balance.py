"""Films drawn so that how they were taken tells less about their class.

A film is drawn in proportion to a power of one over the propensity of its own class given its
style, up to a cap: a normal that looks like a pneumonia film in borders, greys and sharpness is
seen more often, and so is a pneumonia that looks like a normal. Among the films drawn, style then
tells the classes apart less well, and a network has less to gain by learning it. Style is what
`style` measures; a network may know of more.

Source: Rosenbaum, Rubin, Biometrika 70:41 (1983), on the propensity score; its inverse as a weight:
Horvitz, Thompson, JASA 47:663 (1952).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from cxr_training.films import style
from cxr_training.films.data import CLASSES, ImageSet

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
    looks = style.propensity(style.all_statistics(images.files), images, seed)
    return weights_of(looks, images.labels, balance)


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

    Systematic resampling along the files' order: a film of weight 2.3 comes two or three times, one
    of weight 0.3 in three epochs of ten, and films of one patient, which are neighbours, in turn.
    """
    drawn = []
    for label in range(len(CLASSES)):
        films = np.flatnonzero(labels == label)
        steps = np.arange(len(films)) + rng.random()
        reached = np.cumsum(weights[films]) * (len(films) / weights[films].sum())
        at = np.searchsorted(reached, steps, side="right")
        drawn.append(films[at.clip(max=len(films) - 1)])  # rounding may end short of the last step
    return np.concatenate(drawn)
