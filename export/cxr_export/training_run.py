"""Reads a RUN folder of `cxr-edge train` for a spec: its run.json and predictions.csv."""

from __future__ import annotations

import csv
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cxr_edge.errors import ExportError
from cxr_edge.model.spec import Training
from cxr_edge.preprocess import PREPROCESSING_VERSION
from cxr_edge.statistics.measurements import FeatureDistribution, ScoreDistribution
from cxr_edge.statistics.operating_points import OperatingPoint
from cxr_edge.support.strict_json import read
from cxr_training.films.data import CLASSES
from cxr_training.fit.run import (
    PREDICTIONS_FILE,
    RUN_FILE,
    SCHEMA_VERSION,
    films_of,
    preprocessing,
    validated_on,
)
from cxr_training.recipe.removed import without_removed

SOURCE_TIP = "give the --out folder of cxr-edge train, or a .keras file"


@dataclass(frozen=True)
class TrainingRun:
    """Parts of run.json and predictions.csv of `cxr-edge train` that enter a spec.

    Attributes:
        validation_features: None in runs of before they were measured.
        films_sha256: of each film that trained or validated; empty in runs of before.
    """

    net: str
    training: Training
    operating_points: dict[str, OperatingPoint]
    validation_scores: ScoreDistribution
    validation_features: FeatureDistribution | None
    validation_films: frozenset[str]
    films_sha256: frozenset[str] = frozenset()


def load_run(folder: Path) -> TrainingRun:
    """Read the files that `cxr-edge train` wrote.

    Raises:
        ExportError: the run is not finished, another program wrote it, or its films were prepared
            in another way than the runtime prepares them.
        RecipeError: its recipe sets an option that is gone.
    """
    path = folder / RUN_FILE
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise ExportError(
            f"{folder} is not a finished run: {path.name} cannot be read", tip=SOURCE_TIP
        ) from error
    try:
        seen_through = preprocessing(values)
        run = _read_run(values, folder)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise ExportError(f"{path} is not the run.json of cxr-edge train: {error}") from error
    if seen_through != PREPROCESSING_VERSION:
        raise ExportError(
            f"{folder} saw its films through preprocessing {seen_through}, this is "
            f"{PREPROCESSING_VERSION}: its thresholds are about other pixels",
            tip="cxr-edge runs judge-again RUN DATA judges it through this one",
        )
    return run


def _read_run(values: dict[str, Any], folder: Path) -> TrainingRun:
    """KeyError, TypeError or ValueError when something is missing or of another type."""
    if values["schema_version"] != SCHEMA_VERSION:
        raise ValueError(f"schema {values['schema_version']}, this is {SCHEMA_VERSION}")
    recipe, data = without_removed(values["recipe"], str(folder)), values["data"]
    training = {
        "data": data["name"],
        "data_sha256": data["sha256"],
        "train_counts": data["train"],
        "validation_counts": data["validation"],
        "split": _split(recipe, values, data),
        "recipe": recipe["name"],
        "pretrained_weights": recipe["model"]["weights"],
        "teachers": [_teacher(about) for about in values.get("teachers", [])],
        **{key: values[key] for key in _COPIED},
    }
    points = read(dict[str, OperatingPoint], values["operating_points"], "operating_points")
    if missing := {"screening", "balanced"} - set(points):
        raise ValueError(f"no operating point {', '.join(sorted(missing))}")
    predictions = folder / PREDICTIONS_FILE
    scores = _validation_scores(predictions, points["screening"].data, data["validation"])
    return TrainingRun(
        net=values["net"],
        training=read(Training, training, "training"),
        operating_points=points,
        validation_scores=scores,
        validation_features=_features(values.get("features")),
        validation_films=validated_on(folder),
        films_sha256=films_of(folder),
    )


def _features(values: dict[str, Any] | None) -> FeatureDistribution | None:
    return None if values is None else read(FeatureDistribution, values, "features")


def _split(recipe: dict[str, Any], values: dict[str, Any], data: dict[str, Any]) -> str:
    seed = recipe.get("split_seed", -1)  # younger than the first runs
    seed = values["seed"] if seed < 0 else seed
    held_out = f"{recipe['validation_tenths']}0 % of patients held out, seed {seed}"
    unknown = data.get("unknown_patients", 0)  # not in runs of before it was counted
    if not unknown:
        return held_out
    return f"{held_out}; {unknown} films of unknown patients, each counted as one of its own"


def _teacher(about: dict[str, str]) -> str:
    """Architecture of a teacher, and hashes to find it by; its folder has any name."""
    return (
        f"{about['net']} (recipe sha256 {about['recipe_sha256'][:16]}, "
        f"model.keras {about['model_sha256'][:16]})"
    )


_COPIED = ("recipe_sha256", "seed", "epochs", "seconds", "created_utc", "metrics", "software")


def _validation_scores(path: Path, data: str, counts: dict[str, int]) -> ScoreDistribution:
    """Distribution of the scores of the validation films.

    Raises:
        ExportError: it cannot be read, or holds other films than run.json counts.
    """
    scores: dict[str, list[float]] = {name: [] for name in CLASSES}
    try:
        with path.open(newline="", encoding="utf-8") as stream:
            for row in csv.DictReader(stream):
                scores[CLASSES[int(row["label"])]].append(float(row["probability"]))
        distribution = ScoreDistribution.of(data, scores)
    except (OSError, ValueError, KeyError, IndexError, TypeError, csv.Error) as error:
        raise ExportError(f"{path} is not the {path.name} of cxr-edge train: {error}") from error
    films = {name: sum(bins) for name, bins in distribution.counts.items()}
    if films != {name: counts[name] for name in CLASSES}:
        raise ExportError(f"{path} holds other films than {RUN_FILE} counts: {films}")
    return distribution
