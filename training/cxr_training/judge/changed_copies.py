"""Finished runs, compared on changed copies of the validation films that they share.

The work behind `cxr-edge runs compare DATA RUN...`.

Films as they are saturate, and one copy of each leaves an area to the luck of its draw. So areas
are means over the draws of `films.copies`, at each network's own size. A run is held against the
first one film by film, so a small difference shows; intervals are by patient. Copies of the
training films, one each, tell a network that has no room left from one that learns by heart.
Nothing is chosen here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import keras
import numpy as np
from numpy.typing import NDArray
from scipy.special import logit
from sklearn.metrics import roc_auc_score

from cxr_edge.errors import InputError
from cxr_edge.evaluate.job import FOLDER_NAMES, Labels
from cxr_edge.preprocess import PREPROCESSING_VERSION
from cxr_edge.statistics.auc import Counts, estimate, resampled_auc
from cxr_edge.statistics.measurements import Estimate
from cxr_training.films import data
from cxr_training.films.copies import changed_copies, scores_of_copies
from cxr_training.fit import run
from cxr_training.fit.predictions import logits_of
from cxr_training.judge.judge_again import job_of

_HEADER = (
    "| run | network | AUC | AUC of copies | difference to the first | sensitivity, specificity of "
    "copies at `screening` | AUC of copies of training films |"
)

Areas = Callable[[Counts], float | None]


@dataclass(frozen=True)
class _Judged:
    """One network's scores of the films that all were validated on.

    Attributes:
        plain: logits of N films, [N].
        copies: and of their copies, [draws, N].
        training: area of the copies of its training films.
        threshold: of `screening`, a logit.
    """

    plain: NDArray[np.float64]
    copies: NDArray[np.float64]
    training: float
    threshold: float


def rows(labelled: Path, runs: Sequence[Path], labels: Labels = FOLDER_NAMES) -> Iterator[str]:
    """The table, line by line: a run takes a minute.

    Args:
        labelled: the folder that all runs were trained with.
        runs: RUN folders of `cxr-edge train`; the others are held against the first.
        labels: those that all were trained with.

    Raises:
        DataError: the films cannot be read.
        InputError: a run is not finished, or was trained or validated on other films.
    """
    yield _HEADER
    yield "|---" * _HEADER.count(" | ") + "|---|"
    job, split = job_of(runs[0], labelled, labels)
    validation = split.validation
    patients = [file.patient for file in validation.files]
    first: Areas | None = None
    for folder in runs:
        if first:  # the films of the first run are read already
            job, split = job_of(folder, labelled, labels)
        if split.validation.files != validation.files:
            raise InputError(f"{folder} was validated on other films than {runs[0]}")
        judged = _judge(folder, split)
        mean = _mean_area(validation.labels, judged.copies)
        first = first or mean
        cells = [
            folder.resolve().name,
            f"`{job.recipe.net}`",
            f"{roc_auc_score(validation.labels, judged.plain):.4f}",
            _cell(_interval(mean, patients)),
            "" if mean is first else _cell(_interval(_difference(mean, first), patients), "+"),
            _shares(validation.labels, judged),
            f"{judged.training:.3f}",
        ]
        yield f"| {' | '.join(cells)} |"


def _judge(folder: Path, split: data.Split) -> _Judged:
    described = run.read_run(folder)
    if run.preprocessing(described) != PREPROCESSING_VERSION:
        raise InputError(
            f"{folder} saw its films through another preprocessing",
            tip="cxr-edge runs judge-again judges it through this one",
        )
    model = keras.models.load_model(folder / run.MODEL_FILE, compile=False)
    learnt = split.train

    def score(pixels: NDArray[np.uint8]) -> NDArray[np.float64]:
        return logits_of(model, pixels)

    return _Judged(
        plain=score(split.validation.pixels),
        copies=scores_of_copies(score, split.validation.pixels),
        training=float(roc_auc_score(learnt.labels, score(changed_copies(learnt.pixels, 0)))),
        threshold=float(logit(described["operating_points"]["screening"]["threshold"])),
    )


def _mean_area(labels: NDArray[np.float32], copies: NDArray[np.float64]) -> Areas:
    """The area as a mean over draws, where `counts` says how often each film counts."""
    areas = [resampled_auc(labels, scores) for scores in copies]

    def mean(counts: Counts) -> float | None:
        values = [value for area in areas if (value := area(counts)) is not None]
        return float(np.mean(values)) if values else None

    return mean


def _difference(one: Areas, other: Areas) -> Areas:
    def difference(counts: Counts) -> float | None:
        mine, theirs = one(counts), other(counts)
        return None if mine is None or theirs is None else mine - theirs

    return difference


def _interval(figure: Areas, patients: Sequence[str]) -> Estimate:
    everything = figure(np.ones(len(patients), np.int64))
    if everything is None:
        raise ValueError("no film of one of the classes")
    return estimate(everything, figure, patients)


def _shares(labels: NDArray[np.float32], judged: _Judged) -> str:
    flagged = judged.copies >= judged.threshold
    return f"{flagged[:, labels == 1].mean():.3f}, {1 - flagged[:, labels == 0].mean():.3f}"


def _cell(figure: Estimate, sign: str = "") -> str:
    low, high = (f"{bound:{sign}.4f}" for bound in (figure.low, figure.high))
    return f"{figure.value:{sign}.4f} ({low} to {high})"
