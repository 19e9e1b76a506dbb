"""Pre-trained weights for a network's base: from Keras, from a file, or none."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import keras

from cxr_edge.errors import WeightsError


def build_with_weights(build: Callable[[str | None], keras.Model], weights: str) -> keras.Model:
    """Build a `keras.applications` network with the weights that were asked for.

    Args:
        build: the application's constructor, given its `weights` argument.
        weights: `none`, `imagenet` (Keras downloads and caches them) or a weights file.

    Raises:
        WeightsError: they cannot be fetched, found or fitted; never a silent random start.
    """
    if weights == "none":
        return build(None)
    if weights != "imagenet" and not Path(weights).is_file():
        raise WeightsError(f"weights file not found: {weights}")
    try:
        return build(weights)
    except Exception as error:  # Keras wraps urllib and h5py errors in plain Exception
        if weights == "imagenet":
            raise WeightsError(
                f"the ImageNet weights cannot be fetched: {error}",
                tip="fetch the no-top weights file on another machine and pass --weights PATH, "
                "or train without them: --weights none",
            ) from error
        raise WeightsError(f"weights in {weights} do not fit: {error}") from error
