"""`resnet18_96`: not of the report; ResNet-18 at a quarter of its width, on 96x96 pixels.

Source: He, Zhang, Ren, Sun, arXiv:1512.03385 (2015), "Deep residual learning for image
recognition". Its stem, for films of 224 pixels, pools after a 7x7 convolution; this one has 5x5
and does not.
"""

from __future__ import annotations

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

NAME = "resnet18_96"
SIZE = 96
BASE_LAYER = "resnet18"
STAGES = (16, 32, 64, 128)
BLOCKS = 2


def build(options: NetOptions) -> keras.Model:
    """The network: raw grey levels [N, 96, 96, channels] to probability [N, 1]."""
    image = keras.Input((SIZE, SIZE, options.channels), name=INPUT_LAYER)
    x = build_base(options)(normalize(image, options))
    x = layers.Activation("linear", name=FEATURES_LAYER)(x)
    x = layers.GlobalAveragePooling2D(name="global_average_pooling")(x)
    x = layers.Dropout(0.5 * options.dropout_scale, name="features_dropout")(x)
    return keras.Model(image, output(x), name=NAME)


def build_base(options: NetOptions) -> keras.Model:
    """The convolutions: normalised [N, 96, 96, channels] to [N, 6, 6, 128]."""
    image = keras.Input((SIZE, SIZE, options.channels), name="normalized")
    x = _convolution(image, "conv1", (STAGES[0], 5, 2), options)
    x = layers.ReLU(name="conv1_relu")(x)
    for stage, filters in enumerate(STAGES, start=2):
        for block in range(1, BLOCKS + 1):
            stride = 2 if stage > 2 and block == 1 else 1
            x = _block(x, f"conv{stage}_block{block}", filters, stride, options)
    return keras.Model(image, x, name=BASE_LAYER)


def _block(x: Any, name: str, filters: int, stride: int, options: NetOptions) -> Any:
    """Two 3x3 convolutions beside a shortcut, which is a 1x1 convolution where shapes differ."""
    y = _convolution(x, f"{name}_1", (filters, 3, stride), options)
    y = layers.ReLU(name=f"{name}_1_relu")(y)
    y = _convolution(y, f"{name}_2", (filters, 3, 1), options)
    if stride != 1 or x.shape[-1] != filters:
        x = _convolution(x, f"{name}_0", (filters, 1, stride), options)
    return layers.ReLU(name=f"{name}_out")(layers.Add(name=f"{name}_add")([x, y]))


def _convolution(x: Any, name: str, shape: tuple[int, int, int], options: NetOptions) -> Any:
    """Filters, kernel size and stride; no bias, the batch normalisation behind it has one."""
    filters, size, stride = shape
    x = layers.Conv2D(
        filters,
        size,
        strides=stride,
        padding="same",
        use_bias=False,
        kernel_initializer="he_normal",
        name=f"{name}_conv",
    )(x)
    return layers.BatchNormalization(momentum=options.batchnorm_momentum, name=f"{name}_bn")(x)
