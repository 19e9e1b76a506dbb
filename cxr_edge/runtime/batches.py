"""A forward pass over as many films as the device can hold."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from cxr_edge.errors import DeviceError
from cxr_edge.runtime.device import usable_cores
from cxr_edge.runtime.protocol import Runner
from cxr_edge.types import Predictions

# More in one pass do not compute faster, and take 3.4 MB each: a core's cache holds a few films.
_FILMS_PER_PASS = 8
_PASSES_PER_CORE = 2  # one that is computed, one that is collected or recorded
_FILMS_ON_CUDA = 32


def default_batch_size(device: str) -> int:
    """Films that are in the network at once, where nobody says."""
    films = _FILMS_PER_PASS * _PASSES_PER_CORE * usable_cores()
    return films if device == "cpu" else _FILMS_ON_CUDA


def passes_at_once(batch_size: int, device: str) -> int:
    """Into how many forward passes so many films are divided; 0 for too few.

    A GPU takes all of them in one pass.
    """
    return batch_size // _FILMS_PER_PASS if device == "cpu" else 1


def predict(runner: Runner, images: NDArray[np.uint8]) -> Predictions:
    """What is too much for the device at once goes in halves.

    Args:
        runner: a loaded network.
        images: uint8 [N, S, S, 1].

    Raises:
        DeviceError: it fails on a single film.
    """
    try:
        answers = runner.predict(images)
    except Exception as error:  # the libraries' exceptions share no public base class
        half = len(images) // 2
        if not half:
            raise DeviceError(
                f"the network fails on {runner.device}: {error}",
                tip="what was scored is safe; see cxr-edge doctor, or try --device cpu",
            ) from error
        return _joined(predict(runner, images[:half]), predict(runner, images[half:]))
    if len(answers.probability) != len(images):
        raise RuntimeError(f"{len(answers.probability)} scores for {len(images)} films")
    return answers


def _joined(first: Predictions, second: Predictions) -> Predictions:
    return Predictions(
        np.concatenate((first.probability, second.probability)),
        np.concatenate((first.evidence, second.evidence)),
        np.concatenate((first.bias, second.bias)),
    )
