"""The protocol of all backends."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from cxr_edge.model.spec import BIAS_NAME, EVIDENCE_NAME, PROBABILITY_NAME
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


class Backend(Runner, Protocol):
    """An inference library with a network in it, whatever its outputs are called."""

    def outputs(self, names: Sequence[str], images: NDArray[np.uint8]) -> list[NDArray[np.float32]]:
        """Ask for outputs by name, for uint8 [N, S, S, 1]."""

    def embedded_spec(self) -> str:
        """The spec that the file carries about itself, or an empty string."""


def predictions_of(backend: Backend, images: NDArray[np.uint8]) -> Predictions:
    """Score uint8 [N, S, S, 1] with a network whose outputs are those of a classifier."""
    names = (PROBABILITY_NAME, EVIDENCE_NAME, BIAS_NAME)
    probability, evidence, bias = backend.outputs(names, images)
    return Predictions(probability[:, 0], evidence, bias[:, 0])
