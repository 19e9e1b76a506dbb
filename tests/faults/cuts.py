"""Copies of films that stopped half-way."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

CUTS = 200
# What a cut file may be called. One that ends in its header can look like a file of another kind.
NAMED = {"truncated", "corrupt", "unrecognised", "transfer_syntax", "no_pixel_data"}


Whole = tuple[str, bytes]


def cut_short(data: bytes, length: int) -> bytes:
    """A copy that stopped."""
    return data[:length]


def zero_filled(data: bytes, length: int) -> bytes:
    """A copy that had reserved its space."""
    return data[:length].ljust(len(data), b"\0")


def damaged(
    wholes: list[Whole], damage: Callable[[bytes, int], bytes]
) -> Iterator[tuple[str, bytes]]:
    """Named by format and place; a cut that only takes zeros away from zeros is none."""
    for name, data in wholes:
        for length in np.unique(np.linspace(1, len(data) - 1, CUTS).astype(int)).tolist():
            if (cut := damage(data, length)) != data:
                yield f"{name} at {length} of {len(data)}", cut
