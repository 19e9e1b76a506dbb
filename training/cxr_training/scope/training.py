"""Trains and measures the scope gate: the driver behind `python -m cxr_training.scope`.

OUT holds model.keras and run.json: the limits, how they were chosen, and how many pictures of every
kind are beyond them, also of kinds that a network trained without them.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score

from cxr_edge import __version__
from cxr_edge.preprocess import SCOPE_PREPROCESSING_VERSION
from cxr_edge.support.utc import Clock
from cxr_training.films import data
from cxr_training.recipe.recipe import load_recipe
from cxr_training.scope import draws
from cxr_training.scope.draws import Examples, Material
from cxr_training.scope.fitting import EPOCHS, MOST_COPIES, MOST_PATIENTS, fit, limit
from cxr_training.scope.negatives import GROUPS
from cxr_training.scope.net import OUTPUTS, probabilities
from cxr_training.scope.planes import (
    Planes,
    gate_inputs,
    measured_planes,
    picture_files,
    training_planes,
)
from cxr_training.support.progress import console
from cxr_training.support.writing import write_json

SEED = 42
_RANGES = ("cnn3_128", "tuned")  # the recipe whose changes of films are used
_VALIDATION_TENTHS = 2
_DRAWS = 2
_COPIES = 6  # of each validation film
# Of adults that the network was not trained with: a warning that finds fewer is not worth its
# false alarms.
LEAST_ADULTS = 0.5

Rates = dict[str, Any]


@dataclass(frozen=True)
class ScopeJob:
    """A request to train the gate.

    Attributes:
        data: folder with NORMAL and PNEUMONIA, films of children.
        pictures: folder of pictures of anything else.
        adults: folder of chest films of adults, `..._PATIENT_NUMBER`.
        out: new folder for the run.
        measure: folders to measure on, by a name in words; they choose nothing.
        test: labelled folder of children to measure on; it chooses nothing.
    """

    data: Path
    pictures: Path
    adults: Path
    out: Path
    measure: Mapping[str, Path]
    test: Path


@dataclass(frozen=True)
class _Validation:
    """Films of children that nothing was trained with, and pictures that rules make of them."""

    films: Planes
    patients: list[str]
    copies: Planes
    made: Examples


def train(job: ScopeJob) -> dict[str, Any]:
    """Train, choose limits on validation, measure, and write the run.

    Raises:
        DataError: a folder cannot be used.
        ImageError: a picture cannot be read.
    """
    clock, began = Clock(), time.monotonic()
    split, sha256 = _split(job.data)
    adult_files = picture_files(job.adults)
    adults = training_planes(adult_files, SEED + 1)
    pictures = training_planes(picture_files(job.pictures), SEED + 2)
    material = Material(_planes(split.train), adults, pictures, load_recipe(*_RANGES).augmentation)
    examples = [draws.draw(material, SEED + number) for number in range(_DRAWS)]
    validation = _validation(split.validation, material)
    model = _fitted("all", draws.joined(examples))
    job.out.mkdir(parents=True)
    model.save(job.out / "model.keras")
    limits = {name: _limit(model, validation, index) for index, name in enumerate(OUTPUTS)}
    found = _held_out_adults(material, adult_files, validation)
    run = {
        "schema_version": 1,
        "name": model.name,
        "created_utc": clock.started_utc,
        "seed": SEED,
        "epochs": EPOCHS,
        "parameters": model.count_params(),
        "preprocessing_version": SCOPE_PREPROCESSING_VERSION,
        "data": {
            "children": {**split.train.counts(), "sha256": sha256},
            "validation": split.validation.counts(),
            "adults": {"films": len(adults), "sha256": _sha256(adult_files)},
            "pictures": {
                "pictures": len(pictures),
                "sha256": _sha256(picture_files(job.pictures)),
            },
        },
        "limits": limits,
        "rule": {"patients": MOST_PATIENTS, "copies": MOST_COPIES, "adults": LEAST_ADULTS},
        "validation": _on_validation(model, limits, validation),
        "held_out_adults": found,
        "kinds": _by_kind(model, limits, examples[0], validation),
        "measured": _measured(model, limits, job),
        "seconds": round(time.monotonic() - began, 1),
        "software": {
            "cxr-edge": __version__,
            **{name: version(name) for name in ("keras", "tensorflow", "numpy", "pillow")},
        },
    }
    write_json(job.out / "run.json", run)
    return run


def _split(folder: Path) -> tuple[data.Split, str]:
    """Children by patient, at the side that training changes films at."""
    files = data.find_labelled(folder)
    paths = [file.path for file in files]
    planes = training_planes(paths, SEED)[..., np.newaxis]
    labels = np.array([file.label for file in files], np.float32)
    sha256 = _sha256(paths)
    images = data.ImageSet(files, planes, labels, sha256)
    return data.split_by_patient(images, _VALIDATION_TENTHS, SEED), sha256


def _planes(images: data.ImageSet) -> Planes:
    return images.pixels[..., 0]


def _sha256(files: Iterable[Path]) -> str:
    """Over names and contents."""
    digest = hashlib.sha256()
    for path in files:
        digest.update(f"{path.name}\0{hashlib.sha256(path.read_bytes()).hexdigest()}\n".encode())
    return digest.hexdigest()


def _validation(images: data.ImageSet, material: Material) -> _Validation:
    films = _planes(images)
    rng = np.random.default_rng(SEED + 100)
    copies = [draws.changed(films, material.ranges, rng) for _ in range(_COPIES)]
    return _Validation(
        gate_inputs(films),
        [file.patient for file in images.files],
        np.concatenate([gate_inputs(each) for each in copies]),
        draws.draw(Material(films, films[:1], material.pictures, material.ranges), SEED + 101),
    )


def _fitted(what: str, examples: Examples) -> keras.Model:
    console().print(f"training with {what}: {len(examples.planes)} pictures", markup=False)
    return fit(examples, SEED)


def _limit(model: keras.Model, validation: _Validation, output: int) -> float:
    films, copies = (
        probabilities(model, planes)[:, output] for planes in (validation.films, validation.copies)
    )
    return limit(films, validation.patients, copies)


def _rates(model: keras.Model, limits: Mapping[str, float], planes: Planes) -> Rates:
    """Share of these pictures at or above each limit."""
    reached = probabilities(model, planes) >= [limits[name] for name in OUTPUTS]
    return {"n": len(planes), **dict(zip(OUTPUTS, map(int, reached.sum(axis=0)), strict=True))}


def _on_validation(
    model: keras.Model, limits: Mapping[str, float], validation: _Validation
) -> dict[str, Rates]:
    return {
        "films": _rates(model, limits, validation.films),
        "copies": _rates(model, limits, validation.copies),
    }


def _held_out_adults(
    material: Material, files: list[Path], validation: _Validation
) -> dict[str, Any]:
    """Adults found by a network that was trained with the other half of them, by patient."""
    patients = [path.stem.rsplit("_", 1)[0] for path in files]
    half = np.array([hashlib.sha256(name.encode()).digest()[0] % 2 == 0 for name in patients])
    rest = Material(material.children, material.adults[~half], material.pictures, material.ranges)
    model = _fitted("half of the adults", draws.draw(rest, SEED).thinned(2))
    threshold = _limit(model, validation, 1)
    scores = probabilities(model, gate_inputs(material.adults[half]))[:, 1]
    return {
        "n": int(half.sum()),
        "found": int((scores >= threshold).sum()),
        "auc": _auc(probabilities(model, validation.films)[:, 1], scores),
    }


def _auc(children: NDArray[np.float64], adults: NDArray[np.float64]) -> float:
    labels = np.repeat([0, 1], [len(children), len(adults)])
    return round(float(roc_auc_score(labels, np.concatenate([children, adults]))), 4)


def _by_kind(
    model: keras.Model, limits: Mapping[str, float], examples: Examples, validation: _Validation
) -> dict[str, dict[str, int]]:
    """Pictures made of validation films that are caught, by kind; also by a net without its group.

    Those networks learn from half a draw, as there are several. Photographs are the same as in
    training: their share says something only for the network that was trained without them.
    """
    kinds = {}
    for group, rules in GROUPS.items():
        without = _fitted(f"all but {group}", examples.without(rules).thinned(2))
        own = _limit(without, validation, 0)
        for rule in rules:
            made = validation.made.planes[validation.made.kinds == rule]
            kinds[rule] = {
                "n": len(made),
                "caught": _caught(model, limits["out_of_scope"], made),
                "unseen_caught": _caught(without, own, made),
            }
    return kinds


def _caught(model: keras.Model, threshold: float, planes: Planes) -> int:
    return int((probabilities(model, planes)[:, 0] >= threshold).sum())


def _measured(
    model: keras.Model, limits: Mapping[str, float], job: ScopeJob
) -> dict[str, dict[str, Any]]:
    """Folders that chose nothing, read as a night reads them; adults beside the children."""
    files = [file.path for file in data.find_labelled(job.test)]
    children = measured_planes(files)
    scores = probabilities(model, children)[:, 1]
    measured: dict[str, dict[str, Any]] = {"children": _rates(model, limits, children)}
    for name, folder in job.measure.items():
        planes = measured_planes(picture_files(folder))
        measured[name] = {
            **_rates(model, limits, planes),
            "adult_auc": _auc(scores, probabilities(model, planes)[:, 1]),
        }
    return measured
