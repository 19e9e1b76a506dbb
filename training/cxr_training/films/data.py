"""Labelled films, the patients on them, and images cached as uint8."""

from __future__ import annotations

import hashlib
import warnings
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from sklearn.model_selection import StratifiedGroupKFold

from cxr_edge.errors import DataError
from cxr_edge.evaluate.job import FOLDER_NAMES, Labels
from cxr_edge.evaluate.labels import LabelledFilm, LabelledSet, hash_line, read_labels
from cxr_edge.intake.prepared import Prepared
from cxr_edge.statistics.patients import (
    ALONE,
    BY_HEADER,
    BY_NAME,
    BY_TABLE,
    is_follow_up,
    numbered,
    patient_of,
)
from cxr_edge.support.text import display_name
from cxr_edge.types import PATIENT_ID, Reason, doubts
from cxr_training.films.reading import read_films

CLASSES = ("NORMAL", "PNEUMONIA")


@dataclass(frozen=True)
class LabelledFile:
    """One file: its class and the patient it shows.

    Attributes:
        path: what opens.
        label: 0 NORMAL, 1 PNEUMONIA, whatever a site calls them.
        patient: a name from the file's, or a number; never what a table or a header says.
        shown: path below the labelled folder; empty for a file in its class folder.
        class_name: what the site calls the class; empty for that of `CLASSES`.
        patient_from: what says so, as `cxr_edge.statistics.patients` has it.
        sha256: of its bytes; empty until they are read.
    """

    path: Path
    label: int
    patient: str
    shown: str = ""
    class_name: str = ""
    patient_from: str = BY_NAME
    sha256: str = ""

    @property
    def name(self) -> str:
        """Path below the labelled folder: unique there, and printable."""
        return self.shown or f"{CLASSES[self.label]}/{self.path.name}"

    @property
    def alone(self) -> bool:
        """Nothing tells the patient, so the film counts as one of its own."""
        return self.patient_from == ALONE

    def hash_line(self) -> str:
        """The film's line of a set's hash."""
        return hash_line(self.name, self.sha256, self.class_name or CLASSES[self.label])


@dataclass(frozen=True)
class Skipped:
    """A file that is not in the data, or is doubted, and why."""

    name: str
    reason: str

    def __str__(self) -> str:
        """Text for a message."""
        return f"{self.name}: {self.reason}"


@dataclass(frozen=True)
class ImageSet:
    """Decoded images of one size, in the order of their files.

    Attributes:
        files: N files.
        pixels: uint8 [N, S, S, 1].
        labels: float32 [N], 1 for pneumonia.
        sha256: over names and contents of all N files.
        doubted: films that are used although a night would move them to `attention`; like the hash,
            those of the whole.
    """

    files: tuple[LabelledFile, ...]
    pixels: NDArray[np.uint8]
    labels: NDArray[np.float32]
    sha256: str
    doubted: tuple[Skipped, ...] = ()

    def subset(self, indices: Sequence[int] | NDArray[np.int64]) -> ImageSet:
        """Some of the images; the hash stays that of the whole."""
        rows = np.asarray(indices, dtype=np.int64)
        files = tuple(self.files[i] for i in rows)
        return replace(self, files=files, pixels=self.pixels[rows], labels=self.labels[rows])

    @property
    def unknown_patients(self) -> int:
        """Films of which nothing tells the patient."""
        return sum(file.alone for file in self.files)

    @property
    def patients_sha256(self) -> str:
        """Hash over who is on each film; empty where names of the public set say so.

        The same films with other patients are split otherwise: no run goes on after that.
        """
        names = (BY_NAME, ALONE)
        if all(f.patient_from in names and not is_follow_up(f.name) for f in self.files):
            return ""
        lines = "".join(f"{f.name}\0{f.patient}\n" for f in self.files)
        return hashlib.sha256(lines.encode()).hexdigest()

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


def find_labelled(folder: Path, labels: Labels = FOLDER_NAMES) -> tuple[LabelledFile, ...]:
    """The labelled files of a folder, by class and name, as `cxr-edge evaluate` finds them.

    Raises:
        DataError: the labels cannot be read, or a class has no film.
    """
    return labelled_files(labelled_set(folder, labels), labels)


def labelled_set(folder: Path, labels: Labels = FOLDER_NAMES) -> LabelledSet:
    """The same as the acceptance test has it, with what lies there without a label.

    Raises:
        DataError: as `find_labelled`.
    """
    found = read_labels(folder, labels)
    for label, name in enumerate(found.classes):
        if not any(film.label == label for film in found.films):
            raise DataError(
                f"{display_name(folder)} holds no film of the class {name}",
                tip="a labelled folder holds the folders NORMAL and PNEUMONIA, or --labels and "
                "--positive say what is what",
            )
    return found


def labelled_files(found: LabelledSet, labels: Labels) -> tuple[LabelledFile, ...]:
    """The files of a set, ordered by class and name: rows and hashes rest on the order."""
    files = [
        _labelled_file(film, found.classes[film.label], in_class_folder=labels.table is None)
        for film in found.films
        if film.file.problem is not Reason.TEMPORARY_NAME  # what file managers leave in a folder
    ]
    return tuple(sorted(files, key=lambda file: (file.label, file.name)))


def _labelled_file(film: LabelledFilm, class_name: str, *, in_class_folder: bool) -> LabelledFile:
    shown = film.file.display
    source, _ = film.person
    patient = f"table {film.patient}"
    if source != BY_TABLE:
        inside = shown.partition("/")[2] if in_class_folder else shown
        patient = patient_of(inside)
        source = ALONE if patient == inside else BY_NAME
    # A training set is often made of links to the films of an archive.
    path = film.file.on_disk
    path = path.resolve() if film.file.problem is Reason.SYMLINK else path
    return LabelledFile(path, film.label, patient, shown, class_name, source)


def load_images(
    files: Iterable[LabelledFile],
    size: int,
    advance: Callable[[], object] = lambda: None,
    labels: Labels = FOLDER_NAMES,
) -> tuple[ImageSet, tuple[Skipped, ...]]:
    """Decode every file once, at one size.

    Args:
        files: what to read.
        size: S, pixels a side.
        advance: called once per file, for a progress bar.
        labels: whether headers name patients.

    Returns:
        The images, and the files that could not be read, each with its reason.

    Raises:
        DataError: nothing, or only one class, could be read.
    """
    kept: list[tuple[LabelledFile, Prepared]] = []
    skipped: list[Skipped] = []
    for file, film in read_films(files, size, labels.identity_fields):
        advance()
        if film.pixels is None:
            skipped.append(Skipped(file.name, f"{film.result.reason}"))
        else:
            kept.append((file, film))
    if len({file.label for file, _ in kept}) != len(CLASSES):
        raise DataError(
            f"readable images of both classes are needed; {len(kept)} of {len(kept) + len(skipped)}"
            " files could be read"
        )
    return _image_set(kept), tuple(skipped)


def _image_set(films: Sequence[tuple[LabelledFile, Prepared]]) -> ImageSet:
    """Films that could be read, as arrays."""
    files = [replace(file, sha256=film.result.sha256) for file, film in films]
    results = [film.result for _, film in films]
    lines = "".join(file.hash_line() for file in files)
    doubted = (
        Skipped(file.name, reason)
        for file, result in zip(files, results, strict=True)
        for reason in doubts(result.warnings)
    )
    return ImageSet(
        files=with_header_patients(files, [each.identity.get(PATIENT_ID, "") for each in results]),
        pixels=np.stack([film.pixels for _, film in films if film.pixels is not None]),
        labels=np.array([file.label for file in files], dtype=np.float32),
        sha256=hashlib.sha256(lines.encode()).hexdigest(),
        doubted=tuple(doubted),
    )


def with_header_patients(
    files: Sequence[LabelledFile], identifiers: Sequence[str]
) -> tuple[LabelledFile, ...]:
    """The same files, numbered by the patients that their headers name; a table knows better."""
    numbers = numbered([(BY_HEADER, identifier) for identifier in identifiers])
    return tuple(
        replace(file, patient=f"header {number}", patient_from=BY_HEADER)
        if identifier and file.patient_from != BY_TABLE
        else file
        for file, identifier, number in zip(files, identifiers, numbers, strict=True)
    )


def check_held_back(test: Path, films: ImageSet, known: Collection[str], whose: str) -> None:
    """Refuse a test on films that a network has seen, whatever they are called there.

    Args:
        test: the labelled folder, for the message.
        films: all of it.
        known: SHA-256 of the films that trained or validated; empty where nobody knows.
        whose: what these are, for the message.

    Raises:
        DataError: one of them is among `films`.
    """
    shared = [file.name for file in films.files if file.sha256 in known]
    if shared:
        raise DataError(
            f"{len(shared)} of {len(films.files)} films of {display_name(test)} are {whose} "
            f"(first {shared[0]}); they test nothing",
            tip="give a folder that was held back",
        )


def tally(doubted: Iterable[Skipped]) -> str:
    """Doubts by reason, the most frequent first."""
    counts = Counter(item.reason for item in doubted)
    return ", ".join(f"{reason} {count}" for reason, count in counts.most_common())


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
