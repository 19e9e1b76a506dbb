"""Networks with weights that a wrong fold cannot hide behind, and what is converted from them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import pytest
from keras import layers
from numpy.typing import NDArray

from cxr_edge.model.spec import ReceptiveField
from cxr_export.graph import InferenceGraph
from cxr_training.films.augmentation import as_rgb
from cxr_training.nets import NETS, NetOptions
from cxr_training.nets.blocks import OUTPUT_DENSE_LAYER
from tests.export.films import films

CELLS = {
    "cnn3_50": (4, 4),
    "cnn4_50": (1, 1),
    "cnn3_128": (14, 14),
    "resnet50v2_50": (2, 2),
    "resnet18_96": (6, 6),
    "efficientnet_lite0_160": (5, 5),
}
FIELDS = {
    "cnn3_50": ReceptiveField(10.5, 8.0, 21),
    "cnn4_50": ReceptiveField(20.5, 16.0, 41),
    "cnn3_128": ReceptiveField(10.5, 8.0, 21),
    "resnet50v2_50": ReceptiveField(0.5, 32.0, 483),
    "resnet18_96": ReceptiveField(8.5, 16.0, 217),
    "efficientnet_lite0_160": ReceptiveField(31.5, 32.0, 851),
}
NAMES = tuple(CELLS)
SMALL_NAMES = NAMES[:3]
RESNET, LITE = NAMES[3], NAMES[5]
LARGE = (RESNET, LITE)  # in `converted` on their int8 grid


def slow_where_large(name: str, *more: str) -> Any:
    """A parameter; the large take longer to build and convert than all others together."""
    value = (name, *more) if more else name
    return pytest.param(value, marks=pytest.mark.slow) if name in LARGE else value


EACH = [slow_where_large(name) for name in NAMES]

# Keras 3.15 reads its variables with np.array(x); they do not know NumPy 2's `copy` keyword yet.
reads_keras_variables = pytest.mark.filterwarnings(
    "ignore:__array__ implementation doesn't accept a copy keyword:DeprecationWarning"
)


@dataclass(frozen=True)
class Converted:
    """One network, its graph, and both float32 files made from it."""

    model: keras.Model
    graph: InferenceGraph
    onnx: bytes
    tflite: bytes


def saved_normalization(name: str) -> str:
    """Which of its two normalisations is saved and converted: both kinds occur."""
    return "per_image" if name in ("cnn3_50", "cnn3_128") else "rescale"


def random_network(name: str, normalization: Any) -> keras.Model:
    """A network whose every weight matters, with probabilities around one half.

    The moving statistics are those of grey films, then every batch normalisation and every bias is
    moved at random, so that none of them is 0 or 1.
    """
    keras.utils.set_random_seed(1)
    size = NETS[name].size
    # A momentum near 0 takes the statistics of one batch over as they are.
    options = NetOptions(normalization, rescale_divisor=float(size), batchnorm_momentum=0.01)
    model = NETS[name].build(options)
    images = films(24, size)
    model(as_rgb(images), training=True)
    rng = np.random.default_rng(1)
    for layer in every_layer(model):
        _move(layer, rng)
    _centre(model, images)
    return model


def every_layer(model: keras.Model) -> Iterator[Any]:
    """Layers, and the layers of models inside."""
    for layer in model.layers:
        if isinstance(layer, keras.Model):
            yield from every_layer(layer)
        else:
            yield layer


def _move(layer: Any, rng: np.random.Generator) -> None:
    if isinstance(layer, layers.BatchNormalization):
        gamma, beta, mean, variance = layer.get_weights()
        gamma = gamma * rng.uniform(0.6, 1.4, gamma.shape)
        beta = beta + rng.normal(0, 0.3, beta.shape)
        mean = mean + rng.normal(0, 0.3, mean.shape) * np.sqrt(variance)
        layer.set_weights([gamma, beta, mean, variance * rng.uniform(0.7, 1.4, variance.shape)])
    elif isinstance(layer, layers.Conv2D | layers.Dense) and layer.use_bias:
        kernel, bias = layer.get_weights()
        layer.set_weights([kernel, bias + rng.normal(0, 0.1, bias.shape)])


def _centre(model: keras.Model, images: NDArray[np.uint8]) -> None:
    """Scale the output layer: logits of these images have mean 0 and standard deviation 0.5.

    Float32 rounding inside Keras's own ResNet moves a logit by up to 1e-5 of such a scale.
    """
    answers = logits(model, images)
    kernel, bias = model.get_layer(OUTPUT_DENSE_LAYER).get_weights()
    factor = 0.5 / answers.std()
    weights = [kernel * factor, (bias - answers.mean()) * factor]
    model.get_layer(OUTPUT_DENSE_LAYER).set_weights(weights)


def in_float64(model: keras.Model) -> keras.Model:
    """The same network with the same weights, computed in double precision."""
    exact = keras.models.model_from_json(model.to_json().replace("float32", "float64"))
    exact.set_weights(model.get_weights())
    return exact


def logits(model: keras.Model, images: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Keras's own forward pass before the sigmoid, float64 [N]."""
    inner = keras.Model(model.input, model.get_layer(OUTPUT_DENSE_LAYER).output)
    return np.asarray(inner(as_rgb(images), training=False), np.float64)[:, 0]


def probability(model: keras.Model, images: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Keras's own forward pass, float64 [N]."""
    return np.asarray(model(as_rgb(images), training=False), np.float64)[:, 0]
