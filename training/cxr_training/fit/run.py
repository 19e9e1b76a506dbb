"""A RUN folder: the files of a finished training, and those that let it go on after a kill.

RUN holds:
    run.json                    recipe, data, seed, versions, metrics, operating points
    model.keras                 the finished network, without optimizer state
    history.csv                 one row per epoch
    predictions.csv             validation images: label, probability, logits of film and copies
    films.csv                   images that trained or validated: SHA-256 of their bytes
    curves.png  confusion_matrix.png  classification_report.txt
    checkpoint/                 while training: job.json, state.json, epoch-NNNN.keras
"""

from __future__ import annotations

import csv
import json
import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras

from cxr_edge.errors import InputError
from cxr_training.support.writing import write_json

RUN_FILE = "run.json"
MODEL_FILE = "model.keras"
HISTORY_FILE = "history.csv"
PREDICTIONS_FILE = "predictions.csv"
FILMS_FILE = "films.csv"
SUMMARY_FILE = "summary.json"  # of a cross-validation
SCHEMA_VERSION = 1


@dataclass(frozen=True)
class TrainingProgress:
    """Epochs that a run has behind it."""

    epochs_done: int = 0
    seconds: float = 0.0
    history: tuple[dict[str, float], ...] = ()


@dataclass(frozen=True)
class RunFolder:
    """One RUN folder on disk."""

    path: Path

    @property
    def checkpoint(self) -> Path:
        """Folder in which an unfinished run keeps itself."""
        return self.path / "checkpoint"

    def claim(self, job: dict[str, Any]) -> None:
        """Make the folder this job's own, or recognise it as this job's.

        Raises:
            InputError: it is finished, or holds something else.
        """
        if (self.path / RUN_FILE).exists():
            raise InputError(f"{self.path} holds a finished run", tip="choose another --out")
        job_file = self.checkpoint / "job.json"
        if job_file.exists():
            # Before its first epoch is done a run holds nothing: a mistyped option is no obstacle.
            if self.progress().epochs_done:
                self._check_same(json.loads(job_file.read_text(encoding="utf-8")), job)
        elif not self._is_new():
            raise InputError(f"{self.path} is not empty and no run", tip="choose another --out")
        self.checkpoint.mkdir(parents=True, exist_ok=True)
        write_json(job_file, job)

    def _check_same(self, recorded: dict[str, Any], job: dict[str, Any]) -> None:
        """Refuse to go on with another job, or with films that would validate otherwise."""
        differing = {
            key for key in recorded.keys() | job.keys() if recorded.get(key) != job.get(key)
        }
        if differing:
            what = "of another recipe or other data"
            if differing == {"patients_sha256"}:
                what = "that divided the films otherwise: it knew other patients"
            raise InputError(
                f"{self.path} holds an unfinished run {what}",
                tip="choose another --out, or delete that folder",
            )

    def progress(self) -> TrainingProgress:
        """State after the last complete epoch; nothing at the start."""
        state_file = self.checkpoint / "state.json"
        if not state_file.exists():
            return TrainingProgress()
        state = json.loads(state_file.read_text(encoding="utf-8"))
        return TrainingProgress(state["epochs_done"], state["seconds"], tuple(state["history"]))

    def model_after(self, epoch: int) -> keras.Model:
        """The network and its optimizer as they were after that epoch, the last.

        Raises:
            InputError: its file is gone, or a failing disk has damaged it.
        """
        path = self._epoch_file(epoch)
        try:
            return keras.models.load_model(path)
        except (OSError, ValueError) as error:
            raise InputError(
                f"{path} cannot be loaded, so this run cannot go on",
                tip=f"delete {self.path} and train again",
            ) from error

    def save_epoch(self, model: keras.Model, progress: TrainingProgress) -> None:
        """Checkpoint; a kill at any moment leaves this epoch or the one before, whole."""
        target = self._epoch_file(progress.epochs_done)
        _save(model, target)
        # state.json names the epoch that counts, so it is written only when that file is there.
        state = {
            "epochs_done": progress.epochs_done,
            "seconds": progress.seconds,
            "history": list(progress.history),
        }
        write_json(self.checkpoint / "state.json", state)
        for old in self.checkpoint.glob("epoch-*.keras"):
            if old != target:
                old.unlink()

    def finish(self, model: keras.Model, run: dict[str, Any]) -> None:
        """Write the finished network, then run.json, then drop what a kill and the run left."""
        _save(model, self.path / MODEL_FILE)
        write_json(self.path / RUN_FILE, run)
        shutil.rmtree(self.checkpoint)
        for half_written in self.path.glob(".*.????????"):  # by whoever was killed at it
            half_written.unlink()

    def _is_new(self) -> bool:
        """Nothing is inside but what a kill during `claim` leaves."""
        return all(
            path == self.checkpoint or path.name.startswith(".job.json.")
            for path in self.path.rglob("*")
        )

    def _epoch_file(self, epoch: int) -> Path:
        return self.checkpoint / f"epoch-{epoch:04d}.keras"


def _save(model: keras.Model, target: Path) -> None:
    """Write beside the target, fsync, rename: a name never stands for bytes that a power cut takes.

    The folder itself is synced with the JSON file that is written there next.
    """
    partial = target.with_name("partial.keras")
    model.save(partial)
    with partial.open("rb") as stream:
        os.fsync(stream.fileno())
    partial.replace(target)


def read_run(folder: Path) -> dict[str, Any]:
    """run.json of a finished run.

    Raises:
        InputError: it is not there, or no run of this version.
    """
    try:
        described: dict[str, Any] = json.loads((folder / RUN_FILE).read_text(encoding="utf-8"))
        if not (folder / MODEL_FILE).is_file():
            raise ValueError(f"no {MODEL_FILE}")
        if missing := _READ - described.keys():
            raise ValueError(f"{RUN_FILE} lacks {', '.join(sorted(missing))}")
    except (OSError, ValueError, AttributeError) as error:
        raise InputError(f"{folder} holds no finished run: {error}") from error
    return described


def validated_on(folder: Path) -> frozenset[str]:
    """Names of the films that a finished run kept back.

    Raises:
        InputError: its table of scores cannot be read.
    """
    path = folder / PREDICTIONS_FILE
    try:
        with path.open(newline="", encoding="utf-8") as stream:
            return frozenset(row["name"] for row in csv.DictReader(stream))
    except (OSError, ValueError, KeyError) as error:
        raise InputError(f"{path} cannot be read: {error!r}") from error


def films_of(folder: Path) -> frozenset[str]:
    """SHA-256 of each film that trained or validated; none for a run of before they were kept.

    Raises:
        InputError: the table cannot be read.
    """
    path = folder / FILMS_FILE
    try:
        with path.open(newline="", encoding="utf-8") as stream:
            return frozenset(row["sha256"] for row in csv.DictReader(stream))
    except FileNotFoundError:
        return frozenset()
    except (OSError, ValueError, KeyError) as error:
        raise InputError(f"{path} cannot be read: {error!r}") from error


_READ = {"net", "recipe", "data", "epochs", "seed", "metrics", "operating_points"}


def preprocessing(described: dict[str, Any]) -> int:
    """Preprocessing behind the scores of a run or of folds; the first, where none is recorded."""
    judged: int = described.get("preprocessing_version", 1)
    return judged


def trained_preprocessing(described: dict[str, Any]) -> int:
    """Preprocessing that the network was trained through: the same, unless it was judged again."""
    trained: int = described.get("trained_preprocessing_version", preprocessing(described))
    return trained
