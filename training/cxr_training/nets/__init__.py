"""The four networks of the source report and two of ours: a module each, one table for all."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import keras

from cxr_training.nets import (
    cnn3_50,
    cnn3_128,
    cnn4_50,
    efficientnet_lite0_160,
    resnet18_96,
    resnet50v2_50,
)
from cxr_training.nets.blocks import NetOptions

__all__ = ["NETS", "Net", "NetOptions"]


@dataclass(frozen=True)
class Net:
    """One architecture: its input size, its builder, and whether pre-trained weights fit it.

    Attributes:
        build_any_size: builds it for films of any size, where it has the same weights for all.
    """

    name: str
    size: int
    build: Callable[[NetOptions], keras.Model]
    has_pretrained_base: bool
    build_any_size: Callable[[NetOptions], keras.Model] | None = None


_PRETRAINED = (resnet50v2_50, efficientnet_lite0_160)
_ANY_SIZE = {efficientnet_lite0_160: efficientnet_lite0_160.build_any_size}
NETS = {
    module.NAME: Net(
        module.NAME, module.SIZE, module.build, module in _PRETRAINED, _ANY_SIZE.get(module)
    )
    for module in (cnn3_50, cnn4_50, cnn3_128, *_PRETRAINED, resnet18_96)
}
