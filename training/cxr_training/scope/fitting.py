"""Fits the scope gate, and chooses its limits on validation patients and their changed copies."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from cxr_training.scope.draws import UNKNOWN, Examples
from cxr_training.scope.net import build_net

EPOCHS = 8
MOST_PATIENTS, MOST_COPIES = 0.01, 0.02  # of children's, that may be warned of
_BATCH = 128
_RATE, _DECAY = 2e-3, 1e-4


def fit(examples: Examples, seed: int, epochs: int = EPOCHS) -> keras.Model:
    """Train the network from scratch."""
    keras.utils.set_random_seed(seed)
    model = build_net()
    steps = epochs * -(-len(examples.planes) // _BATCH)
    rate = keras.optimizers.schedules.CosineDecay(_RATE, steps)
    model.compile(keras.optimizers.AdamW(rate, weight_decay=_DECAY), _loss)
    pixels = examples.planes[..., np.newaxis].astype(np.float32)
    model.fit(pixels, examples.targets, _BATCH, epochs, verbose=0)
    return model


def _loss(targets: Any, logits: Any) -> Any:
    """Cross-entropy of both outputs; an unknown target adds nothing."""
    known = keras.ops.cast(targets != UNKNOWN, "float32")
    each = keras.ops.binary_crossentropy(keras.ops.maximum(targets, 0.0), logits, from_logits=True)
    return keras.ops.mean(known * each, axis=-1)


def limit(
    films: NDArray[np.float64], patients: Sequence[str], copies: NDArray[np.float64]
) -> float:
    """The lowest limit that warns of few enough children.

    Args:
        films: [N], probabilities of the validation films.
        patients: of these N films; one is warned of with any of its films.
        copies: [M], probabilities of changed copies.

    Returns:
        A probability: at or above it a film is warned of.
    """
    names, number = np.unique(patients, return_inverse=True)
    worst = np.zeros(len(names))
    np.maximum.at(worst, number, films)
    return max(_above(worst, MOST_PATIENTS), _above(copies, MOST_COPIES))


def _above(scores: NDArray[np.float64], most: float) -> float:
    """Half-way between the last score that may be warned of and the next lower one."""
    allowed = int(most * len(scores))
    ordered = np.sort(np.append(scores, 1.0))[::-1]
    return float(np.ceil((ordered[allowed] + ordered[allowed + 1]) / 2 * 1e6) / 1e6)
