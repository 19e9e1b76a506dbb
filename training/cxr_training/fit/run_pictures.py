"""The report's own pictures of a run: learning curves and the confusion-matrix heat map."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from numpy.typing import NDArray
from sklearn.metrics import ConfusionMatrixDisplay

from cxr_training.films.data import CLASSES


def draw_curves(history: Sequence[dict[str, float]], path: Path) -> None:
    """Loss and accuracy per epoch, training and validation."""
    figure = Figure(figsize=(10, 4), layout="constrained")
    epochs = [row["epoch"] for row in history]
    for axes, key, title in zip(
        figure.subplots(1, 2), ("loss", "binary_accuracy"), ("Loss", "Accuracy"), strict=True
    ):
        axes.plot(epochs, [row[key] for row in history], label="training")
        axes.plot(epochs, [row[f"val_{key}"] for row in history], "--", label="validation")
        axes.set(title=title, xlabel="epoch", ylabel=key.replace("_", " "))
        axes.legend()
        axes.grid(alpha=0.3)
    save(figure, path)


def draw_confusion(matrix: NDArray[np.int64], path: Path) -> None:
    """Confusion matrix at 0.5 as a heat map, counts in the cells."""
    figure = Figure(figsize=(5, 4), layout="constrained")
    display = ConfusionMatrixDisplay(matrix, display_labels=CLASSES)
    display.plot(ax=figure.subplots(), cmap="Blues", values_format="d")
    save(figure, path)


def save(figure: Figure, path: Path) -> None:
    """PNG through the Agg canvas: needs no display and no global pyplot state."""
    FigureCanvasAgg(figure)
    figure.savefig(path, dpi=120)
