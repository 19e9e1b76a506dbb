"""`resnet50v2_50`: the report's fourth model, ResNet50V2 without top on 50x50 pixels."""

from __future__ import annotations

import keras
from keras import layers

from cxr_training.nets.blocks import (
    FEATURES_LAYER,
    INPUT_LAYER,
    OUTPUT_DENSE_LAYER,
    NetOptions,
    dense_head,
    normalize,
)
from cxr_training.nets.weights import build_with_weights

NAME = "resnet50v2_50"
SIZE = 50
BASE_LAYER = "resnet50v2"


def build(options: NetOptions) -> keras.Model:
    """The network: raw grey levels [N, 50, 50, channels] to probability [N, 1].

    Raises:
        WeightsError: the pre-trained weights asked for cannot be had.
    """
    image = keras.Input((SIZE, SIZE, options.channels), name=INPUT_LAYER)
    base = build_base(options)
    x = base(normalize(image, options))
    x = layers.Activation("linear", name=FEATURES_LAYER)(x)
    x = layers.GlobalAveragePooling2D(name="global_average_pooling")(x)
    return keras.Model(image, dense_head(x, options), name=NAME)


def build_base(options: NetOptions) -> keras.Model:
    """ResNet50V2 without its top: [N, 50, 50, channels] to [N, 2, 2, 2048]."""

    def application(weights: str | None) -> keras.Model:
        shape = (SIZE, SIZE, options.channels)
        return keras.applications.ResNet50V2(
            include_top=False, weights=weights, input_shape=shape, name=BASE_LAYER
        )

    base = build_with_weights(application, options.weights)
    for layer in base.layers:
        if isinstance(layer, layers.BatchNormalization):
            layer.momentum = options.batchnorm_momentum
    return base


def freeze(model: keras.Model) -> None:
    """Freeze what the report froze: all but the final Dense(1), which leaves 65 parameters.

    The report freezes `model.layers[0:5]`: input, base, pooling, Dense 64 and dropout.
    """
    for layer in model.layers:
        layer.trainable = layer.name == OUTPUT_DENSE_LAYER
