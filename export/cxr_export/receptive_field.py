"""Places of a feature map's cells on the input, from the layers that lead to it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import keras
from keras import layers

from cxr_edge.model.spec import ReceptiveField

_CONVOLUTIONS = (layers.Conv2D, layers.DepthwiseConv2D)


def receptive_field(steps: Iterable[Any]) -> ReceptiveField:
    """Part of the input that a cell behind these layers sees, if the borders were far away.

    A cell of a ResNet sees more than its whole input that way. Normalising each image by its own
    mean lets every pixel touch every cell a little; that is not counted. Where a short cut steps
    beside a convolution that pads unevenly, the two see squares around different middles: the
    centre given lies half-way between, within half a step of each, and the size is the larger's.

    Source: Dumoulin, Visin: A guide to convolution arithmetic for deep learning (2016), section 4;
    Araujo, Norris, Sim, Distill (2019), doi:10.23915/distill.00021.

    Args:
        steps: layers in the order in which a film passes them.
    """
    first, stride, size = 0.5, 1, 1
    steps = list(steps)
    beside = {id(layer.input) for layer in steps if _is_short_cut(layer)}
    for layer in steps:
        kernel, step, padding = _geometry(layer)
        offset = (kernel - 1) / 2 - padding
        # A short cut that steps stays at the first pixel: what they add up to lies between.
        first += (offset / 2 if kernel > 1 and id(layer.input) in beside else offset) * stride
        size += (kernel - 1) * stride
        stride *= step
    return ReceptiveField(first, float(stride), size)


def steps_to(model: keras.Model, last: str) -> list[Any]:
    """The layers of a network, and of networks inside, up to the one that is called `last`."""
    found: list[Any] = []
    for layer in model.layers:
        found += layer.layers if isinstance(layer, keras.Model) else [layer]
        if layer.name == last:
            return found
    raise ValueError(f"{model.name} has no layer {last}")


def _geometry(layer: Any) -> tuple[int, int, int]:
    """Kernel, stride and padding of a layer, the same in both directions.

    A kernel of one pixel sees nothing new. Where it steps, in the short cuts of ResNets, a 3x3
    convolution on the way beside it takes the same step and sees that pixel as well.
    """
    if isinstance(layer, layers.ZeroPadding2D):
        return 1, 1, layer.padding[0][0]
    if isinstance(layer, layers.AveragePooling2D):
        raise ValueError(f"what {layer.name} sees is not known here")
    _check_plain(layer)
    if isinstance(layer, _CONVOLUTIONS) and layer.kernel_size[0] > 1:
        return layer.kernel_size[0], layer.strides[0], _padding(layer)
    if isinstance(layer, layers.MaxPooling2D) and layer.pool_size[0] > 1:
        return layer.pool_size[0], layer.strides[0], 0
    return 1, 1, 0


def _is_short_cut(layer: Any) -> bool:
    return isinstance(layer, layers.Conv2D) and layer.kernel_size[0] == 1 < layer.strides[0]


def _padding(layer: Any) -> int:
    """Pixels that a convolution itself adds before the first one; `same` adds the odd one behind.

    Source: TensorFlow, tf.nn, "Notes on padding".
    """
    if layer.padding == "valid":
        return 0
    size, kernel, stride = layer.input.shape[1], layer.kernel_size[0], layer.strides[0]
    cells = -(-size // stride)
    return int(max((cells - 1) * stride + kernel - size, 0)) // 2


def _check_plain(layer: Any) -> None:
    """Square and without holes, and pooling without padding: what the networks here are made of."""
    if isinstance(layer, (*_CONVOLUTIONS, layers.MaxPooling2D)):
        square = getattr(layer, "kernel_size", None) or layer.pool_size
        padded = isinstance(layer, layers.MaxPooling2D) and layer.padding != "valid"
        if len({*square}) > 1 or len({*layer.strides}) > 1 or (padded and max(square) > 1):
            raise ValueError(f"{layer.name} is not square, or pads what it pools")
        if max(getattr(layer, "dilation_rate", (1,))) > 1:
            raise ValueError(f"{layer.name} is dilated")
