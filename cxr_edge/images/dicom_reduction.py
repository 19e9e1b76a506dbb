"""Fewer samples of a large film: the mean of each square of them, before they become greys.

The rest of the way from a film to a network's input costs as much as it has pixels.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from cxr_edge.images.dicom_codecs import ImagePixel, Words

_MOST = 8  # as a JPEG
_Kind = type[np.unsignedinteger[Any]]


def reduction(image: ImagePixel, at_least: int) -> int:
    """Samples, each way, that may become one, so that so many are left on the shorter side.

    Args:
        image: the header's facts.
        at_least: samples; 0 for all there are.

    Returns:
        1, 2, 4 or 8; 1 for colours and palettes, which have no mean.
    """
    if not at_least or image.samples > 1 or image.photometric == "PALETTECOLOR":
        return 1
    most = min(_MOST, max(1, min(image.rows, image.columns) // at_least))
    return int(2 ** (most.bit_length() - 1))


def reduced(words: Words, image: ImagePixel, by: int) -> Words:
    """The mean of each square, those at the edge as if the last row and column went on.

    Args:
        words: unsigned [rows, columns], as stored.
        image: the header's facts; bits that it does not count are left out.
        by: samples that become one, each way; a power of two.

    Returns:
        unsigned [ceil(rows / by), ceil(columns / by)].
    """
    if by == 1:
        return words
    ordered, halvings = _Ordered(words, image), by.bit_length() - 1
    # Sums of some rows mostly fit into the sixteen bits of a sample: half of the memory.
    kind: _Kind = np.uint16 if image.bits_stored + halvings <= 16 else np.uint32
    rows = _sums(words, by, kind, ordered.of)
    sums = _sums(rows.T, by, np.uint32).T
    sums += np.uint32(by * by // 2)
    sums >>= np.uint32(2 * halvings)
    return ordered.back(sums.astype(words.dtype.newbyteorder("=")))


def _as_they_are(words: Words) -> Words:
    return words


def _sums(
    lines: Words, by: int, kind: _Kind, number: Callable[[Words], Words] = _as_they_are
) -> Words:
    """Each so many lines as one; a last one that is missing is as the last that is there."""
    sums = number(lines[::by]).astype(kind)
    for offset in range(1, by):
        more = lines[offset::by]
        sums[: len(more)] += number(more)
        if len(more) < len(sums):
            sums[-1] += number(lines[-1])
    return sums


class _Ordered:
    """Stored bits as numbers from 0 on, in the order of what they mean."""

    def __init__(self, words: Words, image: ImagePixel) -> None:
        self._mask = 2**image.bits_stored - 1
        self._below = image.high_bit + 1 - image.bits_stored
        self._sign = 2 ** (image.bits_stored - 1) if image.is_signed else 0
        self._is_plain = not self._below and not self._sign and int(words.max()) <= self._mask

    def of(self, words: Words) -> Words:
        if self._is_plain:
            return words
        kind = words.dtype.type
        stored = words >> kind(self._below) if self._below else words
        # A code stream may have fewer bits than the header allows.
        stored = stored & kind(self._mask & np.iinfo(kind).max)
        return stored ^ kind(self._sign) if self._sign else stored

    def back(self, numbers: Words) -> Words:
        if self._is_plain:
            return numbers
        kind = numbers.dtype.type
        return (numbers ^ kind(self._sign)) << kind(self._below)
