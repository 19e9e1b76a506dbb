"""The evidence map of a film as drawing instructions.

A drawing, not pixels: it is sharp at any size, and no resampling can make a minus of a plus.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

LEVELS = 4  # steps of strength; a cell below half a step stays clear


def overlay_paths(evidence: NDArray[np.float32]) -> tuple[tuple[str, str], ...]:
    """SVG paths, by the pattern of `film.html.j2` that fills them.

    Args:
        evidence: [rows, columns]; strength is relative to the largest share of this map.

    Returns:
        Pairs of a name, `raised-1` to `lowered-4`, and an SVG path in units of cells. A cell whose
        share is below an eighth of the largest is in none.
    """
    steps = strengths(evidence)
    cells = {
        f"{sign}-{level}": (steps == level) & (evidence > 0 if sign == "raised" else evidence < 0)
        for sign in ("raised", "lowered")
        for level in range(1, LEVELS + 1)
    }
    return tuple((name, _path(chosen)) for name, chosen in cells.items() if chosen.any())


def strengths(evidence: NDArray[np.float32]) -> NDArray[np.int64]:
    """Steps of strength, 0 for clear to `LEVELS`, [rows, columns], whatever the sign."""
    strength = np.abs(evidence.astype(np.float64))
    largest = strength.max() or 1.0  # a map of zeros is clear
    return np.floor(strength / largest * LEVELS + 0.5).astype(np.int64)


def _path(chosen: NDArray[np.bool_]) -> str:
    return "".join(f"M{left} {row}h{length}v1h-{length}z" for row, left, length in _runs(chosen))


def _runs(chosen: NDArray[np.bool_]) -> Iterator[tuple[int, int, int]]:
    """Row, first column and length of each stretch of chosen cells."""
    edges = np.diff(np.pad(chosen, ((0, 0), (1, 1))).astype(np.int8), axis=1)
    starts, ends = np.argwhere(edges == 1), np.argwhere(edges == -1)
    for (row, left), (_, end) in zip(starts.tolist(), ends.tolist(), strict=True):
        yield row, left, end - left
