"""Quantiles, to the bit as `numpy.quantile` gives them.

That first loads masked arrays, which takes as long as two films.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence


def quantiles(values: Iterable[float], shares: Iterable[float]) -> list[float]:
    """Quantile at each share, between 0 and 1; values in any order, one at least."""
    ordered = sorted(values)
    return [quantile(ordered, share) for share in shares]


def quantile(ordered: Sequence[float], share: float) -> float:
    """Quantile at one share of values that ascend."""
    place = (len(ordered) - 1) * share
    before = math.floor(place)
    weight = place - before
    low, high = ordered[before], ordered[min(before + 1, len(ordered) - 1)]
    step = high - low
    return low + step * weight if weight < 0.5 else high - step * (1 - weight)
