"""`cnn3_128`: the report's third model, three convolutions on 128x128 pixels."""

from __future__ import annotations

import keras

from cxr_training.nets.blocks import ConvSpec, NetOptions, convolutional_net

NAME = "cnn3_128"
SIZE = 128
CONVOLUTIONS = (ConvSpec(16, 1, 0.2), ConvSpec(32, 2, 0.4), ConvSpec(64, 2, 0.5))


def build(options: NetOptions) -> keras.Model:
    """The network: raw grey levels [N, 128, 128, channels] to probability [N, 1]."""
    return convolutional_net(NAME, SIZE, CONVOLUTIONS, options)
