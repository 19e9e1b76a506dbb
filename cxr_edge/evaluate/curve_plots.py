"""ROC and precision-recall, both models in one picture, with their operating points."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

from matplotlib.axes import Axes

from cxr_edge.evaluate.drawing import BLUE, RED, Plot, plain, plot, sheet
from cxr_edge.evaluate.results import Curve, ModelFigures
from cxr_edge.statistics.measurements import with_interval
from cxr_edge.statistics.operating_points import Proportion

_LINES = ((BLUE, "-"), (RED, "--"))
_MARKERS = "os^Dv"

Named = tuple[str, ModelFigures]  # what the page calls a model


@dataclass(frozen=True)
class _Line:
    """A curve as it is drawn.

    Attributes:
        films: by class, negative first.
        points: name of an operating point, and where it lies along x and y.
    """

    name: str
    figure: str
    films: dict[str, int]
    curve: Curve
    points: tuple[tuple[str, Proportion, Proportion], ...]


def _roc_line(name: str, model: ModelFigures) -> _Line | None:
    if not model.roc:
        return None
    figure = f"AUC {with_interval(model.auc)}" if model.auc else "AUC: too few patients"
    places = tuple(
        (point.name, _complement(point.specificity), point.sensitivity)
        for point in model.points
        if point.specificity and point.sensitivity
    )
    return _Line(name, figure, _scored(model), model.roc, places)


def _recall_line(name: str, model: ModelFigures) -> _Line | None:
    if not model.precision_recall or model.average_precision is None:
        return None
    places = tuple(
        (point.name, point.sensitivity, point.positive_predictive_value)
        for point in model.points
        if point.sensitivity and point.positive_predictive_value
    )
    figure = f"average precision {model.average_precision:.3f}"
    return _Line(name, figure, _scored(model), model.precision_recall, places)


def roc(models: Sequence[Named]) -> Plot | None:
    """None where no model has the curve."""
    lines = [line for line in itertools.starmap(_roc_line, models) if line]
    if not lines:
        return None
    figure = sheet()
    axes = figure.subplots()
    axes.plot([0, 1], [0, 1], ":", color="grey", linewidth=1, label="chance: AUC 0.500")
    axes.set(xlabel="1 - specificity (false positive rate)")
    axes.set(ylabel="sensitivity (true positive rate)")
    _draw_lines(axes, lines, "default")
    axes.legend(loc="lower right")
    return plot(figure, f"ROC curve. {_said(lines)}")


def precision_recall(models: Sequence[Named]) -> Plot | None:
    """None where no model has the curve."""
    lines = [line for line in itertools.starmap(_recall_line, models) if line]
    if not lines:
        return None
    figure = sheet()
    axes = figure.subplots()
    negative, positive = lines[0].films.values()
    prevalence = positive / (negative + positive)
    chance = f"chance: prevalence {prevalence:.3f}"
    axes.axhline(prevalence, color="grey", linestyle=":", linewidth=1, label=chance)
    axes.set(xlabel="recall (sensitivity)", ylabel="precision (positive predictive value)")
    _draw_lines(axes, lines, "steps-post")  # between two points no threshold reaches the straight
    axes.legend(loc="lower left")
    return plot(figure, f"Precision-recall curve. {_said(lines)}")


def _draw_lines(axes: Axes, lines: Sequence[_Line], drawstyle: str) -> None:
    """Draw up to two curves in the unit square, and where their operating points lie."""
    for (colour, dashes), line in zip(_LINES, lines, strict=False):
        name, curve = plain(line.name), (line.curve.x, line.curve.y)
        label, owner = f"{name}: {line.figure}", f", {name}" if len(lines) > 1 else ""
        axes.plot(*curve, dashes, color=colour, drawstyle=drawstyle, label=label)
        for marker, (point, x, y) in zip(itertools.cycle(_MARKERS), line.points, strict=False):
            _mark(axes, (x, y), (colour, marker), f"{plain(point)}{owner}")
    films = ", ".join(f"{count:,} {plain(name)}" for name, count in lines[0].films.items())
    axes.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.02), title=films)
    axes.grid(alpha=0.25)


def _mark(
    axes: Axes, place: tuple[Proportion, Proportion], look: tuple[str, str], label: str
) -> None:
    """A point with its 95 % intervals along both axes."""
    x, y = place
    colour, marker = look
    axes.errorbar(
        x.value,
        y.value,
        xerr=[[x.value - x.low], [x.high - x.value]],
        yerr=[[y.value - y.low], [y.high - y.value]],
        fmt=marker,
        color=colour,
        elinewidth=1,
        label=label,
    )


def _complement(share: Proportion) -> Proportion:
    """1 - specificity is what the ROC curve has along x."""
    return Proportion(1 - share.value, 1 - share.high, 1 - share.low, share.n)


def _scored(model: ModelFigures) -> dict[str, int]:
    return {name: sum(bins) for name, bins in model.distribution.counts.items()}


def _said(lines: Sequence[_Line]) -> str:
    """The curves in words."""
    return " ".join(
        f"{line.name}: {line.figure}; operating points "
        + ", ".join(f"{n} at x {x.value:.3f} and y {y.value:.3f}" for n, x, y in line.points)
        + "."
        for line in lines
    )
