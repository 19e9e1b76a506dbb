"""The films that a figure rests on, as arrays."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cxr_edge.evaluate.figures import EvaluatedFilm
from cxr_edge.types import PROBABILITY_DECIMALS


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
        """Those of the films that have a score."""
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
        """What a curve, an area or a threshold needs."""
        return len(np.unique(self.labels)) == 2
