"""Rule-made images for the self-test: integer arithmetic only, so they are the same everywhere."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from cxr_edge.errors import ModelRefusedError

Plane = NDArray[np.int64]


def golden_image(rule: str, size: int) -> NDArray[np.uint8]:
    """The image that a rule makes.

    Args:
        rule: one of `RULES`.
        size: S, pixels a side.

    Returns:
        uint8 [S, S, 1].

    Raises:
        ModelRefusedError: no such rule.
    """
    if rule not in RULES:
        raise ModelRefusedError(f"golden case of an unknown rule {rule!r}")
    rows, columns = np.indices((size, size), dtype=np.int64)
    return RULES[rule](rows, columns, size).astype(np.uint8)[:, :, np.newaxis]


def _ramp(rows: Plane, columns: Plane, size: int) -> Plane:
    """Dark left to bright right."""
    return columns * 255 // (size - 1)


def _rings(rows: Plane, columns: Plane, size: int) -> Plane:
    """Squared distance from the centre, wrapped."""
    distance = (2 * rows - size) ** 2 + (2 * columns - size) ** 2
    return distance * 1020 // (size * size) % 256


def _lungs(rows: Plane, columns: Plane, size: int) -> Plane:
    """Two dark ellipses on a bright field."""
    y = (100 * rows // size - 50) ** 2
    left = y + 4 * (100 * columns // size - 30) ** 2 < 1200
    right = y + 4 * (100 * columns // size - 70) ** 2 < 1200
    return 200 - 140 * (left | right) + 40 * rows // size


def _cloudy(rows: Plane, columns: Plane, size: int) -> Plane:
    """The two ellipses with a dense lower left and a fine grain."""
    dense = (100 * rows // size > 55) & (100 * columns // size < 45)
    return np.clip(_lungs(rows, columns, size) + 70 * dense + _grain(rows, columns), 0, 255)


def _checks(rows: Plane, columns: Plane, size: int) -> Plane:
    """Squares of an eighth of the image."""
    return 60 + 130 * ((8 * rows // size + 8 * columns // size) % 2)


def _grain(rows: Plane, columns: Plane) -> Plane:
    """A repeatable pattern between -15 and 15."""
    return (rows * 7919 + columns * 104729 + rows * columns * 31) % 31 - 15


RULES: dict[str, Callable[[Plane, Plane, int], Plane]] = {
    "ramp": _ramp,
    "rings": _rings,
    "lungs": _lungs,
    "cloudy": _cloudy,
    "checks": _checks,
}
