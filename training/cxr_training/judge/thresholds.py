"""A finished run's operating points from the pooled out-of-fold scores of its recipe.

The model that ships is one network, trained on all patients but a validation part. Three ways to
its threshold, and why the third:

- On the films that it was trained on: they score too well; the threshold would be too high.
- On its own validation part: honest, and few. 98 % sensitivity on 700 pneumonias is the rank of
  the 14th film: redrawing the patients moved the specificity under shift by 2.4 to 5.9 points
  (standard deviation), and a handful of doubtful labels move it as far.
- On the out-of-fold scores of K networks of the same recipe: all pneumonias count, each judged by
  a network that never saw its patient. But those networks had less to learn from and are not this
  one. So every network, each fold's and this one, is put on one scale by the temperature that fits
  its own validation patients; the threshold is chosen on that scale over the pooled scores and
  taken back to this network's by its own temperature.

What stays assumed is that one number, the temperature, makes up the difference. Sensitivity and
specificity of such a point are those of the pooled scores: what the recipe does, not this network.
"""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

from scipy.special import expit

from cxr_edge.errors import InputError
from cxr_edge.statistics.operating_points import OperatingPoint
from cxr_edge.support.strict_json import read
from cxr_edge.types import PROBABILITY_DECIMALS
from cxr_training.fit.predictions import read_scores
from cxr_training.fit.run import (
    PREDICTIONS_FILE,
    RUN_FILE,
    SUMMARY_FILE,
    preprocessing,
    trained_preprocessing,
)
from cxr_training.judge.calibrate import fit_temperature
from cxr_training.recipe.recipe import recorded_recipe


def out_of_fold_points(folds: Path, run: Path) -> dict[str, OperatingPoint]:
    """Operating points of `run`, chosen on the pooled scores in `folds`.

    Args:
        folds: OUT of a finished `cxr-edge train --folds`.
        run: RUN of a finished `cxr-edge train` with the same recipe and data; seeds may differ.

    Raises:
        InputError: one of them is not finished, or they are about different things.
    """
    summary, described = _json(folds / SUMMARY_FILE), _json(run / RUN_FILE)
    try:
        _check_same(summary, described, f"{folds} and {run}")
        points = read(dict[str, OperatingPoint], summary["operating_points"], "operating_points")
        temperature = fit_temperature(*read_scores(run / PREDICTIONS_FILE))
    except (KeyError, TypeError, ValueError, OSError) as error:
        raise InputError(
            f"{folds} or {run} is not of this version: {error}", tip="train it again"
        ) from error
    return {name: _on_scale(point, temperature) for name, point in points.items()}


def _json(path: Path) -> dict[str, Any]:
    try:
        values: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(
            f"{path} cannot be read", tip="finish it with the same cxr-edge train command"
        ) from error
    return values


def _check_same(summary: dict[str, Any], described: dict[str, Any], both: str) -> None:
    """Other films or another recipe say nothing about this network."""
    if summary["data_sha256"] != described["data"]["sha256"]:
        raise InputError(f"{both} are about different data")
    # A run that was judged again learnt through one preprocessing and is scored through another:
    # the networks of folds did both through theirs.
    of_run = preprocessing(described), trained_preprocessing(described)
    if of_run != (preprocessing(summary), trained_preprocessing(summary)):
        raise InputError(f"{both} saw their films through different preprocessing")
    # Folds know their teachers by recipe, seed included: whoever learnt from other seeds of them is
    # refused as well, which costs a training and no patient.
    learnt_from = sorted(teacher["recipe_sha256"] for teacher in described.get("teachers", []))
    if sorted(summary.get("teachers", [])) != learnt_from:
        raise InputError(f"{both} learnt from different teachers")
    # As recipes of today: one that was written before a field was made does not differ by it.
    of_folds, own = (recorded_recipe(it["recipe"], both) for it in (summary, described))
    if replace(of_folds, seed=own.seed) != own:
        raise InputError(f"{both} have different recipes")


def _on_scale(point: OperatingPoint, temperature: float) -> OperatingPoint:
    """A point chosen on logits divided by temperatures, for the network with this one."""
    logit = temperature * math.log(point.threshold / (1 - point.threshold))
    step = 10.0**-PROBABILITY_DECIMALS
    threshold = min(max(round(float(expit(logit)), PROBABILITY_DECIMALS), step), 1 - step)
    data = f"{point.data}; {temperature:.3f} for this one"
    return replace(point, threshold=threshold, data=data)
