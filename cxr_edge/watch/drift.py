"""Tests whether the latest films look like those of a reference, part by part."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cxr_edge.features import FEATURES, logit_of
from cxr_edge.ledger.window import Film
from cxr_edge.statistics.operating_points import Proportion
from cxr_edge.statistics.two_samples import (
    KOLMOGOROV_MEAN,
    KOLMOGOROV_SD,
    adjusted,
    chi_square_2x2,
    chi_square_p,
    effective,
    kolmogorov_p,
    stability_index,
)
from cxr_edge.watch.reference import SCORE, Marks, Reference

LEAST = 200  # films in a window
RATE = 0.01  # of false discoveries among the parts that are called moved
_BINS = 10
_FEW = 10  # films with a warning, in both sets together; fewer are left out
_RANGE = logit_of(1.0)  # of logits: rows have six decimals, validation may have more


@dataclass(frozen=True)
class Part:
    """One property of films that may have moved.

    Attributes:
        name: `score`, a feature, `warnings` or `flag rate`.
        statistic: Kolmogorov-Smirnov distance, or chi-square.
        z: the statistic in standard deviations above what chance gives.
        p: chance of one as large.
        psi: population stability index: how far it moved.
        counted: whether it counts: scores and flags differ from validation without a fault.
        p_adjusted: after Benjamini and Hochberg, over the parts that count.
        moved: whether it counts, and is beyond chance at `RATE`.
        over: whether it moved, and further than the limit.
    """

    name: str
    statistic: float
    z: float
    p: float
    psi: float
    counted: bool = True
    p_adjusted: float = 1.0
    moved: bool = False
    over: bool = False


@dataclass(frozen=True)
class Drift:
    """A window of films against a reference.

    Attributes:
        films: in the window.
        first_run: that of the earliest film; `last_run` that of the latest.
        flag_rate: of the window.
        limit: of the stability index.
        total: sum of the z of the parts that count; 0 by chance, with a deviation of the root of
            their number where they are independent.
    """

    reference: str
    reference_films: int
    films: int
    first_run: str
    last_run: str
    threshold: float
    flag_rate: Proportion
    limit: float
    parts: tuple[Part, ...]
    total: float

    @property
    def over(self) -> bool:
        """Whether a limit is passed."""
        return any(part.over for part in self.parts)

    def to_dict(self) -> dict[str, Any]:
        """Plain values for programs."""
        return {"schema_version": 1, **asdict(self), "over": self.over}


def compare(films: Sequence[Film], reference: Reference, threshold: float, limit: float) -> Drift:
    """Hold a window of films against a reference.

    Args:
        films: at least `LEAST`, latest first.
        reference: what they are compared with.
        threshold: films are flagged at or above it.
        limit: of the population stability index of each part.
    """
    flags = sum(film.probability >= threshold for film in films)
    parts = [
        *_distributions(films, reference),
        *_warnings(films, reference),
        *_flags(flags, len(films), reference),
    ]
    counted = [part for part in parts if part.counted]
    values = dict(zip(counted, adjusted([part.p for part in counted]), strict=True))
    judged = tuple(_judged(part, values.get(part, 1.0), limit) for part in parts)
    return Drift(
        reference.name,
        reference.films,
        len(films),
        films[-1].run,
        films[0].run,
        threshold,
        Proportion.of(flags, len(films)),
        limit,
        judged,
        sum(part.z for part in counted),
    )


def _judged(part: Part, p: float, limit: float) -> Part:
    moved = part.counted and p <= RATE
    return replace(part, p_adjusted=p, moved=moved, over=moved and part.psi > limit)


def _distributions(films: Sequence[Film], reference: Reference) -> Iterator[Part]:
    for name in (SCORE, *(each for each in FEATURES if each != SCORE)):
        if (marks := reference.marks.get(name)) is None:
            continue
        values = _column(films, name)
        if len(values) < LEAST:  # most rows are of before it was measured
            continue
        if name == SCORE:
            marks = replace(marks, values=marks.values.clip(-_RANGE, _RANGE))
        distance, psi = _distance(values, marks), _psi(values, marks, reference.films)
        root = math.sqrt(effective(len(values), reference.films))
        yield Part(
            "score" if name == SCORE else name,
            distance,
            (root * distance - KOLMOGOROV_MEAN) / KOLMOGOROV_SD,
            kolmogorov_p(distance, len(values), reference.films),
            psi,
            counted=reference.patients_alike or name != SCORE,
        )


def _column(films: Sequence[Film], name: str) -> NDArray[np.float64]:
    """Sorted values of one feature, of the films that have it."""
    if name == SCORE:
        return np.sort([float(f"{logit_of(film.probability):.6g}") for film in films])
    place = FEATURES.index(name)
    values = [film.features[place] for film in films if len(film.features) == len(FEATURES)]
    return np.sort(np.array([value for value in values if value is not None], np.float64))


def _distance(values: NDArray[np.float64], marks: Marks) -> float:
    """Kolmogorov-Smirnov distance at the marks alone: never more than between all values."""
    below = np.searchsorted(values, marks.values, "left") / len(values)
    upto = np.searchsorted(values, marks.values, "right") / len(values)
    return float(max((below - marks.below).max(), (marks.upto - upto).max(), 0.0))


def _psi(values: NDArray[np.float64], marks: Marks, films: int) -> float:
    """Stability index over about ten bins; where values tie, the reference gets the best of it.

    The bins end behind the marks nearest to the tenths. A value that more than a tenth of the
    reference has is a bin of its own: all films on one side of it would else be in the same bin.
    """
    below = np.searchsorted(values, marks.values, "left") / len(values)
    upto = np.searchsorted(values, marks.values, "right") / len(values)
    before = np.append(0.0, marks.upto[:-1])
    observed = _in_turn(below, upto)
    expected = _in_turn(below.clip(before, marks.below), upto.clip(marks.upto, marks.following))
    wanted = np.arange(1, _BINS) / _BINS
    nearest = 2 * np.abs(marks.upto[:, np.newaxis] - wanted).argmin(axis=0) + 1
    heaps = 2 * np.flatnonzero(marks.upto - marks.below > 1 / _BINS)
    places = np.unique(np.concatenate((nearest, heaps, heaps + 1)))
    is_empty = (observed == expected) & np.isin(expected, (0, 1))
    places = places[~is_empty[places]]
    observed_counts = np.diff(observed[places], prepend=0, append=1) * len(values)
    expected_counts = np.diff(expected[places], prepend=0, append=1) * films
    return stability_index(observed_counts, expected_counts)


def _in_turn(below: NDArray[np.float64], upto: NDArray[np.float64]) -> NDArray[np.float64]:
    """Shares below the first mark, up to it, below the second, and so on."""
    return np.column_stack((below, upto)).ravel()


def _warnings(films: Sequence[Film], reference: Reference) -> Iterator[Part]:
    """Chi-square summed over warnings, each with one degree of freedom; the largest shift."""
    if reference.warnings is None:
        return
    n, m = len(films), reference.films
    seen = Counter(warning for film in films for warning in film.warnings)
    pairs = {
        name: (seen[name], reference.warnings.get(name, 0))
        for name in sorted({*seen, *reference.warnings})
    }
    pairs = {name: pair for name, pair in pairs.items() if sum(pair) >= _FEW}
    if pairs:
        value = sum(chi_square_2x2(a, n, b, m) for a, b in pairs.values())
        psi = max(_psi_of_share(a, n, b, m) for a, b in pairs.values())
        yield _chi_square_part("warnings", value, len(pairs), psi)


def _flags(flags: int, films: int, reference: Reference) -> Iterator[Part]:
    if reference.flags is not None:
        n, m = films, reference.films
        value = chi_square_2x2(flags, n, reference.flags, m)
        yield _chi_square_part("flag rate", value, 1, _psi_of_share(flags, n, reference.flags, m))


def _chi_square_part(name: str, value: float, degrees: int, psi: float) -> Part:
    z = (value - degrees) / math.sqrt(2 * degrees)
    return Part(name, value, z, chi_square_p(value, degrees), psi)


def _psi_of_share(a: int, n: int, b: int, m: int) -> float:
    return stability_index([a, n - a], [b, m - b])


def table(drift: Drift) -> Iterator[str]:
    """Lines for people: the window, every part, the sum."""
    rate = drift.flag_rate
    yield f"window: {drift.films} films, runs {drift.first_run} to {drift.last_run}"
    yield f"reference: {drift.reference}, {drift.reference_films} films"
    yield (
        f"flag rate at {drift.threshold:.3f}: {rate.value:.3f} "
        f"(95 % {rate.low:.3f} to {rate.high:.3f})"
    )
    yield f"{'part':<14}{'statistic':>10}{'z':>8}{'p':>9}{'p (BH)':>9}{'PSI':>7}"
    for part in drift.parts:
        adjusted_p = f"{part.p_adjusted:9.4f}" if part.counted else f"{'-':>9}"
        row = f"{part.name:<14}{part.statistic:>10.3f}{part.z:>8.1f}{part.p:>9.4f}{adjusted_p}"
        yield f"{row}{part.psi:>7.2f}  {_verdict(part)}".rstrip()
    counted = sum(part.counted for part in drift.parts)
    yield f"sum of z: {drift.total:.1f} over {counted} parts"
    over = ", ".join(part.name for part in drift.parts if part.over)
    yield f"over the limit of PSI {drift.limit:g}: {over or 'nothing'}"


def _verdict(part: Part) -> str:
    if not part.counted:
        return "not counted: patients differ from those of validation"
    return ("moved, over the limit" if part.over else "moved") if part.moved else ""
