"""Calibration of the probabilities, cross-fitted by patient."""

from __future__ import annotations

import csv
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit
from sklearn.metrics import brier_score_loss
from sklearn.model_selection import StratifiedGroupKFold

from cxr_edge.errors import InputError
from cxr_edge.evaluate.curves import calibration as bins_of
from cxr_edge.evaluate.films import Scored
from cxr_edge.model.reliability import Calibration, CalibrationBin, Scaling
from cxr_edge.types import PROBABILITY_DECIMALS
from cxr_export.spec_draft import FIGURE_DECIMALS
from cxr_training.judge.calibrate import Platt, fit_platt, fit_temperature, negative_log_likelihood

_FOLDS = 5
_SEED = 0
_AS_IT_IS = Platt(1.0, 0.0)


@dataclass(frozen=True)
class Scores:
    """N scored films.

    Attributes:
        labels: [N], 1 for pneumonia, 0 for normal.
        logits: float64 [N].
        patients: [N] names.
    """

    labels: NDArray[np.generic]
    logits: NDArray[np.float64]
    patients: NDArray[np.str_]

    def where(self, kept: NDArray[np.bool_]) -> Scores:
        """Some of the films."""
        return Scores(self.labels[kept], self.logits[kept], self.patients[kept])


def read_pooled(path: Path) -> Scores:
    """The out-of-fold scores of all seeds, which are divided by each network's temperature.

    Raises:
        InputError: the table cannot be read.
    """
    try:
        with path.open(newline="", encoding="utf-8") as stream:
            rows = list(csv.DictReader(stream))
        return Scores(
            np.array([int(row["label"]) for row in rows]),
            np.array([float(row["logit"]) for row in rows]),
            np.array([row["patient"] for row in rows]),
        )
    except (OSError, ValueError, KeyError, TypeError, csv.Error) as error:
        raise InputError(f"{path} cannot be read: {error}") from error


def calibrate(own: Scores, pooled: Scores | None = None) -> Calibration:
    """Calibration of the probabilities, as they are and on a scale fitted to other patients.

    Args:
        own: the model's scores of the validation films; the scales are judged on these alone.
        pooled: out-of-fold scores of networks of the same recipe, to fit the scales on; None to
            fit on the validation films themselves.
    """
    lines, logits = _fit(own, pooled), _cross_fitted(own, pooled)
    named = f"validation films of other patients, {_FOLDS} folds"
    if pooled is not None:
        named = f"out-of-fold scores of other patients, {_FOLDS} folds"
    return Calibration(
        fitted_on=named,
        scalings={name: _scaling(line, own, logits[name]) for name, line in lines.items()},
        bins=tuple(_rounded(each) for each in _bins(own, own.logits)),
    )


def _fit(own: Scores, pooled: Scores | None) -> dict[str, Platt]:
    """Scales for the model's own logits.

    Pooled logits are divided by the temperatures of their networks, so these are by their own.
    """
    on, scale = (own, 1.0)
    if pooled is not None:
        on, scale = pooled, fit_temperature(own.labels, own.logits)
    platt = fit_platt(on.labels, on.logits)
    return {
        "none": _AS_IT_IS,
        "temperature": Platt(1 / (scale * fit_temperature(on.labels, on.logits)), 0.0),
        "platt": Platt(platt.slope / scale, platt.offset),
    }


def _cross_fitted(own: Scores, pooled: Scores | None) -> dict[str, NDArray[np.float64]]:
    """Scaled logits [N] by method; no scale saw the patient that it is judged on."""
    scaled = {name: np.empty(len(own.logits)) for name in ("none", "temperature", "platt")}
    folds = StratifiedGroupKFold(_FOLDS, shuffle=True, random_state=_SEED)
    for _, held_out in folds.split(own.logits, own.labels, own.patients):
        judged = np.unique(own.patients[held_out])
        others = pooled and pooled.where(~np.isin(pooled.patients, judged))
        lines = _fit(own.where(~np.isin(own.patients, judged)), others)
        for name, line in lines.items():
            scaled[name][held_out] = line.slope * own.logits[held_out] + line.offset
    return scaled


def _scaling(line: Platt, own: Scores, logits: NDArray[np.float64]) -> Scaling:
    figures = (
        line.slope,
        line.offset,
        negative_log_likelihood(own.labels, logits),
        brier_score_loss(own.labels, expit(logits), pos_label=1),
        calibration_error(_bins(own, logits)),
    )
    return Scaling(*(round(float(figure), FIGURE_DECIMALS) for figure in figures))


def _bins(own: Scores, logits: NDArray[np.float64]) -> tuple[CalibrationBin, ...]:
    """Bins of `cxr-edge evaluate`."""
    probability = expit(logits).round(PROBABILITY_DECIMALS)
    labels = np.asarray(own.labels).astype(np.int64)
    return bins_of(Scored((), labels, probability, tuple(own.patients.tolist())))


def calibration_error(bins: Iterable[CalibrationBin]) -> float:
    """Mean over films of |what was said - what was found| in their bin."""
    films, gaps = zip(
        *((each.observed.n, abs(each.mean_probability - each.observed.value)) for each in bins),
        strict=True,
    )
    return float(np.average(gaps, weights=films))


def _rounded(each: CalibrationBin) -> CalibrationBin:
    mean = round(each.mean_probability, FIGURE_DECIMALS)
    return CalibrationBin(each.low, each.high, mean, each.observed)
