"""Scores of films by a network, and the table that keeps them."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from cxr_training.films.augmentation import as_rgb
from cxr_training.films.data import ImageSet
from cxr_training.nets.blocks import OUTPUT_DENSE_LAYER
from cxr_training.support.writing import write_table


def logits_of(model: keras.Model, pixels: NDArray[Any]) -> NDArray[np.float64]:
    """Output of the network before its sigmoid: grey levels [N, S, S, 1] to [N]."""
    to_logit = keras.Model(model.input, model.get_layer(OUTPUT_DENSE_LAYER).output)
    predicted = to_logit.predict(as_rgb(pixels), batch_size=128, verbose=0)
    return np.asarray(predicted, dtype=np.float64)[:, 0]


def write_scores(
    path: Path,
    images: ImageSet,
    raw: NDArray[np.float64],
    copies: NDArray[np.float64] | None = None,
) -> None:
    """One row per film: its logit, [N], and those of its changed copies, [draws, N], if any."""
    rows = [
        {"name": f.name, "label": f.label, "probability": f"{expit(z):.6f}", "logit": f"{z:.5f}"}
        for f, z in zip(images.files, raw, strict=True)
    ]
    for draw, logits in enumerate(() if copies is None else copies, start=1):
        for row, z in zip(rows, logits, strict=True):
            row[f"copy_{draw}_logit"] = f"{z:.5f}"
    write_table(path, rows)


def read_scores(path: Path) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Labels and logits of a table of scores."""
    with path.open(newline="", encoding="utf-8") as stream:
        rows = [(int(row["label"]), float(row["logit"])) for row in csv.DictReader(stream)]
    return np.array([label for label, _ in rows]), np.array([logit for _, logit in rows])
