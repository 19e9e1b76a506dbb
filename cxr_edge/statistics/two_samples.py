"""Tests whether two sets of films differ; with NumPy alone, because nights have no SciPy."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

# Mean and standard deviation of Kolmogorov's distribution: Marsaglia, Tsang, Wang, J. Stat.
# Softw. 8:18 (2003).
KOLMOGOROV_MEAN, KOLMOGOROV_SD = 0.8687311606, 0.2603328859
_TERMS = 100
_CERTAIN = 0.2  # below it the series is 1 to 12 digits, and converges slowly


def kolmogorov_p(distance: float, n: int, m: float = math.inf) -> float:
    """Chance of a Kolmogorov-Smirnov distance as large between samples of one distribution.

    Asymptotic, with Stephens' correction for small samples, J. R. Stat. Soc. B 32:115 (1970).

    Args:
        distance: largest difference between the two distributions.
        n: size of one sample.
        m: size of the other; infinite for a distribution that is known.
    """
    root = math.sqrt(effective(n, m))
    x = (root + 0.12 + 0.11 / root) * distance
    if x < _CERTAIN:
        return 1.0
    terms = ((1.0 if k % 2 else -1.0) * math.exp(-2 * (k * x) ** 2) for k in range(1, _TERMS))
    return min(max(2 * math.fsum(terms), 0.0), 1.0)


def effective(n: int, m: float) -> float:
    """Size of one sample that a known distribution would take instead of the two."""
    return n if math.isinf(m) else n * m / (n + m)


def chi_square_p(value: float, degrees: int) -> float:
    """Chance that a chi-square variable is as large.

    Exact for whole degrees of freedom: Abramowitz, Stegun: Handbook (1964), 26.4.4 and 26.4.5.

    Args:
        value: at least 0.
        degrees: at least 1.
    """
    half = value / 2
    odd = degrees % 2
    total = math.erfc(math.sqrt(half)) if odd else 0.0
    for step in range(degrees // 2):
        power = step + odd / 2
        total += math.exp(power * math.log(half) - half - math.lgamma(power + 1)) if half else 0.0
    return min(total, 1.0) if half else 1.0


def chi_square_2x2(a: float, n: float, b: float, m: float) -> float:
    """Chi-square, one degree of freedom, of `a` among `n` and `b` among `m`; 0 if none differs."""
    share = (a + b) / (n + m)
    variance = share * (1 - share) * (1 / n + 1 / m)
    return (a / n - b / m) ** 2 / variance if variance else 0.0


def stability_index(observed: ArrayLike, expected: ArrayLike) -> float:
    """Population stability index of counts by bin: sum of (o - e) ln(o / e) over shares.

    Half a film is added to each bin, so that an empty one has a logarithm. Below 0.1 is usually
    called stable and above 0.25 shifted: Siddiqi: Credit Risk Scorecards (2006).

    Args:
        observed: [B] films by bin.
        expected: [B] films by bin of the reference.
    """
    o, e = _smoothed(observed), _smoothed(expected)
    return float(((o - e) * np.log(o / e)).sum())


def _smoothed(counts: ArrayLike) -> NDArray[np.float64]:
    values = np.asarray(counts, np.float64) + 0.5
    shares: NDArray[np.float64] = values / values.sum()
    return shares


def adjusted(p_values: Sequence[float]) -> list[float]:
    """Benjamini-Hochberg: a part counts as moved at rate q where its value is at most q.

    Source: Benjamini, Hochberg, J. R. Stat. Soc. B 57:289 (1995).
    """
    p = np.asarray(p_values, np.float64)
    order = np.argsort(p)[::-1]
    raised = p[order] * len(p) / np.arange(len(p), 0, -1)
    values = np.empty_like(p)
    values[order] = np.minimum.accumulate(raised).clip(max=1.0)
    return [float(value) for value in values]
