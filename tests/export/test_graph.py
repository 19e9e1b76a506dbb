"""The folded graph computes what Keras computes, and its evidence is what it claims to be."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from numpy.typing import NDArray

from cxr_export import graph as graph_module
from cxr_export.graph import InferenceGraph, affine
from cxr_training.films.augmentation import as_rgb
from cxr_training.nets import NETS, NetOptions
from cxr_training.nets.blocks import FEATURES_LAYER, OUTPUT_DENSE_LAYER
from tests.export.films import films
from tests.export.networks import (
    CELLS,
    NAMES,
    RESNET,
    in_float64,
    logits,
    probability,
    random_network,
    reads_keras_variables,
    slow_where_large,
)

pytestmark = reads_keras_variables

CASES = [slow_where_large(name, kind) for name in NAMES for kind in ("rescale", "per_image")]

Network = Callable[[str, str], keras.Model]
Images = NDArray[np.uint8]


def hard_images(size: int) -> Images:
    """Soft films, pure noise, flat films, and films that are black or white at one place."""
    rng = np.random.default_rng(3)
    noise = rng.integers(0, 256, (2, size, size, 1), dtype=np.uint8)
    flat = np.stack([np.full((size, size, 1), level, np.uint8) for level in (0, 128, 255)])
    halves = np.zeros((2, size, size, 1), np.uint8)
    halves[0, : size // 2] = 255
    halves[1, size // 2, size // 2] = 255
    saturated = np.where(films(1, size, 9) > 127, 255, 0).astype(np.uint8)
    return np.concatenate([films(4, size, 5), noise, flat, halves, saturated])


def run(graph: InferenceGraph, images: Images) -> dict[str, NDArray[np.float64]]:
    """The three outputs in float64; traced once per graph."""
    traced = graph.__call__.get_concrete_function(graph.signature())
    outputs = traced(tf.constant(images))
    return {key: np.asarray(value, np.float64) for key, value in outputs.items()}


def assert_same_as_keras(graph: InferenceGraph, model: keras.Model) -> None:
    """Probability within 1e-5 on every kind of image, of what Keras says without rounding.

    Through fifty layers of float32 Keras itself may be 9e-6 off, in one direction or the other.
    """
    images = hard_images(graph.size)
    exact = probability(in_float64(model), images)
    difference = np.abs(run(graph, images)["probability"][:, 0] - exact)
    assert difference.max() <= 1e-5


def assert_evidence_adds_up(graph: InferenceGraph, model: keras.Model) -> None:
    """Evidence plus bias is Keras's logit within 1e-4 of it."""
    images = hard_images(graph.size)
    outputs, expected = run(graph, images), logits(model, images)
    total = outputs["evidence"].sum(axis=(1, 2)) + outputs["bias"][:, 0]
    assert (np.abs(total - expected) <= 1e-4 * np.maximum(1, np.abs(expected))).all()


@dataclass(frozen=True)
class Folded:
    """A network and the graph folded from it."""

    model: keras.Model
    graph: InferenceGraph


@pytest.fixture(scope="module", params=CASES, ids="-".join)
def folded(request: pytest.FixtureRequest, network: Network) -> Folded:
    """All networks in both normalisations."""
    model = network(*request.param)
    return Folded(model, InferenceGraph(model))


def test_the_networks_can_tell(folded: Folded) -> None:
    """Saturated or constant answers would agree whatever is wrong."""
    answers = probability(folded.model, films(8, folded.graph.size, 5))
    assert 0.02 < answers.min() < answers.max() < 0.98
    assert np.ptp(answers) > 0.1


def test_probability_is_what_keras_says(folded: Folded) -> None:
    assert_same_as_keras(folded.graph, folded.model)


def test_evidence_and_bias_add_up_to_the_logit(folded: Folded) -> None:
    assert_evidence_adds_up(folded.graph, folded.model)


def test_shapes_and_types(folded: Folded) -> None:
    traced = folded.graph.__call__.get_concrete_function(folded.graph.signature())
    outputs = traced(tf.constant(films(3, folded.graph.size)))
    cells = CELLS[folded.model.name]
    assert {key: (value.dtype, tuple(value.shape)) for key, value in outputs.items()} == {
        "probability": (tf.float32, (3, 1)),
        "evidence": (tf.float32, (3, *cells)),
        "bias": (tf.float32, (3, 1)),
    }
    assert folded.graph.head.cells == cells


def test_evidence_is_feature_times_gradient(folded: Folded) -> None:
    """The definition, computed apart from the graph by automatic differentiation."""
    images = films(2, folded.graph.size, 7)
    layers = [folded.model.get_layer(name) for name in (FEATURES_LAYER, OUTPUT_DENSE_LAYER)]
    inner = keras.Model(folded.model.input, [layer.output for layer in layers])
    with tf.GradientTape() as tape:
        pixels = tf.constant(as_rgb(images))
        tape.watch(pixels)
        features, logit = inner(pixels, training=False)
    expected = tf.reduce_sum(features * tape.gradient(logit, features), axis=-1).numpy()
    assert np.abs(expected).max() > 1e-3
    np.testing.assert_allclose(
        run(folded.graph, images)["evidence"], expected, rtol=0, atol=1e-4 * np.abs(expected).max()
    )


def test_one_image_alone_gets_the_same_answer(folded: Folded) -> None:
    images = films(3, folded.graph.size, 8)
    together, alone = run(folded.graph, images), run(folded.graph, images[1:2])
    for name, values in alone.items():
        np.testing.assert_allclose(values, together[name][1:2], rtol=1e-4, atol=1e-5)


def dark_field_network() -> keras.Model:
    """A `cnn3_50` whose convolutions stay silent where the film is black."""
    model = NETS["cnn3_50"].build(NetOptions())
    for index in (1, 2, 3):
        layer = model.get_layer(f"conv{index}_batchnorm")
        gamma, beta, mean, variance = layer.get_weights()
        layer.set_weights([gamma, beta - 1e-3, mean, variance])
    head = model.get_layer("head_batchnorm")
    gamma, beta, mean, variance = head.get_weights()
    head.set_weights([gamma, beta + 0.5, mean - 0.25, variance])
    return model


@pytest.mark.parametrize(
    ("black", "silent"), [(29, slice(0, 2)), (50, slice(0, 4))], ids=["left half", "all"]
)
def test_a_cell_without_features_has_no_evidence(black: int, silent: slice) -> None:
    """Cell j sees columns 8j to 8j + 20; the head's batch normalisation is no feature."""
    film = films(1, 50, 4)
    film[:, :, :black] = 0
    outputs = run(InferenceGraph(dark_field_network()), film)
    assert (outputs["evidence"][0, :, silent] == 0.0).all()
    assert black == 50 or (outputs["evidence"][0, :, silent.stop :] != 0.0).any()
    assert outputs["bias"][0, 0] != 0.0


# A test of the test: each of these is one wrong fold, and one of the assertions above sees it.


def _convolution(**factors: float) -> Callable[[Any], None]:
    def spoil(graph: Any) -> None:
        for field, factor in factors.items():
            getattr(graph._features._convolutions[1], field)[..., 0] *= factor

    return spoil


def _head(field: str, change: Callable[[Any], Any]) -> Callable[[Any], None]:
    def spoil(graph: Any) -> None:
        graph.head = replace(graph.head, **{field: change(getattr(graph.head, field))})

    return spoil


def _other_normalization(graph: Any) -> None:
    graph._per_image = not graph._per_image


WRONG_FOLDS: dict[str, Callable[[Any], None]] = {
    "convolution bias": _convolution(bias=0.0),
    "convolution kernel": _convolution(kernel=1.01),
    "head bias": _head("bias", lambda bias: bias * 0.9),
    "head bias of one unit": _head("bias", lambda bias: bias + 0.05 * (np.arange(64) == 3)),
    "head kernel": _head("kernel", lambda kernel: kernel * np.float32(1.001)),
    "cells in another order": _head("kernel", lambda kernel: kernel[::-1]),
    "output bias": _head("output_bias", lambda bias: bias + np.float32(1e-3)),
    "normalisation": _other_normalization,
}


@pytest.mark.parametrize("spoil", WRONG_FOLDS.values(), ids=WRONG_FOLDS.keys())
def test_a_wrong_fold_is_seen(network: Network, spoil: Callable[[Any], None]) -> None:
    model = network("cnn3_50", "rescale")
    graph = InferenceGraph(model)
    spoil(graph)
    with pytest.raises(AssertionError):
        assert_same_as_keras(graph, model)


@pytest.mark.slow
def test_a_wrong_fold_inside_the_resnet_is_seen(network: Network) -> None:
    model = network(RESNET, "rescale")
    graph = InferenceGraph(model)
    batchnorm: Any = graph._features._base.get_layer("conv2_block1_preact_bn")
    batchnorm.beta.assign(batchnorm.beta + 0.1)
    with pytest.raises(AssertionError):
        assert_same_as_keras(graph, model)


@pytest.mark.parametrize("output", ["evidence", "bias"])
def test_wrong_evidence_is_seen(
    network: Network, monkeypatch: pytest.MonkeyPatch, output: str
) -> None:
    """The probability stays right; only the sum tells."""
    explain = graph_module._explained_head

    def wrong(features: Any, head: Any) -> dict[str, Any]:
        outputs: dict[str, Any] = explain(features, head)
        return {**outputs, output: outputs[output] * 0.99}

    monkeypatch.setattr(graph_module, "_explained_head", wrong)
    model = network("cnn3_50", "rescale")
    graph = InferenceGraph(model)
    assert_same_as_keras(graph, model)
    with pytest.raises(AssertionError):
        assert_evidence_adds_up(graph, model)


def test_affine_is_batch_normalisation_at_inference() -> None:
    layer = keras.layers.BatchNormalization(epsilon=1e-2)
    layer.build((None, 3))
    layer.set_weights([np.array(row, np.float32) for row in np.arange(1, 13).reshape(4, 3) / 7])
    x = films(1, 3)[0].astype(np.float32)[..., 0]
    scale, offset = affine(layer)
    np.testing.assert_allclose(scale * x + offset, layer(x, training=False), rtol=1e-5)


def test_folding_leaves_the_source_alone() -> None:
    model = random_network("cnn3_50", "per_image")
    before = [np.array(values) for values in model.get_weights()]
    InferenceGraph(model)(films(1, 50))
    for old, new in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)
