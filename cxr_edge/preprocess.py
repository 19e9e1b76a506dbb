"""The one preprocessing: training, export and runtime all call it, and only it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

PREPROCESSING_VERSION = 3
RESIZE_FILTER = "bilinear_antialiased"
SCOPE_PREPROCESSING_VERSION = 1  # of `to_scope_input`
# Pillow is imported where it works: a process that only needs to know the figures starts without.
VIEW_SIDE = 384  # pixels: enough to recognise a film, too few to read it
BORDER_RANGE = 8  # grey levels: rows or columns with no more are padding
# Of the middle of a film, plain black or plain white. The worst of the 5,216 films of the train
# folder has 0.7 %; windows that turn decisions leave 40 % and more.
CLIPPED_SHARE = 0.05
# A line or two may be there at one decoding scale and not at another.
_LEAST_BORDER = 0.01  # of a side

Extent = tuple[float, float]  # width and height


@dataclass(frozen=True)
class InnerFilm:
    """A film inside its border: found once, then resized, shown and judged.

    Attributes:
        pixels: uint8 [H, W].
        extent: of the film in `pixels`, from the top left corner.
            What is padded for a reduction would else shift the film by up to a grey level.
    """

    pixels: NDArray[np.uint8]
    extent: Extent


def without_border(pixels: NDArray[np.uint8], extent: Extent | None = None) -> InnerFilm:
    """The film inside a border that goes all around it, if there is one.

    Prints, screenshots and shuttered films have such borders, whatever their level, one inside the
    other. Networks that had not seen one missed most pneumonias behind a white border of 5 %.
    Margins on three sides or fewer belong to the film: air beside a child, a collimator's edge.

    Args:
        pixels: uint8 [H, W].
        extent: of the film in `pixels`, from the top left corner; None for all.

    Returns:
        A part of `pixels`, or all of them.
    """
    film = pixels
    while (inside := _inside(film)) is not None:
        film = inside
    if film is pixels and extent is not None:
        return InnerFilm(film, extent)
    return InnerFilm(film, (film.shape[1], film.shape[0]))


def _inside(film: NDArray[np.uint8]) -> NDArray[np.uint8] | None:
    """Without the outermost border, or None: there is none, or nothing inside it."""
    rows = _between(film)
    columns = None if rows is None else _between(rows.T)
    return None if columns is None else columns.T


def _between(lines: NDArray[np.uint8]) -> NDArray[np.uint8] | None:
    """The rows between a padding at both ends, or None."""
    first, last = _padding(lines), len(lines) - _padding(lines[::-1])
    return lines[first:last] if 0 < first < last < len(lines) else None


def _padding(lines: NDArray[np.uint8]) -> int:
    """Leading rows that are all of one level together; none where that is hardly any, or all."""
    lowest, highest = 255, 0
    for count, line in enumerate(lines):
        lowest, highest = min(lowest, int(line.min())), max(highest, int(line.max()))
        if highest - lowest > BORDER_RANGE:
            return count if count >= _LEAST_BORDER * len(lines) else 0
    return 0


def to_network_input(film: InnerFilm, size: int) -> NDArray[np.uint8]:
    """Resize a film to the network's square.

    The aspect is not kept, as in the source report.

    Args:
        film: as `without_border` returns it.
        size: S, pixels a side.

    Returns:
        uint8 [S, S, 1]. Pillow's bilinear filter widens its support when it shrinks an image, so
        nothing is skipped.
    """
    from PIL import Image

    box = (0.0, 0.0, *film.extent)
    image = Image.fromarray(film.pixels)
    resized = image.resize((size, size), Image.Resampling.BILINEAR, box)
    return np.asarray(resized, dtype=np.uint8)[:, :, np.newaxis]


def to_scope_input(film: InnerFilm, size: int) -> NDArray[np.uint8]:
    """Resize a film to the scope gate's square, like `to_network_input` and several times as fast.

    Whole blocks of pixels are averaged first, as long as two pixels are left for each of the
    square's: 0.4 grey levels from the slow way in the mean, which is nothing to a gate.

    Args:
        film: as `without_border` returns it.
        size: S, pixels a side.

    Returns:
        uint8 [S, S, 1].
    """
    from PIL import Image

    box = (0.0, 0.0, *film.extent)
    image = Image.fromarray(film.pixels)
    resized = image.resize((size, size), Image.Resampling.BILINEAR, box, reducing_gap=2.0)
    return np.asarray(resized, dtype=np.uint8)[:, :, np.newaxis]


def to_view(film: InnerFilm) -> NDArray[np.uint8]:
    """Shrink a film for a page, with its aspect.

    Returns:
        uint8 [h, w], the longest side at most `VIEW_SIDE`; a small film stays as it is.
    """
    from PIL import Image

    image = Image.fromarray(film.pixels)
    image.thumbnail((VIEW_SIDE, VIEW_SIDE), Image.Resampling.BILINEAR, reducing_gap=None)
    return np.asarray(image, dtype=np.uint8)
