"""Distillation: finished networks whose scores stand beside the labels of the films they look at.

Source: Hinton, Vinyals, Dean, arXiv:1503.02531 (2015), "Distilling the knowledge in a neural
network". Teachers see each film as the student does, changed by its augmentation; one that takes
larger films sees it before it is reduced to the student's size. Reducing averages: from 96 pixels
to 50, noise of 10 grey levels becomes 3.6, and the film itself a little softer than one that was
read at 50.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from cxr_edge.errors import InputError
from cxr_edge.preprocess import PREPROCESSING_VERSION
from cxr_training.films import data
from cxr_training.films.photometric import FloatImage
from cxr_training.fit import run
from cxr_training.nets import NETS
from cxr_training.support.progress import item_bar


@dataclass(frozen=True)
class Teacher:
    """One finished network.

    Attributes:
        model: it.
        validated_on: names of the films that it did not train on.
        about: what run.json of the student says of it.
        preprocessing_version: what it learnt from films through.
    """

    model: keras.Model
    validated_on: frozenset[str]
    about: dict[str, str]
    preprocessing_version: int = PREPROCESSING_VERSION

    @property
    def size(self) -> int:
        """Pixels a side that it takes."""
        return NETS[self.model.name].size

    def probability(self, planes: FloatImage) -> NDArray[np.float32]:
        """float32 [n, S, S] at least as large as its own input, to float32 [n]."""
        rgb = np.repeat(reduced(planes, self.size)[..., np.newaxis], 3, axis=-1)
        answers = keras.ops.convert_to_numpy(self.model(rgb, training=False))
        return np.asarray(answers, dtype=np.float32)[:, 0]


def reduced(planes: FloatImage, size: int) -> FloatImage:
    """float32 [n, S, S] to [n, size, size]; as they are where they have that size.

    Raises:
        ValueError: they are smaller, and nothing can give back what they lack.
    """
    if planes.shape[1] == size:
        return planes
    if planes.shape[1] < size:
        raise ValueError(f"films of {planes.shape[1]} pixels for a network of {size}")
    films = [Image.fromarray(plane) for plane in planes]
    bilinear = Image.Resampling.BILINEAR
    return np.stack([np.asarray(film.resize((size, size), bilinear)) for film in films])


@dataclass(frozen=True)
class Teachers:
    """All of them; their mean probability enters the label with `weight`."""

    members: tuple[Teacher, ...] = ()
    weight: float = 0.0

    def labels(self, planes: FloatImage, labels: NDArray[np.float32]) -> NDArray[np.float32]:
        """Labels float32 [n] drawn towards the teachers' scores of float32 [n, S, S]."""
        if not self.members:
            return labels
        taught = np.stack([teacher.probability(planes) for teacher in self.members]).mean(0)
        drawn: NDArray[np.float32] = labels + np.float32(self.weight) * (taught - labels)
        return drawn

    def about(self) -> list[dict[str, str]]:
        """Facts for run.json."""
        return [teacher.about for teacher in self.members]

    def films(self, images: data.ImageSet) -> data.ImageSet:
        """The student's training films, as large as the largest of its teachers takes them.

        Args:
            images: uint8 [N, S, S, 1], at the student's size.

        Returns:
            The same N, uint8 [N, T, T, 1] with T at least S; read again where T is larger.

        Raises:
            InputError: one can no longer be read.
        """
        size = max([images.pixels.shape[1], *(teacher.size for teacher in self.members)])
        if images.pixels.shape[1] == size:
            return images
        with item_bar("reading images for the teachers", len(images.files)) as advance:
            larger, _ = data.load_images(images.files, size, advance)
        if [file.name for file in larger.files] != [file.name for file in images.files]:
            raise InputError("films could not be read a second time, for the teachers")
        return replace(images, pixels=larger.pixels)

    def check(self, split: data.Split) -> None:
        """Refuse whoever would tell the student about its validation films.

        Raises:
            InputError: one trained on a validation film, on other data or otherwise prepared.
        """
        names = {file.name for file in split.validation.files}
        for teacher in self.members:
            about = teacher.about["run"]
            if teacher.about["data_sha256"] != split.train.sha256:
                raise InputError(f"teacher {about} was trained on other data")
            if teacher.preprocessing_version != PREPROCESSING_VERSION:
                raise InputError(f"teacher {about} was trained with another preprocessing")
            if not names <= teacher.validated_on:
                raise InputError(
                    f"teacher {about} trained on films that validate here",
                    tip="train it with the same seed and validation_tenths",
                )


NOBODY = Teachers()


def load_teachers(folders: Iterable[Path], weight: float) -> Teachers:
    """Finished RUN folders as teachers.

    Raises:
        InputError: a folder holds no finished run, or there is nothing to weigh.
    """
    members = tuple(map(_load, folders))
    check_weight(len(members), weight)
    return Teachers(members, weight)


def check_weight(teachers: int, weight: float) -> None:
    """Teachers and their weight go together.

    Raises:
        InputError: one of them is missing.
    """
    if bool(teachers) != bool(weight):
        raise InputError(
            "the recipe weighs no teacher" if teachers else "the recipe asks for teachers",
            tip="distillation in the recipe and --teacher go together",
        )


def _load(folder: Path) -> Teacher:
    try:
        described: dict[str, Any] = json.loads((folder / run.RUN_FILE).read_text(encoding="utf-8"))
        names = run.validated_on(folder)
        content = (folder / run.MODEL_FILE).read_bytes()
        model = keras.models.load_model(folder / run.MODEL_FILE, compile=False)
        about = {
            "run": folder.resolve().name,
            "net": str(described["net"]),
            "recipe_sha256": str(described["recipe_sha256"]),
            "data_sha256": str(described["data"]["sha256"]),
            "model_sha256": hashlib.sha256(content).hexdigest(),
        }
    except (InputError, OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"teacher {folder} is no finished run: {error}") from error
    model.trainable = False
    return Teacher(model, names, about, run.trained_preprocessing(described))
