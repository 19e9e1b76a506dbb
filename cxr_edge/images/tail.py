"""Ends of files: a half-copied one lacks its end marker, or samples where there is none.

A copy that reserves its space first and is interrupted leaves zeros behind: an uncompressed TIFF
or a native DICOM decodes all the same, black (or white) from some sample on. Where that is in the
middle of a row, no film ends; at the edge of one, a collimated film may.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from cxr_edge.errors import ImageError
from cxr_edge.images.jpeg import end_of_image
from cxr_edge.types import InputWarning, Reason

MAX_PARTS = 100_000  # segments, chunks, fragments, elements: films have hundreds
_MAX_SCANS = 100  # of a JPEG; ten are usual for a progressive one
_BARE = {bytes((marker,)) for marker in (0x00, 0x01, *range(0xD0, 0xDA))}  # without a length

_BYTES_AT_ONCE = 2**16
_ROWS = 8  # compared with the row where the picture stops
_LIT = 0.25  # of the film's mean: above the noise of a dark border, below most anatomy
_ENOUGH = 0.02  # of the columns: fewer lit samples than that prove nothing
_BORDER = 2  # a bottom border up to so many times the top one is still a border


def check_tail(levels: NDArray[np.generic]) -> tuple[InputWarning, ...]:
    """Refuse a film that stops in the middle of a row; doubt one that stops without a top border.

    Only for a file in which nothing stands behind the samples: what does was copied after them.

    Args:
        levels: integers [H, W], the samples as stored and in stored order; the samples of a
            pixel side by side or plane below plane.

    Returns:
        `cut_short`, where the end of the film and the end of a copy would look alike, or nothing.

    Raises:
        ImageError: `truncated`.
    """
    first, last = _ends(levels)
    missing = len(levels) - 1 - last
    if 2 * missing > len(levels):
        raise ImageError(Reason.TRUNCATED, f"the last {missing} rows are zero")
    film = levels[first : last + 1]
    if len(film) <= _ROWS:
        return ()  # too few rows to compare
    step = 1 + max(film.shape) // 256
    threshold = _LIT * _magnitude(film[::step, ::step]).mean()
    # Turned by half, a slanted film on black stops in the middle of a row as well; a copy does not.
    if _is_torn(film, threshold) and not _is_torn(film[::-1, ::-1], threshold):
        raise ImageError(Reason.TRUNCATED, f"row {last} is not complete")
    lit = _magnitude(film[-_ROWS - 1 :]) > threshold
    stops = missing > _BORDER * first and (_goes_on(lit) or _goes_on(lit[:-1]))
    return (InputWarning.CUT_SHORT,) if stops else ()


def _ends(levels: NDArray[np.generic]) -> tuple[int, int]:
    """The first and the last row that are not all zero; 0 and -1 where there is none."""
    if levels[0].any() and levels[-1].any():  # most films: a look at two rows, not at all of them
        return 0, len(levels) - 1
    rows = np.flatnonzero(levels.any(axis=1))
    return (int(rows[0]), int(rows[-1])) if rows.size else (0, -1)


def has_jpeg_end(data: bytes) -> bool:
    """Check that a JPEG is there up to its end-of-image marker.

    Where it is not, the decoder makes up the missing part, grey, without an error. As a rule no
    start of scan stands behind the last such marker, which is soon seen; else the segments tell
    whether what does so is a maker's own, or a second image.
    """
    end = data.rfind(b"\xff\xd9")
    return end >= 0 and (data.find(b"\xff\xda", end) < 0 or end_of_image(data) > 0)


def check_effort(jpeg: bytes) -> None:
    """Refuse a JPEG that takes minutes: each scan is decoded over all of the film.

    Raises:
        ImageError: `too_large`.
    """
    if _count(jpeg, b"\xff\xda") > _MAX_SCANS:
        raise ImageError(Reason.TOO_LARGE, f"a JPEG of more than {_MAX_SCANS} scans")
    position = 2
    for _ in range(MAX_PARTS):
        start, marker = jpeg[position : position + 1], jpeg[position + 1 : position + 2]
        if start != b"\xff" or marker in (b"", b"\xda"):
            return  # the first scan, or for the decoder to refuse
        if marker == b"\xff":  # a fill byte (ITU-T T.81 B.1.1.2)
            position += 1
        elif marker in _BARE:
            position += 2
        else:
            position += 2 + int.from_bytes(jpeg[position + 2 : position + 4])
    raise ImageError(Reason.TOO_LARGE, f"a JPEG header of more than {MAX_PARTS} segments")


def _count(data: bytes, pair: bytes) -> int:
    """Count where two different bytes stand side by side; four times as fast as `bytes.count`."""
    if len(data) < _BYTES_AT_ONCE:
        return data.count(pair)
    wanted = int.from_bytes(pair, "little")
    count = 0
    for offset in range(2):
        words = np.frombuffer(data, "<u2", (len(data) - offset) // 2, offset)
        for start in range(0, len(words), _BYTES_AT_ONCE):  # what is compared stays in the cache
            count += int(np.count_nonzero(words[start : start + _BYTES_AT_ONCE] == wanted))
    return count


def _magnitude(levels: NDArray[np.generic]) -> NDArray[np.float64]:
    return np.abs(levels.astype(np.float64))


def _is_torn(film: NDArray[np.generic], threshold: float) -> bool:
    """The last row is like the one above it up to some column, and zero where that one is lit."""
    lit = _magnitude(film[-_ROWS - 1 :]) > threshold
    end = int(np.flatnonzero(film[-1])[-1]) + 1
    present, above = int(lit[-1, :end].sum()), int(lit[-2, :end].sum())
    enough = _ENOUGH * lit.shape[1]
    return above - 2 * present < enough and _goes_on(lit[:-1, end:], enough)


def _goes_on(lit: NDArray[np.bool_], enough: float = 0.0) -> bool:
    """The last row is about as lit as those above it.

    Not so at the tip of a slanted or round shutter, where every row is shorter than the one above.
    """
    counts = lit.sum(axis=1)
    return bool(counts[-1] > enough and 2 * counts[-1] >= counts.mean())
