"""Films and other pictures as small square planes that all were reduced in the same way.

The public films were squashed to 224 pixels and stored as small JPEG files, other pictures were
not: a network would learn how a picture was reduced instead of what is on it. So all of them are
squashed and compressed once more, each with a quality by chance.
"""

from __future__ import annotations

import io
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from cxr_edge.errors import DataError
from cxr_edge.images import decode
from cxr_edge.preprocess import to_network_input, to_scope_input, without_border

SIZE = 48  # pixels a side of the gate's input
SIDE = 96  # pixels a side of the planes that training changes: twice the input's
_SQUASHED = 224
_QUALITIES = (50, 96)
_SUFFIXES = {".jpeg", ".jpg", ".png", ".tif", ".tiff"}

Planes = NDArray[np.uint8]


def picture_files(folder: Path) -> list[Path]:
    """The image files of a folder, in a fixed order.

    Raises:
        DataError: the folder holds no image.
    """
    files = sorted(path for path in folder.glob("*") if path.suffix.lower() in _SUFFIXES)
    if not files:
        raise DataError(f"{folder} holds no image")
    return files


def training_planes(files: Iterable[Path], seed: int) -> Planes:
    """Read films or pictures for training: uint8 [N, SIDE, SIDE].

    Raises:
        ImageError: one cannot be read.
    """
    rng = np.random.default_rng(seed)
    return np.stack([_reduced(decode(p.read_bytes(), p.name).pixels, rng) for p in files])


def _reduced(pixels: Planes, rng: np.random.Generator) -> Planes:
    squashed = to_network_input(without_border(pixels), _SQUASHED)[..., 0]
    stream = io.BytesIO()
    Image.fromarray(squashed).save(stream, "JPEG", quality=int(rng.integers(*_QUALITIES)))
    return resized(np.asarray(Image.open(stream)), SIDE)


def resized(pixels: Planes, size: int) -> Planes:
    """Resize what is inside the border of a film: uint8 [size, size]."""
    return to_network_input(without_border(pixels), size)[..., 0]


def gate_inputs(planes: Iterable[Planes]) -> Planes:
    """Films or pictures as decoders hand them to the gate: uint8 [N, SIZE, SIZE]."""
    return np.stack([to_scope_input(without_border(plane), SIZE)[..., 0] for plane in planes])


def measured_planes(files: Iterable[Path]) -> Planes:
    """Read films or pictures as a night does: uint8 [N, SIZE, SIZE].

    Raises:
        ImageError: one cannot be read.
    """
    return gate_inputs(decode(path.read_bytes(), path.name).pixels for path in files)
