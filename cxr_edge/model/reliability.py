"""Reliability of a model's scores: changed films, shortcuts, calibration.

A module of its own, which neither scoring nor the spec imports: no decision rests on these figures,
and to make and read their classes takes a start as long as several films. The spec carries them as
plain values; whoever shows them reads those strictly.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Any

from cxr_edge.errors import ModelRefusedError
from cxr_edge.statistics.measurements import Estimate
from cxr_edge.statistics.operating_points import Proportion
from cxr_edge.support.strict_json import read


@dataclass(frozen=True)
class CalibrationBin:
    """Films with a probability in [low, high): its mean, and the observed share of pneumonia."""

    low: float
    high: float
    mean_probability: float
    observed: Proportion


@dataclass(frozen=True)
class Turned:
    """Decisions that a change of the films turned at one operating point.

    Attributes:
        films: decided otherwise, whatever the direction.
        missed: of these, pneumonia films that are no longer flagged.
        alarms: of these, normal films that are now flagged.
    """

    films: int
    missed: int
    alarms: int

    def __post_init__(self) -> None:
        """Directions are parts of the whole."""
        if min(self.missed, self.alarms) < 0 or self.missed + self.alarms > self.films:
            raise ValueError(f"not turned decisions: {self}")


@dataclass(frozen=True)
class FilmChange:
    """Effect of one change of every film on the scores, beside the films as they are.

    Attributes:
        change: what was done to the films, in words.
        turned: by operating point.
        mean: absolute change of probability, over all films.
        largest: likewise, of one film.
        warned: films with an input warning, which are read first whatever their score.
    """

    change: str
    auc: Estimate
    turned: dict[str, Turned]
    mean: float
    largest: float
    warned: int

    def __post_init__(self) -> None:
        """A mean is no larger than the largest."""
        if not (0 <= self.mean <= self.largest <= 1 and self.warned >= 0):
            raise ValueError(f"not a measured change: {self}")


@dataclass(frozen=True)
class Shortcut:
    """Performance of a classifier that sees no lung.

    Attributes:
        figures: names of all that it sees of a film.
        fitted_on: films that it learned from, in words.
        auc: None where the films do not differ in these figures.
    """

    figures: tuple[str, ...]
    fitted_on: str
    auc: Estimate | None


@dataclass(frozen=True)
class Calibration:
    """Calibration of the probabilities as they ship on one set of films; no scale is fitted.

    Attributes:
        data: what these films are.
        films: how many, or how many copies of films.
        mean_probability: over all of them.
        share: of them with pneumonia.
        log_loss: mean over films, in nats.
        brier: mean squared error of the probability.
        calibration_error: expected calibration error over `CalibrationBin`s. Source: Guo et al.,
            ICML 2017, equation 3.
    """

    data: str
    films: int
    mean_probability: float
    share: float
    log_loss: float
    brier: float
    calibration_error: float


@dataclass(frozen=True)
class Reliability:
    """Reliability of the scores, measured on the validation films where nothing else is said.

    Attributes:
        data: what these films are.
        counts: films by class, and patients.
        film_size: width and height of most of them, in pixels.
        changes: of the films; the first is none.
        shortcuts: `metadata` and `style`.
        calibration: on these films, on their changed copies, and on sets that chose nothing.
    """

    data: str
    counts: dict[str, int]
    film_size: tuple[int, int]
    changes: tuple[FilmChange, ...]
    shortcuts: dict[str, Shortcut]
    calibration: tuple[Calibration, ...]

    def __post_init__(self) -> None:
        """Refuse curves without one for the films as they are."""
        if not self.changes or self.changes[0].largest:
            raise ValueError("the first change of the films must be none")

    @classmethod
    def from_dict(cls, values: Any) -> Reliability:
        """Read what a spec carries.

        Raises:
            ModelRefusedError: a field is missing, unknown, of another type or out of range.
        """
        try:
            return read(cls, values, "reliability")
        except ValueError as error:
            raise ModelRefusedError(f"spec cannot be used: {error}") from error

    def to_dict(self) -> dict[str, Any]:
        """Plain values for a spec, as `json.loads` gives them."""
        values: dict[str, Any] = json.loads(json.dumps(asdict(self)))
        return values
