"""Cross-validation: the driver behind `cxr-edge train --folds K`.

OUT holds:
    plan.json           recipe, data, folds and scheme: what OUT is about
    folds.csv           which film is held out when
    seed-S/fold-F/      a RUN folder each, and out_of_fold.csv: the held-out films' scores
    out_of_fold.csv     every film once per seed; logits divided by each network's temperature
    summary.json        figures per fold and pooled, operating points
    summary.txt         the same as a table
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, logit

from cxr_edge.errors import InputError
from cxr_edge.preprocess import PREPROCESSING_VERSION
from cxr_edge.statistics.operating_points import (
    SCREENING_SENSITIVITY,
    highest_with_sensitivity,
)
from cxr_edge.support.atomic import write_atomically
from cxr_training.crossval.table import table
from cxr_training.films import data, folds
from cxr_training.films.folds import Scheme
from cxr_training.fit import run, training
from cxr_training.fit.predictions import logits_of, read_scores, write_scores
from cxr_training.fit.run_lock import locked
from cxr_training.fit.teachers import Teachers, check_weight, load_teachers
from cxr_training.judge.calibrate import fit_temperature
from cxr_training.judge.out_of_fold import OutOfFold, pooled_points, summarize
from cxr_training.support.writing import write_json, write_table

PLAN_FILE = "plan.json"
FOLDS_FILE = "folds.csv"
SCORES_FILE = "out_of_fold.csv"
TABLE_FILE = "summary.txt"


@dataclass(frozen=True)
class CrossValidation:
    """Folds and seeds to train; `job.out` is OUT and `job.recipe.seed` the first seed."""

    job: training.TrainingJob
    folds: int
    seeds: int = 1
    scheme: Scheme = "patients"

    def runs(self) -> Iterator[tuple[int, int, Path]]:
        """Seed, fold and RUN folder of each training."""
        for seed in self.all_seeds():
            for fold in range(1, self.folds + 1):
                yield seed, fold, self.job.out / f"seed-{seed}" / f"fold-{fold}"

    def all_seeds(self) -> list[int]:
        """The recipe's and those after it. Seeds change the training, never the folds."""
        return [self.job.recipe.seed + index for index in range(self.seeds)]

    def teachers(self, seed: int, fold: int) -> Teachers:
        """The networks of the same seed and fold, which know as little as their student."""
        folders = [out / f"seed-{seed}" / f"fold-{fold}" for out in self.job.teachers]
        return load_teachers(folders, self.job.recipe.distillation)

    def plan(self, images: data.ImageSet) -> dict[str, Any]:
        """Contents of plan.json: OUT goes on where they are the same, with more seeds if asked."""
        patients = {"patients_sha256": images.patients_sha256}
        taught = {"teachers": [_plan(out)["recipe_sha256"] for out in self.job.teachers]}
        return {
            "schema_version": run.SCHEMA_VERSION,
            "recipe": self.job.recipe.to_dict(),
            "recipe_sha256": self.job.recipe.sha256(),
            "data_sha256": images.sha256,
            "preprocessing_version": PREPROCESSING_VERSION,
            "folds": self.folds,
            "scheme": self.scheme,
            **(taught if self.job.teachers else {}),
            **(patients if images.patients_sha256 else {}),
        }


def _plan(out: Path) -> dict[str, Any]:
    """Plan of a teacher's folds."""
    try:
        plan: dict[str, Any] = json.loads((out / PLAN_FILE).read_text(encoding="utf-8"))
        return {**plan, "recipe": dict(plan["recipe"]), "recipe_sha256": plan["recipe_sha256"]}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"teacher {out} holds no folds: {error}") from error


def cross_validate(crossval: CrossValidation) -> str:
    """Train what is not trained yet, then pool; the table of what came out.

    Raises:
        InputError: the data, the recipe or OUT cannot be used.
        StateBusyError: another process works on OUT.
    """
    images, skipped = training.read_images(crossval.job)
    training.say_about(images, skipped)
    crossval.job.out.mkdir(parents=True, exist_ok=True)
    with locked(crossval.job.out, str(crossval.job.out)):
        _check_teachers(crossval, images)
        fold_of = _claim(crossval, images)
        for seed, fold, folder in crossval.runs():
            if not (folder / run.RUN_FILE).exists():
                split = _split(crossval, images, fold_of != fold, seed)
                loaded = training.LoadedData(split, skipped, crossval.teachers(seed, fold))
                _train_fold(crossval, loaded, (seed, fold, folder))
            if not (folder / SCORES_FILE).exists():
                _score_fold(folder, images.subset(np.flatnonzero(fold_of == fold)))
        return _pool(crossval, images, fold_of)


def _claim(crossval: CrossValidation, images: data.ImageSet) -> folds.Folds:
    """Make OUT this plan's own, or recognise it; its folds."""
    out, plan = crossval.job.out, crossval.plan(images)
    if (out / PLAN_FILE).exists():
        if _about(json.loads((out / PLAN_FILE).read_text(encoding="utf-8"))) != _about(plan):
            raise InputError(
                f"{out} holds folds of another recipe, other data, another scheme or preprocessing",
                tip="choose another --out",
            )
        return folds.read_folds(out / FOLDS_FILE, len(images.files))
    # Hidden files are what a kill leaves of an atomic write.
    inside = {p.name for p in out.iterdir() if p.name[0] != "."}
    if inside - {FOLDS_FILE}:
        raise InputError(f"{out} is not empty and holds no folds", tip="choose another --out")
    fold_of, looks = folds.assign(images, crossval.scheme, crossval.folds, crossval.job.recipe.seed)
    # A part without a class is to be known before hours of work.
    for seed, fold, _ in crossval.runs():
        _split(crossval, images, fold_of != fold, seed)
    folds.write_folds(out / FOLDS_FILE, images, fold_of, looks)
    write_json(out / PLAN_FILE, plan)  # last: a plan without its folds would be no use
    return fold_of


def _check_teachers(crossval: CrossValidation, images: data.ImageSet) -> None:
    """Check before OUT is claimed or hours are spent: same folds, all of them finished."""
    check_weight(len(crossval.job.teachers), crossval.job.recipe.distillation)
    mine = _folds_of(crossval.plan(images))
    for out in crossval.job.teachers:
        if _folds_of(_plan(out)) != mine:
            raise InputError(
                f"teacher {out} has other folds",
                tip="they are the same for one data set, scheme, number of folds and seed",
            )
        for seed, fold, folder in crossval.runs():
            if not (out / folder.relative_to(crossval.job.out) / run.RUN_FILE).exists():
                raise InputError(f"teacher {out} has no finished fold {fold} of seed {seed}")


def _folds_of(plan: dict[str, Any]) -> dict[str, Any]:
    """The parts of a plan that decide which film is held out when."""
    keys = ("data_sha256", "preprocessing_version", "folds", "scheme")
    return {"seed": plan["recipe"]["seed"], **{key: plan.get(key) for key in keys}}


def _about(plan: dict[str, Any]) -> dict[str, Any]:
    """The parts of a plan that decide: recipes learn new fields, but keep their hash."""
    return {key: value for key, value in plan.items() if key != "recipe"}


def _split(
    crossval: CrossValidation, images: data.ImageSet, kept: NDArray[np.bool_], seed: int
) -> data.Split:
    """Training and in-domain validation of what is not held out."""
    rest = images.subset(np.flatnonzero(kept))
    return data.split_by_patient(rest, crossval.job.recipe.validation_tenths, seed)


def _train_fold(
    crossval: CrossValidation, loaded: training.LoadedData, which: tuple[int, int, Path]
) -> None:
    """One RUN folder."""
    seed, fold, folder = which
    without = f" without fold {fold} of {crossval.folds} ({crossval.scheme})"
    recipe = replace(crossval.job.recipe, seed=seed)
    keras.utils.clear_session()  # or each network stays in memory
    training.train_on(loaded, replace(crossval.job, recipe=recipe, out=folder, without=without))


def _score_fold(folder: Path, held_out: data.ImageSet) -> None:
    """The held-out films' scores beside the finished network."""
    model = keras.models.load_model(folder / run.MODEL_FILE, compile=False)
    write_scores(folder / SCORES_FILE, held_out, logits_of(model, held_out.pixels))


def _pool(crossval: CrossValidation, images: data.ImageSet, fold_of: folds.Folds) -> str:
    """Put the folds' scores on one scale and together."""
    logits = np.zeros((crossval.seeds, len(fold_of)))
    own = np.zeros((crossval.seeds, crossval.folds))
    temperatures = np.zeros_like(own)
    for seed, fold, folder in crossval.runs():
        at = seed - crossval.job.recipe.seed, fold - 1
        labels, validated = read_scores(folder / run.PREDICTIONS_FILE)
        temperatures[at] = fit_temperature(labels, validated)
        own[at] = logit(screening_threshold(labels, validated)) / temperatures[at]
        _, raw = read_scores(folder / SCORES_FILE)
        logits[at[0], fold_of == fold] = raw / temperatures[at]
    scores = OutOfFold(images, fold_of, logits, own)
    _write_scores(crossval, scores)
    return _write_summary(crossval, scores, temperatures)


def screening_threshold(labels: NDArray[np.int64], logits: NDArray[np.float64]) -> float:
    """The highest threshold with a sensitivity of 0.98 on films as they are; all [N]."""
    return highest_with_sensitivity(labels, expit(logits), SCREENING_SENSITIVITY)


def _write_scores(crossval: CrossValidation, scores: OutOfFold) -> None:
    rows = [
        {
            "seed": seed,
            "fold": int(fold),
            "name": f.name,
            "patient": f.patient,
            "label": f.label,
            "logit": f"{logit:.5f}",
        }
        for seed, logits in zip(crossval.all_seeds(), scores.logits, strict=True)
        for f, fold, logit in zip(scores.images.files, scores.fold_of, logits, strict=True)
    ]
    write_table(crossval.job.out / SCORES_FILE, rows)


def _write_summary(
    crossval: CrossValidation, scores: OutOfFold, temperatures: NDArray[np.float64]
) -> str:
    points = pooled_points(scores.images.labels, scores.logits, describe(crossval, scores.images))
    summary = {
        **crossval.plan(scores.images),
        "seeds": crossval.all_seeds(),
        "temperatures": temperatures.round(4).tolist(),
        **summarize(scores),
        "operating_points": {name: asdict(point) for name, point in points.items()},
    }
    write_json(crossval.job.out / run.SUMMARY_FILE, summary)
    text = table(summary)
    write_atomically(crossval.job.out / TABLE_FILE, text.encode())
    return text


def describe(crossval: CrossValidation, images: data.ImageSet) -> str:
    """Describes the pooled scores, for the record of an operating point."""
    unknown = images.unknown_patients
    return (
        f"out-of-fold scores of {crossval.folds} {crossval.scheme} folds x {crossval.seeds} seeds "
        f"of {crossval.job.data.resolve().name}, logits divided by each network's temperature"
        + (f"; patients of {unknown} of {len(images.files)} films unknown" if unknown else "")
    )
