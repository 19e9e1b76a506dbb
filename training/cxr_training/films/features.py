"""Features of labelled films, as the runtime computes them of each film that it scores."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from cxr_edge.features import ImageFeatures, border_share, image_features
from cxr_edge.images import decode
from cxr_edge.preprocess import to_network_input, without_border
from cxr_training.films.data import LabelledFile


def image_features_of(files: Sequence[LabelledFile], size: int) -> dict[str, NDArray[np.float64]]:
    """Each feature that needs no network, [N].

    Args:
        files: N films that can be read.
        size: S, pixels a side of the network's input.
    """
    rows = np.array([_of(file, size) for file in files])
    return dict(zip(ImageFeatures._fields, rows.T, strict=True))


def _of(file: LabelledFile, size: int) -> ImageFeatures:
    image = decode(file.path.read_bytes(), file.path.name)
    film = without_border(image.pixels, image.extent)
    stored = image.width, image.height
    border = border_share(image.extent, film.extent)
    return image_features(to_network_input(film, size), stored, border)
