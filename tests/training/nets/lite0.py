"""EfficientNet-Lite0 on weights and images made by rule, and what PyTorch's own says of them."""

from __future__ import annotations

import zlib
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

# Made once with efficientnet-lite-pytorch 0.1.0 and PyTorch 2.13: names and shapes of its weights,
# and every 16th channel of `extract_features(images())`, on rule-made and on the ImageNet weights.
REFERENCE = Path(__file__).parents[2] / "data" / "efficientnet_lite0.npz"
_RANGES = {"running_mean": (-0.5, 0.5), "running_var": (0.5, 1.5), "bias": (-0.3, 0.3)}


def images() -> NDArray[np.float32]:
    """Normalised noise, float32 [2, 160, 160, 3]."""
    return _uniform("images", (2, 160, 160, 3), (-1, 1))


def rule_made(shapes: dict[str, tuple[int, ...]]) -> dict[str, NDArray[np.float32]]:
    """A tensor for each name of PyTorch's."""
    return {name: _uniform(name, shape, _range(name, shape)) for name, shape in shapes.items()}


def reference_shapes(reference: Any) -> dict[str, tuple[int, ...]]:
    """PyTorch's names and shapes, out of the file."""
    pairs = zip(reference["names"], reference["shapes"], strict=True)
    return {str(name): tuple(int(n) for n in shape if n) for name, shape in pairs}


def _range(name: str, shape: tuple[int, ...]) -> tuple[float, float]:
    if len(shape) == 1:
        return _RANGES.get(name.rpartition(".")[2], (0.6, 1.4))
    limit = float(np.sqrt(3 / np.prod(shape[1:])))  # half of He's: rounding must not grow
    return -limit, limit


def _uniform(name: str, shape: tuple[int, ...], limits: tuple[float, float]) -> NDArray[np.float32]:
    """Numbers that follow from the name; NumPy promises that RandomState stays as it is."""
    chance = np.random.RandomState(zlib.crc32(name.encode()))
    return chance.uniform(*limits, shape).astype(np.float32)
