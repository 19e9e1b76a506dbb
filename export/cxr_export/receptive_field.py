"""Where the cells of a feature map lie on the input, from the layers that lead to it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import keras
from keras import layers

from cxr_edge.spec import ReceptiveField


def receptive_field(steps: Iterable[Any]) -> ReceptiveField:
    """What a cell behind these layers sees, if the borders were far away.

    A cell of a ResNet sees more than its whole input that way. Normalising each image by its own
    mean lets every pixel touch every cell a little; that is not counted.

    Source: Dumoulin, Visin: A guide to convolution arithmetic for deep learning (2016), section 4;
    Araujo, Norris, Sim, Distill (2019), doi:10.23915/distill.00021.

    Args:
        steps: layers in the order in which a film passes them, without padding of their own.
    """
    first, stride, size = 0.5, 1, 1
    for kernel, step, padding in map(_geometry, steps):
        first += ((kernel - 1) / 2 - padding) * stride
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

    A kernel of one pixel sees nothing new. Where it steps, in the short cuts of ResNet50V2, a 3x3
    convolution on the way beside it takes the same step with the same centre, and sees more.
    """
    if isinstance(layer, layers.ZeroPadding2D):
        return 1, 1, layer.padding[0][0]
    if isinstance(layer, layers.AveragePooling2D | layers.DepthwiseConv2D):
        raise ValueError(f"what {layer.name} sees is not known here")
    _check_plain(layer)
    if isinstance(layer, layers.Conv2D) and layer.kernel_size[0] > 1:
        return layer.kernel_size[0], layer.strides[0], 0
    if isinstance(layer, layers.MaxPooling2D) and layer.pool_size[0] > 1:
        return layer.pool_size[0], layer.strides[0], 0
    return 1, 1, 0


def _check_plain(layer: Any) -> None:
    """Square, without padding of its own and without holes: what the networks here are made of."""
    if isinstance(layer, layers.Conv2D | layers.MaxPooling2D):
        square = getattr(layer, "kernel_size", None) or layer.pool_size
        plain = layer.padding == "valid" or max(square) == 1
        if len({*square}) > 1 or len({*layer.strides}) > 1 or not plain:
            raise ValueError(f"{layer.name} is not square, or pads on its own")
        if max(getattr(layer, "dilation_rate", (1,))) > 1:
            raise ValueError(f"{layer.name} is dilated")
