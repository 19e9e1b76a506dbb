"""The network of the scope gate: three convolutions and two dense layers on 48 x 48 pixels."""

from __future__ import annotations

import keras
import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from cxr_training.scope.planes import SIZE, Planes

OUTPUTS = ("out_of_scope", "adult")
FILTERS = (12, 24, 48)
UNITS = 32
_BATCH = 512


def build_net() -> keras.Model:
    """Grey levels, float32 [N, 48, 48, 1], to the two logits of `OUTPUTS`."""
    image = keras.Input((SIZE, SIZE, 1), name="image")
    x = keras.layers.LayerNormalization(
        axis=(1, 2, 3), epsilon=1.0, center=False, scale=False, name="per_image"
    )(image)
    for number, filters in enumerate(FILTERS, start=1):
        x = keras.layers.Conv2D(
            *(filters, 3, 2), padding="same", activation="relu", name=f"conv{number}"
        )(x)
    x = keras.layers.AveragePooling2D(2, name="pool")(x)
    x = keras.layers.Flatten(name="flat")(x)
    x = keras.layers.Dense(UNITS, activation="relu", name="hidden")(x)
    return keras.Model(image, keras.layers.Dense(len(OUTPUTS), name="logits")(x), name="scope_48")


def probabilities(model: keras.Model, planes: Planes) -> NDArray[np.float64]:
    """Probabilities of the network for uint8 [N, 48, 48]: [N, 2], in the order of `OUTPUTS`."""
    pixels = planes[..., np.newaxis].astype(np.float32)
    return np.asarray(expit(model.predict(pixels, _BATCH, verbose=0).astype(np.float64)))
