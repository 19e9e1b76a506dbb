"""Pieces that the networks share: input normalisation, convolution block and heads."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import keras
from keras import layers

Normalization = Literal["rescale", "per_image"]

INPUT_LAYER = "image"
NORMALIZATION_LAYER = "normalization"
FEATURES_LAYER = "features"
HEAD_BATCHNORM_LAYER = "head_batchnorm"
HEAD_DENSE_LAYER = "head_dense"
OUTPUT_DENSE_LAYER = "output_dense"


@dataclass(frozen=True)
class NetOptions:
    """Options of a network that leave its parameter counts as they are.

    Attributes:
        normalization: `rescale` divides raw pixels by `rescale_divisor`; `per_image` subtracts
            each image's mean and divides by its standard deviation.
        rescale_divisor: divisor of `rescale`. The source report divides by the image size.
        batchnorm_momentum: momentum of the moving statistics (Keras default 0.99).
        dropout_scale: factor on every dropout rate; 1 keeps the rates of the report.
        channels: 3 for training (the report feeds RGB); export folds grey into 1.
        weights: `none`, `imagenet` or a path; only a network with a pre-trained base uses it.
    """

    normalization: Normalization = "rescale"
    rescale_divisor: float = 255.0
    batchnorm_momentum: float = 0.99
    dropout_scale: float = 1.0
    channels: int = 3
    weights: str = "none"

    def __post_init__(self) -> None:
        """Refuse values that would build a network nobody asked for."""
        if self.normalization not in ("rescale", "per_image"):
            raise ValueError(f"normalization must be rescale or per_image: {self.normalization!r}")
        if not self.rescale_divisor > 0:
            raise ValueError(f"rescale_divisor must be positive: {self.rescale_divisor}")
        if not 0 < self.batchnorm_momentum < 1:
            raise ValueError(f"batchnorm_momentum must be in (0, 1): {self.batchnorm_momentum}")
        if not 0 <= self.dropout_scale <= 1:
            raise ValueError(f"dropout_scale must be in [0, 1]: {self.dropout_scale}")
        if self.channels not in (1, 3):
            raise ValueError(f"channels must be 1 or 3: {self.channels}")


@dataclass(frozen=True)
class ConvSpec:
    """One row of the report's convolution table: 5x5, no padding."""

    filters: int
    stride: int
    dropout: float


def normalize(image: Any, options: NetOptions) -> Any:
    """Raw grey levels 0..255 to what the first convolution expects; no parameters."""
    if options.normalization == "rescale":
        return layers.Rescaling(1.0 / options.rescale_divisor, name=NORMALIZATION_LAYER)(image)
    # LayerNormalization over height, width and channels without scale and offset is per-image
    # standardisation. Epsilon is one squared grey level: a blank film gives zeros, not noise.
    return layers.LayerNormalization(
        axis=(1, 2, 3), epsilon=1.0, center=False, scale=False, name=NORMALIZATION_LAYER
    )(image)


def conv_block(x: Any, index: int, conv: ConvSpec, options: NetOptions) -> Any:
    """Conv2D 5x5 valid, BatchNormalization, Dropout, ReLU: the report's order."""
    x = layers.Conv2D(conv.filters, 5, strides=conv.stride, name=f"conv{index}")(x)
    x = layers.BatchNormalization(
        momentum=options.batchnorm_momentum, name=f"conv{index}_batchnorm"
    )(x)
    x = layers.Dropout(conv.dropout * options.dropout_scale, name=f"conv{index}_dropout")(x)
    return layers.Activation("relu", name=f"conv{index}_relu")(x)


def convolutional_net(
    name: str, size: int, convolutions: Sequence[ConvSpec], options: NetOptions
) -> keras.Model:
    """The report's own design: raw grey levels [N, S, S, channels] to probability [N, 1]."""
    image = keras.Input((size, size, options.channels), name=INPUT_LAYER)
    x = normalize(image, options)
    for index, conv in enumerate(convolutions, start=1):
        x = conv_block(x, index, conv, options)
    return keras.Model(image, flatten_head(x, options), name=name)


def flatten_head(x: Any, options: NetOptions) -> Any:
    """MaxPool, Dropout, BatchNorm, Flatten, Dense 64, ReLU, Dropout, Dense 1, sigmoid."""
    x = layers.MaxPooling2D(2, name=FEATURES_LAYER)(x)
    x = layers.Dropout(0.5 * options.dropout_scale, name="features_dropout")(x)
    x = layers.BatchNormalization(momentum=options.batchnorm_momentum, name=HEAD_BATCHNORM_LAYER)(x)
    x = layers.Flatten(name="flatten")(x)
    return dense_head(x, options)


def dense_head(x: Any, options: NetOptions) -> Any:
    """Dense 64, ReLU, Dropout, Dense 1, sigmoid."""
    x = layers.Dense(64, name=HEAD_DENSE_LAYER)(x)
    x = layers.Activation("relu", name="head_relu")(x)
    x = layers.Dropout(0.5 * options.dropout_scale, name="head_dropout")(x)
    return output(x)


def output(x: Any) -> Any:
    """Dense 1, sigmoid; in float32 whatever the layers before compute in, or scores would tie."""
    x = layers.Dense(1, dtype="float32", name=OUTPUT_DENSE_LAYER)(x)
    return layers.Activation("sigmoid", dtype="float32", name="probability")(x)
