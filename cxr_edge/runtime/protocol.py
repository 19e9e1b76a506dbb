"""The protocol of all backends."""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from cxr_edge.types import Predictions

TensorShapes = dict[str, tuple[str, tuple[int | None, ...]]]


class Runner(Protocol):
    """A loaded network on one device."""

    @property
    def device(self) -> str:
        """The device in use, not the one asked for."""

    @property
    def backend(self) -> str:
        """Name and version of the inference library."""

    def signature(self) -> TensorShapes:
        """Dtype and shape of every input and output by name; None is a free dimension."""

    def predict(self, images: NDArray[np.uint8]) -> Predictions:
        """Score uint8 [N, S, S, 1]."""
