"""A forward pass over as many films as the device can hold."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from cxr_edge.errors import DeviceError
from cxr_edge.runtime.protocol import Runner
from cxr_edge.types import Predictions


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
