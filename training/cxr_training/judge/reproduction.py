"""Figures of finished runs on a labelled folder at the source report's own threshold of 0.5.

The work behind `cxr-edge runs reproduce TEST RUN...`, which prints a table in Markdown to hold
beside the report's: accuracy, the share of each class that is recognised, and the area under the
ROC curve, each with its 95 % interval by patient, and the area on the run's own validation films.
Nothing is chosen here: run.json has the thresholds that were.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

import keras
import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from cxr_edge.errors import DataError, InputError
from cxr_edge.evaluate.job import FOLDER_NAMES, Labels
from cxr_edge.preprocess import PREPROCESSING_VERSION
from cxr_edge.statistics.auc import auc_estimate, estimate
from cxr_edge.statistics.measurements import Estimate
from cxr_edge.statistics.operating_points import Proportion
from cxr_training.films import data
from cxr_training.fit import run
from cxr_training.fit.predictions import logits_of
from cxr_training.fit.validation import REPORT_THRESHOLD
from cxr_training.judge.out_of_fold import share
from cxr_training.nets import NETS

_HEADER = (
    "| run | network | recipe, epochs, seed | accuracy | normals | pneumonias | AUC | "
    "AUC on validation |"
)


def rows(test: Path, runs: Iterable[Path], labels: Labels = FOLDER_NAMES) -> Iterator[str]:
    """The table, line by line: a run takes a while.

    Args:
        test: labelled folder.
        runs: RUN folders of `cxr-edge train`.
        labels: where findings and patients of its films stand.

    Raises:
        DataError: the films cannot be read, or one is the run's own.
        InputError: a RUN folder is not finished, or saw its films otherwise.
    """
    yield _HEADER
    yield "|---" * _HEADER.count(" | ") + "|---|"
    sets: dict[int, data.ImageSet] = {}
    for folder in runs:
        described = run.read_run(folder)
        if run.trained_preprocessing(described) != PREPROCESSING_VERSION:
            raise InputError(f"{folder} was trained through another preprocessing")
        size = NETS[described["net"]].size
        if size not in sets:
            sets[size] = _all_films(test, size, labels)
        if sets[size].sha256 == described["data"]["sha256"]:
            raise DataError(f"{test} is what {folder} was trained with; it tests nothing")
        data.check_held_back(test, sets[size], run.films_of(folder), f"films of {folder}")
        model = keras.models.load_model(folder / run.MODEL_FILE, compile=False)
        probability = expit(logits_of(model, sets[size].pixels))
        recipe = described["recipe"]
        cells = [
            folder.resolve().name,
            f"`{described['net']}`",
            f"`{recipe['name']}`, {described['epochs']}, {described['seed']}",
            *map(_cell, figures(sets[size], probability)),
            f"{described['metrics']['auc']:.3f}",
        ]
        yield f"| {' | '.join(cells)} |"


def figures(images: data.ImageSet, probability: NDArray[np.float64]) -> tuple[Estimate | None, ...]:
    """Accuracy, share of the normals and of the pneumonias that is recognised, area.

    Args:
        images: N films.
        probability: [N] of pneumonia; above 0.5 it is one.
    """
    right = (probability > REPORT_THRESHOLD) == (images.labels == 1)
    patients = [file.patient for file in images.files]
    everything = np.ones(len(right), np.bool_)
    shares = (
        _share(right, among, patients)
        for among in (everything, images.labels == 0, images.labels == 1)
    )
    return (*shares, auc_estimate(images.labels, probability, patients))


def _share(right: NDArray[np.bool_], among: NDArray[np.bool_], patients: list[str]) -> Estimate:
    """Share of the films `among` all that were judged right."""
    figure = estimate(float(right[among].mean()), share(right, among), patients)
    if figure.low < figure.high:
        return figure
    # All right, or none: a bootstrap without width says nothing. Wilson's interval over patients.
    people = len({patients[film] for film in np.flatnonzero(among)})
    wilson = Proportion.of(round(figure.value * people), people)
    return replace(figure, low=wilson.low, high=wilson.high)


def _cell(figure: Estimate | None) -> str:
    if figure is None:
        return "too few patients"
    return f"{figure.value:.3f} ({figure.low:.3f} to {figure.high:.3f})"


def _all_films(test: Path, size: int, labels: Labels) -> data.ImageSet:
    """A figure about a folder is about all of it."""
    images, skipped = data.load_images(data.find_labelled(test, labels), size, labels=labels)
    if skipped:
        raise DataError(
            f"films of {test} that cannot be read: {len(skipped)}, the first is {skipped[0]}",
            tip="a figure is about the whole folder: take them out of it, or out of the CSV",
        )
    return images
