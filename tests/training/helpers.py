"""Synthetic films, a tiny training, and ways to look at what it leaves."""

from __future__ import annotations

import contextlib
import csv
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from cxr_edge.cli.boundary import run_command
from cxr_edge.cli.commands import cli

FILMS_PER_CLASS = 30

# Keras 3.15 reads its variables with np.array(x); they do not know NumPy 2's `copy` keyword yet.
saves_keras_variables = pytest.mark.filterwarnings(
    "ignore:__array__ implementation doesn't accept a copy keyword:DeprecationWarning"
)

EPOCHS = 3
TINY = f"""
name = "tiny"
net = "cnn3_50"
epochs = {EPOCHS}
batch_size = 16
seed = 1
validation_tenths = 3

[model]
normalization = "per_image"
batchnorm_momentum = 0.5
dropout_scale = 0.2

[augmentation]
shift = 0.05
flip = true

[optimizer]
learning_rate = 5e-4
"""
RUN_CONTENTS = {
    "run.json",
    "model.keras",
    "history.csv",
    "predictions.csv",
    "films.csv",
    "curves.png",
    "confusion_matrix.png",
    "classification_report.txt",
}


class Killed(BaseException):
    """Stands in for a kill: nothing in the code under test may catch it."""


def killed(*_: object) -> NoReturn:
    raise Killed


@contextlib.contextmanager
def killed_after_an_epoch(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A training meanwhile dies when its next epoch is saved."""
    from cxr_training.fit.callbacks import Checkpoint

    save = Checkpoint.on_epoch_end

    def save_and_die(self: Any, epoch: int, logs: Any = None) -> NoReturn:
        save(self, epoch, logs)
        raise Killed

    with monkeypatch.context() as patch, pytest.raises(Killed):
        patch.setattr(Checkpoint, "on_epoch_end", save_and_die)
        yield


def texture(label: int, rng: np.random.Generator) -> NDArray[np.uint8]:
    """uint8 [64, 72]: fine stripes for 0, soft blobs for 1."""
    if label:
        coarse = Image.fromarray(rng.integers(40, 216, (8, 9), np.uint8))
        return np.array(coarse.resize((72, 64), Image.Resampling.BICUBIC))
    stripes = np.sin(np.arange(72) * rng.uniform(1.2, 1.6))
    levels: NDArray[np.float64] = 128 + 60 * stripes + rng.normal(0, 10, (64, 72))
    return levels.clip(0, 255).astype(np.uint8)


def film_name(label: int, index: int) -> str:
    """Kermany's naming; two films for every patient, JPEG and PNG in turn."""
    suffix = "png" if index % 3 == 0 else "jpeg"
    if label:
        return f"person{index // 2}_virus_{index}.{suffix}"
    return f"IM-{index // 2:04d}-{index:04d}.{suffix}"


def write_labelled_folder(folder: Path, films_per_class: int = FILMS_PER_CLASS) -> Path:
    """A folder with NORMAL and PNEUMONIA, the same films every time."""
    rng = np.random.default_rng(7)
    for label, name in enumerate(("NORMAL", "PNEUMONIA")):
        (folder / name).mkdir(parents=True)
        for index in range(films_per_class):
            Image.fromarray(texture(label, rng)).save(folder / name / film_name(label, index))
    return folder


def table(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


def weights(folder: Path) -> list[NDArray[Any]]:
    """Of a finished run's network."""
    import keras

    model = keras.models.load_model(folder / "model.keras", compile=False)
    return [np.asarray(it) for it in model.get_weights()]


def epochs_in(folder: Path) -> list[int]:
    return [int(row["epoch"]) for row in table(folder / "history.csv")]


def fresh_python(code: str, *arguments: object) -> subprocess.Popen[str]:
    """A fresh Python that finds the packages where this one does."""
    return subprocess.Popen(
        [sys.executable, "-c", code, *map(str, arguments)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def command_line(monkeypatch: pytest.MonkeyPatch, *arguments: object) -> int:
    """`cxr-edge` with these arguments; its exit code.

    Always the whole command: click keeps the options of a subcommand that is run alone, without
    `-h`, for the rest of the process.
    """
    monkeypatch.setattr(sys, "argv", ["cxr-edge", *map(str, arguments)])
    return run_command(cli)
