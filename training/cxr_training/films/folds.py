"""Folds of a scheme, kept in a table so that every run holds out the same films."""

from __future__ import annotations

import csv
import warnings
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from sklearn.model_selection import StratifiedGroupKFold

from cxr_edge.errors import DataError, InputError
from cxr_training.films import style
from cxr_training.films.data import CLASSES, ImageSet
from cxr_training.support.writing import write_table

Scheme = Literal["patients", "style"]
Folds = NDArray[np.int64]
_FEWER = "more patients of that class, or fewer --folds"
_BEGIN_ANEW = "bring the file back, or begin in another place"


def patient_folds(images: ImageSet, folds: int, seed: int) -> Folds:
    """Folds 1 to K of random patients, both classes in proportion: [N].

    Raises:
        DataError: fewer films of each class than folds.
    """
    patients = [file.patient for file in images.files]
    splitter = StratifiedGroupKFold(folds, shuffle=True, random_state=seed)
    fold_of = np.zeros(len(patients), np.int64)
    try:
        with warnings.catch_warnings(category=UserWarning, action="ignore"):  # see `assign`
            held_out = [fold for _, fold in splitter.split(patients, images.labels, patients)]
    except ValueError as error:
        raise DataError(f"too few images for {folds} folds: {error}", tip=_FEWER) from error
    for number, films in enumerate(held_out, start=1):
        fold_of[films] = number
    return fold_of


def assign(images: ImageSet, scheme: Scheme, folds: int, seed: int) -> tuple[Folds, list[str]]:
    """Folds [N] of a scheme, and a note per film: its propensity where style decided.

    Raises:
        DataError: a fold would hold films of one class only, or none.
    """
    if scheme == "patients":
        fold_of, notes = patient_folds(images, folds, seed), [""] * len(images.files)
    else:
        looks = style.propensity(style.all_statistics(images.files), images, seed)
        fold_of = style.style_folds(images, looks, folds, seed)
        notes = [f"{look:.4f}" for look in looks]
    _check_classes(images, fold_of, folds)
    return fold_of, notes


def _check_classes(images: ImageSet, fold_of: Folds, folds: int) -> None:
    """A fold of one class has no area under a curve, and would say so after hours."""
    for label, name in enumerate(CLASSES):
        films = np.bincount(fold_of[images.labels == label], minlength=folds + 1)[1:]
        if not films.all():
            raise DataError(f"fold {films.argmin() + 1} of {folds} holds no {name}", tip=_FEWER)


def write_folds(path: Path, images: ImageSet, fold_of: Folds, looks: list[str]) -> None:
    """One row per film."""
    rows = [
        {"name": f.name, "patient": f.patient, "fold": int(fold), "style_propensity": look}
        for f, fold, look in zip(images.files, fold_of, looks, strict=True)
    ]
    write_table(path, rows)


def read_folds(path: Path, films: int) -> Folds:
    """Read the table of `write_folds`: [N], in the order of the films.

    Raises:
        InputError: it is gone, or no longer a table of folds of that many films.
    """
    try:
        with path.open(newline="", encoding="utf-8") as stream:
            fold_of = [int(row["fold"]) for row in csv.DictReader(stream)]
    except (OSError, KeyError, TypeError, ValueError) as error:
        raise InputError(f"{path} cannot be read: {error!r}", tip=_BEGIN_ANEW) from error
    if len(fold_of) != films:
        raise InputError(f"{path} is about {len(fold_of)} films, not {films}", tip=_BEGIN_ANEW)
    return np.array(fold_of, np.int64)
