"""Changed copies of films, version 1: the one list of changes that every network is judged on.

Independent of any recipe, so that figures of all networks compare. The ranges are those that recipe
`tuned` had when version 1 was fixed; a recipe may move, these may not. Six draws are pooled: at one
draw a threshold for the same network ran from 0.09 to 0.17.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from cxr_training.films.augmentation import augment
from cxr_training.recipe.sections import Augmentation

COPIES_VERSION = 1  # raised when a copy gets other pixels; `tests/training/films` pins them
DRAWS = 6
CHANGES = Augmentation(
    zoom=0.12,
    shift=0.08,
    rotation=12.0,
    black_outside=0.3,
    flip=True,
    crop=0.08,
    gamma=0.4,
    contrast=0.3,
    brightness=0.1,
    blur=0.02,
    noise=0.04,
    histogram=0.5,
    fourier=0.5,
    shade=0.4,
    frame=0.12,
)

Score = Callable[[NDArray[np.uint8]], NDArray[np.float64]]


def changed_copies(pixels: NDArray[np.uint8], draw: int) -> NDArray[np.uint8]:
    """Each film once, as it might come from elsewhere.

    Chance hangs on the draw and on a film's place, so that networks of different sizes see nearly
    the same changes of it. Grey levels are rounded: a network in Keras and its file see the same.

    Args:
        pixels: uint8 [N, S, S, 1]; films that one is made to resemble are among them.
        draw: from 0 to `DRAWS` - 1.

    Returns:
        uint8 [N, S, S, 1].
    """
    films = pixels[..., 0]
    copies = np.empty_like(pixels)
    for index, film in enumerate(films):
        changed = augment(film, films, CHANGES, np.random.default_rng((draw, index)))
        copies[index, ..., 0] = np.clip(changed.round(), 0, 255).astype(np.uint8)
    return copies


def scores_of_copies(score: Score, pixels: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Scores of all draws, [DRAWS, N].

    Args:
        score: of uint8 [N, S, S, 1], to [N].
        pixels: uint8 [N, S, S, 1], the films as they are.
    """
    return np.stack([score(changed_copies(pixels, draw)) for draw in range(DRAWS)])
