"""The inference graph: raw grey pixels in, probability, evidence and bias out.

Everything between a trained Keras network and the exported graph is algebra done here once:
grey-to-RGB and rescaling fold into the first convolution, each batch normalisation into the
convolution or the dense layer next to it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from cxr_training.nets import (
    NETS,
    NetOptions,
    efficientnet_lite0_160,
    resnet18_96,
    resnet50v2_50,
)
from cxr_training.nets.blocks import (
    FEATURES_LAYER,
    HEAD_BATCHNORM_LAYER,
    HEAD_DENSE_LAYER,
    NORMALIZATION_LAYER,
    OUTPUT_DENSE_LAYER,
)

Weights = NDArray[np.float32]
Layers = dict[str, Any]

# The networks with another network inside, by its name there.
BASES = {
    module.BASE_LAYER: module.build_base
    for module in (resnet50v2_50, resnet18_96, efficientnet_lite0_160)
}


@dataclass(frozen=True)
class Convolution:
    """A 5x5 convolution with its batch normalisation folded in; kernel [5, 5, in, out]."""

    kernel: Weights
    bias: Weights
    stride: int


@dataclass(frozen=True)
class Head:
    """Two dense layers on a feature map of h x w cells with C channels; a single one as two units.

    Attributes:
        kernel: [h * w, C, units], one matrix per cell; [1, C, units] after global pooling, already
            divided by the number of cells.
        bias: [units].
        output_kernel: [units].
        output_bias: scalar.
        cells: (h, w).
    """

    kernel: Weights
    bias: Weights
    output_kernel: Weights
    output_bias: np.float32
    cells: tuple[int, int]


class InferenceGraph(tf.Module):  # type: ignore[misc]  # tensorflow is untyped here
    """The network that gets exported; `size` is S."""

    def __init__(self, model: keras.Model) -> None:
        """Fold a trained network of one of the architectures of `NETS`."""
        super().__init__(name=model.name)
        layers: Layers = {layer.name: layer for layer in model.layers}
        self.size = NETS[model.name].size
        self._per_image = isinstance(layers[NORMALIZATION_LAYER], keras.layers.LayerNormalization)
        base = BASES.keys() & layers.keys()
        self._features = BaseFeatures(layers, base.pop()) if base else ConvolutionFeatures(layers)
        self.head = _head(layers)

    @tf.function(autograph=False)  # type: ignore[untyped-decorator]
    def __call__(self, image: Any) -> dict[str, Any]:
        """uint8 [N, S, S, 1] to the three outputs of the model contract."""
        x = tf.cast(image, tf.float32)
        if self._per_image:
            x = x - _mean(x)
            x = x * tf.math.rsqrt(_mean(tf.square(x)) + 1.0)
        return _explained_head(self._features(x), self.head)

    def signature(self) -> Any:
        """The one input: any number of grey images."""
        return tf.TensorSpec([None, self.size, self.size, 1], tf.uint8, name="image")


def _mean(x: Any) -> Any:
    """Mean of each image: rows first, then over rows.

    LiteRT adds up in sequence; in one sum over 16,384 float32 pixels the last digits are lost.
    """
    return tf.reduce_mean(tf.reduce_mean(x, axis=2, keepdims=True), axis=1, keepdims=True)


def _explained_head(features: Any, head: Head) -> dict[str, Any]:
    """Head and exact attribution in one pass.

    With m the mask of active ReLU units, logit = w2.(m * (sum over cells of W1 f + b1)) + b2.
    Keeping W1 f apart per cell until after the mask gives each cell's share; what is left, w2.(m *
    b1) + b2, is the bias. Nothing is approximated, and the first kernel is used, and stored, once.
    """
    height, width = head.cells
    count, channels = height * width, head.kernel.shape[1]
    per_cell = tf.transpose(tf.reshape(features, [-1, count, channels]), [1, 0, 2])
    shares = tf.matmul(per_cell, head.kernel)
    hidden = tf.reduce_sum(shares, axis=0) + head.bias
    # Units that ReLU leaves silent pass nothing on; the others pass on their output weight.
    slope = tf.cast(hidden > 0.0, tf.float32) * head.output_kernel
    evidence = tf.reduce_sum(shares * slope[tf.newaxis], axis=2)
    bias = tf.reduce_sum(slope * head.bias, axis=1, keepdims=True) + head.output_bias
    logit = tf.reduce_sum(hidden * slope, axis=1, keepdims=True) + head.output_bias
    return {
        "probability": tf.sigmoid(logit),
        "evidence": tf.reshape(tf.transpose(evidence, [1, 0]), [-1, height, width]),
        "bias": bias,
    }


def _head(layers: Layers) -> Head:
    """Fold the head's batch normalisation or pooling, if it has one, into its first dense layer."""
    _, height, width, channels = layers[FEATURES_LAYER].output.shape
    output_kernel, output_bias = layers[OUTPUT_DENSE_LAYER].get_weights()
    if HEAD_DENSE_LAYER not in layers:
        # One dense layer after global pooling: z = relu(z) - relu(-z), so two units say the same.
        both = np.concatenate([output_kernel, -output_kernel], axis=1) / (height * width)
        signs = np.array([1, -1], np.float32)
        return Head(both[np.newaxis], np.zeros_like(signs), signs, output_bias[0], (height, width))
    kernel, bias = layers[HEAD_DENSE_LAYER].get_weights()
    if HEAD_BATCHNORM_LAYER in layers:
        scale, offset = affine(layers[HEAD_BATCHNORM_LAYER])
        kernel = kernel.reshape(height * width, channels, -1)
        # Thousands of terms: in float64, so that every processor's order of adding gives the same.
        moved = np.einsum("c,pcu->u", offset, kernel, dtype=np.float64)
        bias = (bias + moved).astype(np.float32)
        kernel = kernel * scale[np.newaxis, :, np.newaxis]
    else:
        kernel = kernel[np.newaxis] / (height * width)
    return Head(kernel, bias, output_kernel[:, 0], output_bias[0], (height, width))


def affine(batchnorm: Any) -> tuple[Weights, Weights]:
    """Batch normalisation at inference as y = scale * x + offset, per channel."""
    gamma, beta, mean, variance = batchnorm.get_weights()
    scale: Weights = gamma / np.sqrt(variance + batchnorm.epsilon)
    return scale, beta - mean * scale


class ConvolutionFeatures(tf.Module):  # type: ignore[misc]  # tensorflow is untyped here
    """Normalised grey [N, S, S, 1] to [N, h, w, C] through the report's convolutions."""

    def __init__(self, layers: Layers) -> None:
        """Take over the convolutions, folded."""
        super().__init__()
        self._convolutions = _convolutions(layers)

    def __call__(self, x: Any) -> Any:
        """Convolutions with ReLU, then 2x2 max pooling; dropout is silent at inference."""
        for conv in self._convolutions:
            # NumPy arrays, not tensors: an eager constant would become an input of the graph.
            x = tf.nn.relu(tf.nn.conv2d(x, conv.kernel, conv.stride, "VALID") + conv.bias)
        return tf.nn.max_pool2d(x, 2, 2, "VALID")


class BaseFeatures(tf.Module):  # type: ignore[misc]  # tensorflow is untyped here
    """Normalised grey [N, S, S, 1] to [N, h, w, C] through the network that is called `base`."""

    def __init__(self, layers: Layers, base: str) -> None:
        """Rebuild the Keras base for one channel; the converters fold its inner layers."""
        super().__init__()
        self._base = BASES[base](NetOptions(channels=1))
        stem = next(it for it in layers[base].layers if isinstance(it, keras.layers.Conv2D))
        for layer, source in zip(self._base.layers, layers[base].layers, strict=True):
            # Keras numbers unnamed layers over the whole process, and TFLite files carry the names.
            layer.name = source.name
            weights = source.get_weights()
            if source is stem:
                weights[0] = _grey_kernel(weights[0], layers)
            layer.set_weights(weights)

    def __call__(self, x: Any) -> Any:
        """The base in inference mode."""
        return self._base(x, training=False)


def _convolutions(layers: Layers) -> list[Convolution]:
    folded = []
    for index in range(1, 1 + sum(name.endswith("_relu") for name in layers if "conv" in name)):
        kernel, bias = layers[f"conv{index}"].get_weights()
        scale, offset = affine(layers[f"conv{index}_batchnorm"])
        if index == 1:
            kernel = _grey_kernel(kernel, layers)
        stride = layers[f"conv{index}"].strides[0]
        folded.append(Convolution(kernel * scale, bias * scale + offset, stride))
    return folded


def _grey_kernel(kernel: Weights, layers: Layers) -> Weights:
    """Three equal channels and a rescaling, as one channel of raw grey levels."""
    normalization = layers[NORMALIZATION_LAYER]
    factor = getattr(normalization, "scale", 1.0)
    if isinstance(normalization, keras.layers.LayerNormalization):
        factor = 1.0
    grey: Weights = kernel.sum(axis=2, keepdims=True) * np.float32(factor)
    return grey
