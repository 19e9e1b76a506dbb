"""Which film is held out when: folds of a scheme, kept in a table so that every run shares them."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray
from sklearn.model_selection import StratifiedGroupKFold

from cxr_edge.errors import DataError
from cxr_training import style
from cxr_training.data import ImageSet
from cxr_training.run import write_table

Scheme = Literal["patients", "style"]
SCHEMES: tuple[str, ...] = get_args(Scheme)
Folds = NDArray[np.int64]


def patient_folds(images: ImageSet, folds: int, seed: int) -> Folds:
    """Folds 1 to K of random patients, both classes in proportion: [N].

    Raises:
        DataError: fewer films of a class than folds.
    """
    patients = [file.patient for file in images.files]
    splitter = StratifiedGroupKFold(folds, shuffle=True, random_state=seed)
    fold_of = np.zeros(len(patients), np.int64)
    try:
        for number, (_, held_out) in enumerate(
            splitter.split(images.labels, images.labels, patients), start=1
        ):
            fold_of[held_out] = number
    except ValueError as error:
        raise DataError(f"too few images for {folds} folds: {error}") from error
    return fold_of


def assign(images: ImageSet, scheme: Scheme, folds: int, seed: int) -> tuple[Folds, list[str]]:
    """Folds [N] of a scheme, and a note per film: its propensity where style decided."""
    if scheme == "patients":
        return patient_folds(images, folds, seed), [""] * len(images.files)
    looks = style.propensity(style.all_statistics(images.files), images, seed)
    return style.style_folds(images, looks, folds, seed), [f"{look:.4f}" for look in looks]


def write_folds(path: Path, images: ImageSet, fold_of: Folds, looks: list[str]) -> None:
    """One row per film."""
    rows = [
        {"name": f.name, "patient": f.patient, "fold": int(fold), "style_propensity": look}
        for f, fold, look in zip(images.files, fold_of, looks, strict=True)
    ]
    write_table(path, rows)


def read_folds(path: Path) -> Folds:
    """What `write_folds` wrote: [N], in the order of the films."""
    with path.open(newline="", encoding="utf-8") as stream:
        return np.array([int(row["fold"]) for row in csv.DictReader(stream)], np.int64)
