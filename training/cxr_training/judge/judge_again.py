"""Judge a finished run through the preprocessing of today.

The work behind `cxr-edge runs judge-again RUN DATA`.

A network that was trained before `PREPROCESSING_VERSION` was raised has thresholds about other
pixels than the runtime will show it, and `cxr-edge export` refuses it. This scores its validation
films anew and chooses its operating points on them; weights, split and history stay. run.json keeps
what the network was trained through as `trained_preprocessing_version`, so that it teaches nobody
who sees films otherwise.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras

from cxr_edge.errors import InputError
from cxr_edge.evaluate.job import FOLDER_NAMES, Labels
from cxr_training.films import data
from cxr_training.fit import run, training
from cxr_training.recipe.recipe import recorded_recipe
from cxr_training.support.writing import write_json


def judge_again(folder: Path, labelled: Path, labels: Labels = FOLDER_NAMES) -> dict[str, Any]:
    """Rewrite the scores of the validation films in a RUN folder; returns its new run.json.

    Args:
        folder: RUN of a finished `cxr-edge train`.
        labelled: the folder that it was trained with.
        labels: those that it was trained with.

    Raises:
        DataError: the films cannot be read.
        InputError: RUN is not finished, or was trained with other films.
    """
    described = run.read_run(folder)
    job, split = job_of(folder, labelled, labels)
    model = keras.models.load_model(folder / run.MODEL_FILE, compile=False)
    trained = run.trained_preprocessing(described)
    judged = training.judge(job, split.validation, model, run.RunFolder(folder))
    described |= {**judged, "trained_preprocessing_version": trained}
    write_json(folder / run.RUN_FILE, described)
    return described


def job_of(
    folder: Path, labelled: Path, labels: Labels = FOLDER_NAMES
) -> tuple[training.TrainingJob, data.Split]:
    """The job of a finished run, and its films as it split them.

    Args:
        folder: RUN.
        labelled: the folder that it was trained with.
        labels: those that it was trained with.

    Raises:
        DataError: the films cannot be read.
        InputError: RUN is not finished, or was trained with other films, or with other patients
            on them.
    """
    described = run.read_run(folder)
    recipe = recorded_recipe(described["recipe"], str(folder))
    job = training.TrainingJob(recipe, labelled, folder, labels=labels)
    images, _ = training.read_images(job)
    if images.sha256 != described["data"]["sha256"]:
        raise InputError(f"{labelled} holds other films than {folder} was trained with")
    split = data.split_by_patient(images, job.recipe.validation_tenths, job.recipe.patients_seed)
    if {file.name for file in split.validation.files} != run.validated_on(folder):
        raise InputError(
            f"{folder} was validated on other films of {labelled}: patients were told otherwise",
            tip="give the --labels and --patients-from-header that it was trained with",
        )
    return job, split
