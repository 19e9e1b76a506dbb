"""Train one network with one recipe: the driver behind `cxr-edge train`."""

from __future__ import annotations

import importlib
import platform
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import keras
import numpy as np
from scipy.special import expit

from cxr_edge import __version__
from cxr_edge.evaluate.job import FOLDER_NAMES, Labels
from cxr_edge.preprocess import PREPROCESSING_VERSION
from cxr_edge.statistics.measurements import FeatureDistribution
from cxr_edge.support.utc import utc_text
from cxr_training.films import data
from cxr_training.films.augmentation import as_rgb
from cxr_training.films.copies import scores_of_copies
from cxr_training.films.features import image_features_of
from cxr_training.fit import run, run_pictures
from cxr_training.fit.build import build
from cxr_training.fit.callbacks import Checkpoint, Masks
from cxr_training.fit.epoch_progress import EpochProgress
from cxr_training.fit.predictions import logits_of, write_scores
from cxr_training.fit.run_lock import locked
from cxr_training.fit.teachers import NOBODY, Teachers, load_teachers
from cxr_training.fit.training_batches import TrainingBatches
from cxr_training.fit.validation import validation_metrics
from cxr_training.fit.weight_average import finish_average
from cxr_training.nets import NETS
from cxr_training.recipe.recipe import Recipe
from cxr_training.support.progress import console, item_bar
from cxr_training.support.writing import write_table


@dataclass(frozen=True)
class TrainingJob:
    """A request to `cxr-edge train`.

    Attributes:
        recipe: how.
        data: labelled folder.
        out: the RUN folder.
        without: what of the data neither trains nor validates, in words, or an empty string.
        teachers: folders of finished runs that the recipe learns from besides the labels.
        labels: where findings and patients of the films stand.
    """

    recipe: Recipe
    data: Path
    out: Path
    without: str = ""
    teachers: tuple[Path, ...] = ()
    labels: Labels = FOLDER_NAMES


@dataclass(frozen=True)
class LoadedData:
    """A job's images, decoded and split, and who else knows about them."""

    split: data.Split
    skipped: tuple[data.Skipped, ...]
    teachers: Teachers = NOBODY


def train(job: TrainingJob) -> run.RunFolder:
    """Train, or go on training, until RUN is complete.

    Raises:
        InputError: the data, the recipe or the RUN folder cannot be used.
        StateBusyError: another process trains there.
    """
    return train_on(load(job), job)


def train_on(loaded: LoadedData, job: TrainingJob) -> run.RunFolder:
    """The same with images that are already decoded and split."""
    loaded.teachers.check(loaded.split)
    keras.utils.set_random_seed(job.recipe.seed)
    folder = run.RunFolder(job.out)
    job.out.mkdir(parents=True, exist_ok=True)
    with locked(job.out, str(job.out)):
        folder.claim(_claim(job, loaded))
        model = _fit(job.recipe, loaded, folder)
        _finish(job, loaded, model, folder)
    return folder


def _claim(job: TrainingJob, loaded: LoadedData) -> dict[str, Any]:
    """Claim on RUN: all that decides a run; one goes on only where it is the same."""
    claim = {
        "recipe_sha256": job.recipe.sha256(),
        "data_sha256": loaded.split.train.sha256,
        "preprocessing_version": PREPROCESSING_VERSION,
    }
    optional = {
        "without": job.without,
        "teachers": loaded.teachers.about(),
        "patients_sha256": loaded.split.train.patients_sha256,
    }
    return {**claim, **{key: value for key, value in optional.items() if value}}


def load(job: TrainingJob) -> LoadedData:
    """Read every image once and split by patient."""
    teachers = load_teachers(job.teachers, job.recipe.distillation)
    images, skipped = read_images(job)
    say_about(images, skipped)
    split = data.split_by_patient(images, job.recipe.validation_tenths, job.recipe.patients_seed)
    return LoadedData(split, skipped, teachers)


def read_images(job: TrainingJob) -> tuple[data.ImageSet, tuple[data.Skipped, ...]]:
    """Read every image once, at the network's size."""
    found = data.labelled_set(job.data, job.labels)
    if found.unlabelled:
        _say(f"left out, no label: {len(found.unlabelled)} (first {found.unlabelled[0]})")
    files = data.labelled_files(found, job.labels)
    with item_bar("reading images", len(files)) as advance:
        return data.load_images(files, NETS[job.recipe.net].size, advance, job.labels)


def say_about(images: data.ImageSet, skipped: tuple[data.Skipped, ...]) -> None:
    """Print at once, and not only into a file after hours, what is odd about the films.

    Films of one patient on both sides of a split make validation look better than it is.
    """
    if skipped:
        _say(f"left out, unreadable: {len(skipped)} (first {skipped[0]})")
    if images.doubted:
        films = len({item.name for item in images.doubted})
        _say(
            f"used, but doubted: {films} films ({data.tally(images.doubted)}; first "
            f"{images.doubted[0]}); cxr-edge explore lists them"
        )
    if unknown := images.unknown_patients:
        _say(
            f"no patient is known of {unknown} of {len(images.files)} films: each counts as one "
            "of its own, so validation is too good where a patient has several. Name patients in "
            "the table of --labels, or take them from DICOM with --patients-from-header"
        )


def _say(text: str) -> None:
    console().print(text, markup=False, soft_wrap=True)


def _fit(recipe: Recipe, loaded: LoadedData, folder: run.RunFolder) -> keras.Model:
    """Train from the last checkpoint to the recipe's last epoch."""
    films = loaded.teachers.films(loaded.split.train)
    loaded = replace(loaded, split=replace(loaded.split, train=films))
    if folder.progress().epochs_done < recipe.first_epochs:
        _fit_until(recipe.first_epochs, recipe, loaded, folder)
    # The second stage begins with the checkpoint, as after a kill: the averaged weights in which
    # Keras leaves a finished `fit` are not those that the steps went on with.
    model = _fit_until(recipe.epochs, recipe, loaded, folder)
    finish_average(model, films, recipe, loaded.teachers)
    return model


def _fit_until(
    epochs: int, recipe: Recipe, loaded: LoadedData, folder: run.RunFolder
) -> keras.Model:
    """Train with films of one size until so many epochs are done."""
    done, split = folder.progress(), loaded.split
    batches = TrainingBatches(split.train, recipe, done.epochs_done, loaded.teachers)
    if done.epochs_done:
        model = folder.model_after(done.epochs_done)
    else:
        model = build(recipe, len(batches))
    callbacks = [
        Masks(recipe.seed),
        Checkpoint(folder, done),
        EpochProgress(recipe.epochs, len(batches)),
    ]
    validation = split.validation
    model.fit(
        batches,
        initial_epoch=done.epochs_done,
        callbacks=callbacks,
        validation_data=(as_rgb(validation.pixels), validation.labels[:, np.newaxis]),
        validation_batch_size=128,
        **{**fit_options(recipe), "epochs": epochs},
    )
    return model


def fit_options(recipe: Recipe) -> dict[str, Any]:
    """Options of `keras.Model.fit` besides batches and callbacks."""
    return {
        "epochs": recipe.epochs,
        "shuffle": False,  # TrainingBatches has its own, reproducible order
        "verbose": 0,
    }


def _finish(
    job: TrainingJob, loaded: LoadedData, model: keras.Model, folder: run.RunFolder
) -> None:
    """Judge on validation, draw the pictures, write what the run is."""
    bare = _bare(job.recipe, model)
    judged = judge(job, loaded.split.validation, bare, folder)
    progress = folder.progress()
    # Again: a kill between the last checkpoint and its history row leaves the table short.
    write_table(folder.path / run.HISTORY_FILE, list(progress.history))
    run_pictures.draw_curves(progress.history, folder.path / "curves.png")
    films = (*loaded.split.train.files, *loaded.split.validation.files)
    write_table(
        folder.path / run.FILMS_FILE, [{"name": it.name, "sha256": it.sha256} for it in films]
    )
    folder.finish(
        bare,
        {
            "schema_version": run.SCHEMA_VERSION,
            "net": job.recipe.net,
            "recipe": job.recipe.to_dict(),
            "recipe_sha256": job.recipe.sha256(),
            "created_utc": utc_text(datetime.now(UTC)),
            "seed": job.recipe.seed,
            "seconds": round(progress.seconds, 1),
            "epochs": progress.epochs_done,
            "data": _describe(job, loaded),
            **({"teachers": loaded.teachers.about()} if loaded.teachers.members else {}),
            "software": software(),
            **judged,
        },
    )


def judge(
    job: TrainingJob, validation: data.ImageSet, model: keras.Model, folder: run.RunFolder
) -> dict[str, Any]:
    """Score the validation films; what run.json says of them, and through what they were seen."""
    raw = logits_of(model, validation.pixels)
    copies = scores_of_copies(lambda pixels: logits_of(model, pixels), validation.pixels)
    named = _data_name(job, validation)
    metrics = validation_metrics(validation.labels, expit(raw), expit(copies), named)
    features = image_features_of(validation.files, validation.pixels.shape[1])
    write_scores(folder.path / run.PREDICTIONS_FILE, validation, raw, copies)
    run_pictures.draw_confusion(metrics.confusion, folder.path / "confusion_matrix.png")
    (folder.path / "classification_report.txt").write_text(metrics.report, encoding="utf-8")
    return {
        "preprocessing_version": PREPROCESSING_VERSION,
        "metrics": metrics.to_dict(),
        "operating_points": {k: asdict(v) for k, v in metrics.operating_points.items()},
        "features": FeatureDistribution.of(named, {**features, "logit": raw}).to_dict(),
    }


def _bare(recipe: Recipe, model: keras.Model) -> keras.Model:
    """The same network, never compiled: an optimizer's moments would triple the file."""
    bare = NETS[recipe.net].build(replace(recipe.model, weights="none"))
    bare.set_weights(model.get_weights())
    return bare


def _data_name(job: TrainingJob, validation: data.ImageSet) -> str:
    films, unknown = len(validation.files), validation.unknown_patients
    grouped = "patient-grouped validation"
    if unknown:
        grouped = f"validation, patients of {unknown} of {films} films unknown"
    share = f"{job.recipe.validation_tenths}0 % of {job.data.resolve().name}{job.without}"
    return f"{grouped}, {share}, seed {job.recipe.patients_seed}{_classes(job)}"


def _classes(job: TrainingJob) -> str:
    """The site's own classes in words, because a network's output is called pneumonia."""
    return f", {'+'.join(job.labels.positive)} as PNEUMONIA" if job.labels.positive else ""


def _describe(job: TrainingJob, loaded: LoadedData) -> dict[str, Any]:
    split = loaded.split
    return {
        "name": "/".join(job.data.resolve().parts[-2:]) + _classes(job),
        "sha256": split.train.sha256,
        "train": split.train.counts(),
        "validation": split.validation.counts(),
        "unknown_patients": sum(s.unknown_patients for s in (split.train, split.validation)),
        "skipped": [asdict(item) for item in loaded.skipped],
        "doubted": [asdict(item) for item in split.train.doubted],
    }


def software() -> dict[str, str]:
    """Versions that could change a number."""
    backend = importlib.import_module(keras.backend.backend())
    return {
        "cxr-edge": __version__,
        "python": platform.python_version(),
        "keras": keras.__version__,
        "backend": f"{backend.__name__} {backend.__version__}",
        "numpy": version("numpy"),
        "pillow": version("pillow"),
        "scipy": version("scipy"),
        "scikit-learn": version("scikit-learn"),
    }
