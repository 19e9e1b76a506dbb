"""`efficientnet_lite0_160`: not of the report; EfficientNet-Lite0 on 160x160 pixels.

Source: Tan, Le, arXiv:1905.11946 (2019), "EfficientNet: rethinking model scaling for convolutional
neural networks"; the Lite variant (no squeeze-and-excitation, ReLU6) is of the TensorFlow models,
https://github.com/tensorflow/tpu/tree/master/models/official/efficientnet/lite.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import keras
from keras import layers

from cxr_training.nets.blocks import (
    FEATURES_LAYER,
    INPUT_LAYER,
    NetOptions,
    normalize,
    output,
)
from cxr_training.nets.efficientnet_lite0_weights import read_weights, set_weights

NAME = "efficientnet_lite0_160"
SIZE = 160
BASE_LAYER = "efficientnet_lite0"
_EPSILON = 1e-3  # of every batch normalisation, as the published weights were trained


@dataclass(frozen=True)
class Stage:
    """Blocks of one width; the first one takes the step."""

    blocks: int
    kernel: int
    stride: int
    expansion: int
    filters: int


STEM_FILTERS = 32
STAGES = (
    Stage(1, 3, 1, 1, 16),
    Stage(2, 3, 2, 6, 24),
    Stage(2, 5, 2, 6, 40),
    Stage(3, 3, 2, 6, 80),
    Stage(3, 5, 1, 6, 112),
    Stage(4, 5, 2, 6, 192),
    Stage(1, 3, 1, 6, 320),
)
TOP_FILTERS = 1280


def build(options: NetOptions) -> keras.Model:
    """The network: raw grey levels [N, 160, 160, channels] to probability [N, 1].

    Raises:
        WeightsError: the pre-trained weights asked for cannot be had.
    """
    return _build(options, SIZE)


def build_any_size(options: NetOptions) -> keras.Model:
    """The same network, with the same weights, for raw grey levels [N, S, S, channels].

    Raises:
        WeightsError: as `build`.
    """
    return _build(options, None)


def _build(options: NetOptions, size: int | None) -> keras.Model:
    image = keras.Input((size, size, options.channels), name=INPUT_LAYER)
    x = build_base(options, size)(normalize(image, options))
    x = layers.Activation("linear", name=FEATURES_LAYER)(x)
    x = layers.GlobalAveragePooling2D(name="global_average_pooling")(x)
    x = layers.Dropout(0.2 * options.dropout_scale, name="features_dropout")(x)
    return keras.Model(image, output(x), name=NAME)


def build_base(options: NetOptions, size: int | None = SIZE) -> keras.Model:
    """The convolutions: normalised [N, 160, 160, channels] to [N, 5, 5, 1280]."""
    pretrained = read_weights(options.weights)  # a refusal before the work
    image = keras.Input((size, size, options.channels), name="normalized")
    x = _activated(image, "stem", (STEM_FILTERS, 3, 2), options)
    for number, stage in enumerate(STAGES, start=1):
        for block in range(stage.blocks):
            stride = stage.stride if block == 0 else 1
            x = _block(x, f"block{number}{'abcd'[block]}", stage, stride, options)
    x = _activated(x, "top", (TOP_FILTERS, 1, 1), options)
    base = keras.Model(image, x, name=BASE_LAYER)
    if pretrained is not None:
        set_weights(base, pretrained)
    return base


def _block(x: Any, name: str, stage: Stage, stride: int, options: NetOptions) -> Any:
    """Expand, convolve each channel by itself, project; beside a short cut where shapes agree."""
    y = x
    if stage.expansion > 1:
        filters = x.shape[-1] * stage.expansion
        y = _activated(y, f"{name}_expand", (filters, 1, 1), options)
    y = layers.DepthwiseConv2D(
        stage.kernel,
        stride,
        "same",
        use_bias=False,
        depthwise_initializer=_initializer(),
        name=f"{name}_depthwise_conv",
    )(y)
    y = _normalized(y, f"{name}_depthwise", options)
    y = layers.ReLU(6.0, name=f"{name}_depthwise_relu")(y)
    y = _convolution(y, f"{name}_project", (stage.filters, 1, 1), options)
    if stride == 1 and x.shape[-1] == stage.filters:
        y = layers.Add(name=f"{name}_add")([x, y])
    return y


def _activated(x: Any, name: str, shape: tuple[int, int, int], options: NetOptions) -> Any:
    """A convolution with ReLU6 behind it."""
    return layers.ReLU(6.0, name=f"{name}_relu")(_convolution(x, name, shape, options))


def _convolution(x: Any, name: str, shape: tuple[int, int, int], options: NetOptions) -> Any:
    """Filters, kernel size and stride; batch normalisation behind it."""
    filters, size, stride = shape
    x = layers.Conv2D(
        filters,
        size,
        stride,
        "same",
        use_bias=False,
        kernel_initializer=_initializer(),
        name=f"{name}_conv",
    )(x)
    return _normalized(x, name, options)


def _normalized(x: Any, name: str, options: NetOptions) -> Any:
    momentum = options.batchnorm_momentum
    return layers.BatchNormalization(momentum=momentum, epsilon=_EPSILON, name=f"{name}_bn")(x)


def _initializer() -> Any:
    """The TensorFlow models' own; Keras's default leaves depthwise kernels next to nothing."""
    return keras.initializers.VarianceScaling(2.0, "fan_out", "untruncated_normal")
