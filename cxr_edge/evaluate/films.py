"""The films that a figure rests on, as arrays."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtrit

from cxr_edge.evaluate.results import EvaluatedFilm
from cxr_edge.statistics.operating_points import Proportion
from cxr_edge.types import PROBABILITY_DECIMALS

_PATIENTS_SUPPOSED = 3


@dataclass(frozen=True)
class Scored:
    """N scored films.

    Attributes:
        films: N films.
        labels: int64 [N], 1 for the positive class.
        probability: float64 [N], as printed: decisions rest on that.
        patients: N names.
    """

    films: tuple[EvaluatedFilm, ...]
    labels: NDArray[np.int64]
    probability: NDArray[np.float64]
    patients: tuple[str, ...]

    @classmethod
    def of(cls, films: Iterable[EvaluatedFilm]) -> Scored:
        """The films that have a score."""
        kept = [(film, film.result.probability) for film in films]
        scored = [(film, p) for film, p in kept if p is not None]
        return cls(
            tuple(film for film, _ in scored),
            np.array([film.label for film, _ in scored], np.int64),
            np.array([round(p, PROBABILITY_DECIMALS) for _, p in scored], np.float64),
            tuple(film.patient for film, _ in scored),
        )

    @property
    def both_classes(self) -> bool:
        """Check for films of both classes: a curve, an area or a threshold needs them."""
        return len(np.unique(self.labels)) == 2

    @property
    def inside(self) -> NDArray[np.float64]:
        """The probabilities, float64 [N], between 0 and 1: those are printed for what lies near."""
        half = 0.5 * 10**-PROBABILITY_DECIMALS
        return self.probability.clip(half, 1 - half)

    def share(self, chosen: NDArray[np.bool_], among: NDArray[np.bool_]) -> Proportion:
        """Share of some films that are chosen; its interval knows that patients have several.

        Args:
            chosen: [N].
            among: [N], of which films; at least one.
        """
        hits = chosen[among]
        patients = [self.patients[film] for film in np.flatnonzero(among)]
        return Proportion.of(int(hits.sum()), len(hits), independent_films(hits, patients))


def independent_films(hits: NDArray[np.bool_], patients: Sequence[str]) -> float:
    """Number of films of different patients that tell as much about a share as these do.

    Their number by the design effect, the variance of the share between patients over that of as
    many independent films (Rao, Scott, Biometrics 48:577, 1992), less what estimating it from few
    patients costs (Korn, Graubard, Surv. Methodol. 24:193, 1998). A handful of patients cannot show
    an effect: it counts as if the films of `_PATIENTS_SUPPOSED` more of them agreed. Where all
    films agree, patients count once, and less where some have many more films than others.

    Args:
        hits: [N], at least one.
        patients: [N], who is on each film.
    """
    films = len(hits)
    people, owner = np.unique(np.asarray(patients), return_inverse=True)
    if films == len(people):
        return float(films)
    value = float(hits.mean())
    agreeing = float((np.bincount(owner) ** 2).sum()) / films  # the effect if all films did
    alike = films / agreeing  # so many patients with as many films each
    if value in (0, 1) or alike <= 1:
        return alike
    residuals = np.bincount(owner, hits - value)
    between = len(people) / (len(people) - 1) * float(residuals @ residuals) / films**2
    seen = max(between / (value * (1 - value) / (films - 1)), 1.0)
    showing = min(len(np.unique(owner[hits])), len(np.unique(owner[~hits])))
    supposed = _PATIENTS_SUPPOSED * agreeing
    effect = (showing * seen + supposed) / (showing + _PATIENTS_SUPPOSED)
    estimated = (stdtrit(np.inf, 0.975) / stdtrit(alike - 1, 0.975)) ** 2
    return max(1.0, float(films / effect * estimated))
