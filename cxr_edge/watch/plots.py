"""Plots of figures night by night, as paths of an SVG."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

from cxr_edge.features import FEATURES
from cxr_edge.report.summary import NightSummary
from cxr_edge.statistics.measurements import FEATURE_STEPS
from cxr_edge.watch.history import flag_rate

_LOW, _MIDDLE, _HIGH = FEATURE_STEPS // 4, FEATURE_STEPS // 2, 3 * FEATURE_STEPS // 4
_QUARTILES = "median, and the middle half of the films"
_UNITS = {
    "mean": "grey levels of 255",
    "spread": "grey levels",
    "sharpness": "step between pixels over spread",
    "border_share": "share of the area",
    "size": "pixels",
    "scope": "out of scope, 0 to 1",
    "logit": "logit of the score",
}

Values = Sequence[float | None]


@dataclass(frozen=True)
class Plot:
    """One figure over the nights; lengths are in the units of the drawing.

    Attributes:
        title: what it is.
        unit: of its values.
        lines: values by name, one per night; None where a night has none.
        band: lower and upper values around the first line.
    """

    title: str
    unit: str
    lines: dict[str, Values]
    band: tuple[Values, Values] | None = None
    width: float = 640
    height: float = 120

    @property
    def _range(self) -> tuple[float, float]:
        series = [*self.lines.values(), *(self.band or ())]
        values = [value for values in series for value in values if value is not None]
        low, high = min(values, default=0.0), max(values, default=1.0)
        if high > low:
            return low, high
        return (low - 0.5, high + 0.5) if low < 0 else (0.0, 2 * high or 1.0)

    def _x(self, night: int) -> float:
        nights = len(next(iter(self.lines.values())))
        return self.width * (night / (nights - 1) if nights > 1 else 0.5)

    def _y(self, value: float) -> float:
        low, high = self._range
        return self.height * (high - value) / (high - low)

    def ticks(self) -> Iterator[tuple[str, float]]:
        """Label and height of the lowest, the middle and the highest value."""
        low, high = self._range
        for value in (low, (low + high) / 2, high):
            yield _label(value), self._y(value)

    def line(self, values: Values) -> str:
        """Path through the nights; it breaks where one has no value."""
        path, pen = [], "M"
        for night, value in enumerate(values):
            if value is not None:
                path.append(f"{pen}{self._x(night):.1f} {self._y(value):.1f}")
            pen = "M" if value is None else "L"
        return "".join(path)

    def dots(self, values: Values) -> list[tuple[str, str]]:
        """The nights themselves, where they can be told apart."""
        if len(values) > self.width / 8:
            return []
        known = [(night, value) for night, value in enumerate(values) if value is not None]
        return [(f"{self._x(night):.1f}", f"{self._y(value):.1f}") for night, value in known]

    def area(self) -> str:
        """Bars of the band, night by night."""
        low, high = self.band or ((), ())
        pairs = enumerate(zip(low, high, strict=True))
        return "".join(
            f"M{self._x(night):.1f} {self._y(one):.1f}V{self._y(other):.1f}"
            for night, (one, other) in pairs
            if one is not None and other is not None
        )


def plots(nights: Sequence[NightSummary]) -> list[Plot]:
    """Plot counts, the flag rate, scores and each feature that was measured."""
    counts: dict[str, Values] = {
        name: [float(getattr(night.counts, name)) for night in nights]
        for name in ("found", "attention", "flagged")
    }
    rates = [flag_rate(night) for night in nights]
    value, low, high = (
        [getattr(rate, name) if rate else None for rate in rates]
        for name in ("value", "low", "high")
    )
    drawn = [
        Plot("Files", "files", counts),
        Plot("Flag rate", "share of scored films, 95 % interval", {"rate": value}, (low, high)),
        _quantiles("Score", "probability", nights, lambda night: night.scores),
    ]
    for name in FEATURES:
        if any(_of(night, name) for night in nights):
            title = f"Films: {name.replace('_', ' ')}"
            drawn.append(_quantiles(title, _UNITS[name], nights, partial(_of, feature=name)))
    return drawn


def _of(night: NightSummary, feature: str) -> tuple[float, ...]:
    return night.features.quantiles.get(feature, ()) if night.features else ()


def _quantiles(
    title: str,
    unit: str,
    nights: Sequence[NightSummary],
    values_of: Callable[[NightSummary], tuple[float, ...]],
) -> Plot:
    low, middle, high = (
        [values[step] if (values := values_of(night)) else None for night in nights]
        for step in (_LOW, _MIDDLE, _HIGH)
    )
    return Plot(title, f"{unit}; {_QUARTILES}", {"median": middle}, (low, high))


def _label(value: float) -> str:
    whole = value.is_integer()  # a count
    digits = 0 if whole else max(0, 2 - math.floor(math.log10(abs(value))))
    return f"{value:,.{min(digits, 4)}f}"
