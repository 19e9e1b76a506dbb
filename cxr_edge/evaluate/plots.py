"""The pictures of an evaluation."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import matplotlib
import numpy as np
from sklearn.metrics import ConfusionMatrixDisplay

from cxr_edge.evaluate.curve_plots import precision_recall, roc
from cxr_edge.evaluate.drawing import BLUE, RED, SMALL, STYLE, Plot, plain, plot, sheet
from cxr_edge.evaluate.results import Evaluation, ModelFigures, PointFigures
from cxr_edge.evaluate.words import flagged_wrongly, missed, model_names
from cxr_edge.statistics.measurements import SCORE_BINS
from cxr_edge.types import probability_text

_DASHES = ("--", "-.", ":", (0, (1, 4)))
_TICKS = (0, 2, *(step * 10**power for power in range(1, 6) for step in (1, 4)))


@dataclass(frozen=True)
class ModelPlots:
    """The pictures of one model; `confusions` in the order of its points."""

    confusions: tuple[Plot, ...]
    calibration: Plot
    scores: Plot


@dataclass(frozen=True)
class Plots:
    """All pictures of a page; None where no model has the figure."""

    roc: Plot | None
    precision_recall: Plot | None
    models: tuple[ModelPlots, ...]


def draw(evaluation: Evaluation) -> Plots:
    """Draw every picture that the figures allow."""
    classes, models = evaluation.films.classes, evaluation.models
    named = list(zip(model_names(evaluation), models, strict=True))
    with matplotlib.rc_context(STYLE):
        return Plots(
            roc(named),
            precision_recall(named),
            tuple(_model_plots(model, classes) for model in models),
        )


def _model_plots(model: ModelFigures, classes: tuple[str, str]) -> ModelPlots:
    return ModelPlots(
        tuple(_confusion(point, classes) for point in model.points),
        _calibration(model, classes[1]),
        _histogram(model),
    )


def _confusion(point: PointFigures, classes: tuple[str, str]) -> Plot:
    """Heat map; the colour is the share of the finding, so that a rare class shows too."""
    counts = point.confusion
    matrix = np.array(
        [
            [counts.true_negative, counts.false_positive],
            [counts.false_negative, counts.true_positive],
        ]
    )
    totals = np.repeat(matrix.sum(axis=1, keepdims=True), 2, axis=1)
    shares = matrix / np.maximum(totals, 1)
    figure = sheet(SMALL)
    axes = figure.subplots()
    display = ConfusionMatrixDisplay(shares).plot(
        ax=axes,
        cmap="Blues",
        colorbar=False,
        im_kw={"vmin": 0, "vmax": 1.5},  # black is legible on two thirds of the map
        text_kw={"color": "black", "fontsize": 11},
    )
    for text, films, total in zip(display.text_.flat, matrix.flat, totals.flat, strict=True):
        text.set_text(f"{films:,}\n{films / total:.1%}" if total else "0")
    axes.set_xticks([0, 1], ["unflagged", "flagged"])
    axes.set_yticks([0, 1], [plain(name) for name in classes], rotation=90, va="center")
    title = f"{plain(point.name)}: {probability_text(point.threshold)}, n = {matrix.sum():,}"
    axes.set(xlabel="decision", ylabel="finding", title=title)
    errors = f"{missed(point)} {classes[1]} missed, {flagged_wrongly(point)} {classes[0]} flagged"
    return plot(figure, f"Confusion matrix at {point.name}: {errors}.")


def _calibration(model: ModelFigures, positive: str) -> Plot:
    """Reliability diagram with Wilson intervals, over the number of films behind each point."""
    bins = model.calibration
    predicted, observed = [item.mean_probability for item in bins], [item.observed for item in bins]
    figure = sheet()
    upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=[3, 1])
    upper.plot([0, 1], [0, 1], ":", color="grey", linewidth=1, label="perfect")
    bars = [[o.value - o.low for o in observed], [o.high - o.value for o in observed]]
    label = "observed, 95 % interval"
    upper.errorbar(predicted, [o.value for o in observed], bars, fmt="o", color=BLUE, label=label)
    upper.set(ylabel=f"share that is {plain(positive)}", ylim=(-0.03, 1.03))
    upper.set_title(f"n = {sum(o.n for o in observed):,}")
    upper.grid(alpha=0.25)
    upper.legend(loc="upper left")
    edges, widths = [item.low for item in bins], [0.9 * (item.high - item.low) for item in bins]
    columns = lower.bar(edges, [o.n for o in observed], widths, align="edge", color=BLUE)
    lower.bar_label(columns, fmt="{:,.0f}", fontsize=7, padding=1)
    lower.margins(y=0.3)
    lower.set(xlabel="predicted probability", ylabel="films", xlim=(-0.03, 1.03))
    return plot(figure, f"Calibration curve over {len(bins)} bins; the table holds its points.")


def _histogram(model: ModelFigures) -> Plot:
    """Scores by class with the thresholds, and how validation's films were spread."""
    spread = model.spec.validation_scores
    validation = spread.counts if spread else {}
    figure = sheet()
    panels = figure.subplots(2, 1, sharex=True)
    edges = np.linspace(0, 1, SCORE_BINS + 1)
    for axes, (name, films) in zip(panels, model.distribution.counts.items(), strict=True):
        axes.stairs(films, edges, fill=True, color=BLUE, alpha=0.75, label="this set")
        before = np.array(validation.get(name, ()))
        if before.any():
            scaled = before * sum(films) / before.sum()
            axes.stairs(scaled, edges, color="black", label="validation, to scale")
        for style, point in zip(itertools.cycle(_DASHES), model.points, strict=False):
            axes.axvline(point.threshold, color=RED, linestyle=style, label=plain(point.name))
        # Square roots: one misjudged film stays visible beside hundreds.
        axes.set_yscale("function", functions=(np.sqrt, np.square))
        axes.set(title=f"{plain(name)}, n = {sum(films):,}", ylabel="films (root scale)")
        axes.set_ylim(bottom=0)
        axes.set_yticks([tick for tick in _TICKS if tick <= max(1, axes.get_ylim()[1])])
    panels[1].set(xlabel="probability", xlim=(0, 1))
    figure.legend(*panels[0].get_legend_handles_labels(), loc="outside lower center", ncols=2)
    return plot(figure, "Histograms of the scores by class; the table holds the counts.")
