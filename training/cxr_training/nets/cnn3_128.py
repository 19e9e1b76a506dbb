"""`cnn3_128`: the report's third model, three convolutions on 128x128 pixels."""

from __future__ import annotations

import keras

from cxr_training.nets.blocks import (
    INPUT_LAYER,
    ConvSpec,
    NetOptions,
    conv_block,
    flatten_head,
    normalize,
)

NAME = "cnn3_128"
SIZE = 128
CONVOLUTIONS = (ConvSpec(16, 1, 0.2), ConvSpec(32, 2, 0.4), ConvSpec(64, 2, 0.5))


def build(options: NetOptions) -> keras.Model:
    """The network: raw grey levels [N, 128, 128, channels] to probability [N, 1]."""
    image = keras.Input((SIZE, SIZE, options.channels), name=INPUT_LAYER)
    x = normalize(image, options)
    for index, conv in enumerate(CONVOLUTIONS, start=1):
        x = conv_block(x, index, conv, options)
    return keras.Model(image, flatten_head(x, options), name=NAME)
