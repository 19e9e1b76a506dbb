"""Labelled folders, the patients in them, and images cached as uint8."""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from sklearn.model_selection import StratifiedGroupKFold

from cxr_edge.errors import DataError, ImageError
from cxr_edge.images import decode
from cxr_edge.preprocess import to_network_input, without_border
from cxr_edge.statistics.patients import patient_of
from cxr_edge.support.text import display_name

CLASSES = ("NORMAL", "PNEUMONIA")
SUFFIXES = {".jpeg", ".jpg", ".png", ".tif", ".tiff"}


@dataclass(frozen=True)
class LabelledFile:
    """One image file: its class (0 NORMAL, 1 PNEUMONIA) and the patient it shows."""

    path: Path
    label: int
    patient: str

    @property
    def name(self) -> str:
        """Class folder and file name: unique inside one labelled folder."""
        return f"{CLASSES[self.label]}/{self.path.name}"

    @property
    def alone(self) -> bool:
        """The name tells no patient, so the film counts as one of its own."""
        return self.patient == self.path.name


@dataclass(frozen=True)
class Skipped:
    """A file that is in the folder and not in the data, and why."""

    name: str
    reason: str

    def __str__(self) -> str:
        """For a message."""
        return f"{display_name(self.name)}: {self.reason}"


@dataclass(frozen=True)
class ImageSet:
    """Decoded images of one size, in the order of their files.

    Attributes:
        files: N files.
        pixels: uint8 [N, S, S, 1].
        labels: float32 [N], 1 for pneumonia.
        sha256: over names and contents of all N files.
    """

    files: tuple[LabelledFile, ...]
    pixels: NDArray[np.uint8]
    labels: NDArray[np.float32]
    sha256: str

    def subset(self, indices: Sequence[int] | NDArray[np.int64]) -> ImageSet:
        """Some of the images; the hash stays that of the whole."""
        rows = np.asarray(indices, dtype=np.int64)
        files = tuple(self.files[i] for i in rows)
        return ImageSet(files, self.pixels[rows], self.labels[rows], self.sha256)

    @property
    def unknown_patients(self) -> int:
        """Films whose names tell no patient."""
        return sum(file.alone for file in self.files)

    def counts(self) -> dict[str, int]:
        """Images per class, and patients."""
        per_class = {c: int((self.labels == i).sum()) for i, c in enumerate(CLASSES)}
        return {**per_class, "patients": len({file.patient for file in self.files})}


@dataclass(frozen=True)
class Split:
    """Training and validation images that share no patient."""

    train: ImageSet
    validation: ImageSet

    def __post_init__(self) -> None:
        """A patient on both sides would make validation a memory test."""
        both = {f.patient for f in self.train.files} & {f.patient for f in self.validation.files}
        if both:
            raise DataError(f"patients on both sides of the split: {', '.join(sorted(both)[:5])}")
        for side, images in (("training", self.train), ("validation", self.validation)):
            if len(np.unique(images.labels)) != len(CLASSES):
                raise DataError(f"the {side} side holds one class only; more patients are needed")


def find_labelled(folder: Path) -> tuple[LabelledFile, ...]:
    """The image files of a folder that holds NORMAL and PNEUMONIA, in a fixed order.

    Raises:
        DataError: a class folder is missing, or holds no image.
    """
    files: list[LabelledFile] = []
    for label, name in enumerate(CLASSES):
        if not (folder / name).is_dir():
            raise DataError(
                f"{folder} has no folder {name}",
                tip="a labelled folder holds the folders NORMAL and PNEUMONIA",
            )
        inside = sorted(p for p in (folder / name).iterdir() if p.suffix.lower() in SUFFIXES)
        if not inside:
            raise DataError(f"{folder / name} holds no image")
        files += [LabelledFile(path, label, patient_of(path.name)) for path in inside]
    return tuple(files)


def load_images(
    files: Iterable[LabelledFile], size: int, advance: Callable[[], object] = lambda: None
) -> tuple[ImageSet, tuple[Skipped, ...]]:
    """Decode every file once, at one size.

    Args:
        files: what to read.
        size: S, pixels a side.
        advance: called once per file, for a progress bar.

    Returns:
        The images, and the files that could not be read, each with its reason.

    Raises:
        DataError: nothing, or only one class, could be read.
    """
    kept: list[tuple[LabelledFile, str, NDArray[np.uint8]]] = []
    skipped: list[Skipped] = []
    with ThreadPoolExecutor() as pool:
        for file, outcome in pool.map(lambda f: (f, _load(f, size)), files):
            advance()
            if isinstance(outcome, str):
                skipped.append(Skipped(file.name, outcome))
            else:
                kept.append((file, *outcome))
    labels = np.array([file.label for file, _, _ in kept], dtype=np.float32)
    if len(np.unique(labels)) != len(CLASSES):
        raise DataError(
            f"readable images of both classes are needed; {len(kept)} of {len(kept) + len(skipped)}"
            " files could be read"
        )
    lines = "".join(f"{file.name}\0{sha}\n" for file, sha, _ in kept)
    digest = hashlib.sha256(lines.encode("utf-8", "surrogateescape"))  # names need not be UTF-8
    pixels = np.stack([plane for _, _, plane in kept])
    images = ImageSet(tuple(f for f, _, _ in kept), pixels, labels, digest.hexdigest())
    return images, tuple(skipped)


def _load(file: LabelledFile, size: int) -> tuple[str, NDArray[np.uint8]] | str:
    """Content hash and network input, or the reason why not."""
    try:
        data = file.path.read_bytes()
        pixels = decode(data, file.path.name).pixels
    except (OSError, ImageError) as error:
        return str(error)
    return hashlib.sha256(data).hexdigest(), to_network_input(without_border(pixels), size)


def split_by_patient(images: ImageSet, validation_tenths: int, seed: int) -> Split:
    """Keep tenths of the patients back for validation, both classes in proportion.

    Raises:
        DataError: too few patients to fill ten folds.
    """
    patients = [file.patient for file in images.files]
    folds = StratifiedGroupKFold(n_splits=10, shuffle=True, random_state=seed)
    try:
        with warnings.catch_warnings(category=UserWarning, action="ignore"):  # `Split` refuses it
            held_out = [fold for _, fold in folds.split(images.labels, images.labels, patients)]
    except ValueError as error:
        raise DataError(f"too few images to split by patient: {error}") from error
    validation = np.sort(np.concatenate(held_out[:validation_tenths]))
    train = np.setdiff1d(np.arange(len(images.labels)), validation)
    return Split(images.subset(train), images.subset(validation))
