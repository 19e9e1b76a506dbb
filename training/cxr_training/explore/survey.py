"""Survey of a data set: one pass over its files, and what stands out before modelling."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import TypeVar

from PIL import Image

from cxr_edge.errors import DataError
from cxr_edge.evaluate.job import FOLDER_NAMES, Labels
from cxr_edge.intake.prepared import Prepared
from cxr_edge.support.text import display_name
from cxr_edge.types import PATIENT_ID, doubts
from cxr_training.films.data import CLASSES, LabelledFile, find_labelled, with_header_patients
from cxr_training.films.reading import read_films as read_each

Item = TypeVar("Item")
Key = TypeVar("Key", bound=Hashable)

_ANY_SIZE = 50  # pixels a side, of the smallest network: fewer are a doubt for all of them


@dataclass(frozen=True)
class Found:
    """One image file of one set; names are printable, the path is what opens."""

    set_name: str
    file: LabelledFile

    @property
    def class_name(self) -> str:
        """The class that it is labelled with."""
        return CLASSES[self.file.label]

    @property
    def file_name(self) -> str:
        """The file's own name."""
        return display_name(self.file.path.name)

    @property
    def name(self) -> str:
        """Set, and the path in it."""
        return f"{self.set_name}/{self.file.name}"

    @property
    def path(self) -> Path:
        """Path that opens."""
        return self.file.path


@dataclass(frozen=True)
class Film(Found):
    """A file that can be read.

    Attributes:
        width: columns, upright.
        height: rows, upright.
        format: `JPEG`, `PNG`, `TIFF` or `DICOM`.
        mode: Pillow's pixel mode, such as `L`, `RGB` or `I;16`; `-` for DICOM.
        sha256: of the whole file.
        doubts: reasons for which a night would move it to `attention`.
    """

    width: int
    height: int
    format: str
    mode: str
    sha256: str
    doubts: tuple[str, ...] = ()

    @property
    def aspect(self) -> float:
        """Width over height."""
        return self.width / self.height


@dataclass(frozen=True)
class Unreadable(Found):
    """A file that cannot be read, and why."""

    reason: str


@dataclass(frozen=True)
class Survey:
    """Every file of every set, in a fixed order."""

    films: tuple[Film, ...]
    unreadable: tuple[Unreadable, ...]

    @property
    def found(self) -> tuple[Found, ...]:
        """Readable or not."""
        return (*self.films, *self.unreadable)

    @property
    def doubted(self) -> tuple[Film, ...]:
        """Films with doubts."""
        return tuple(film for film in self.films if film.doubts)

    @property
    def sets(self) -> tuple[str, ...]:
        """The names of the sets."""
        return tuple(sorted({found.set_name for found in self.found}))


class Overlap(StrEnum):
    """Kinds of equal files that should not be, the worst first."""

    BOTH_CLASSES = "in both classes"
    SEVERAL_SETS = "in several sets"
    SEVERAL_PATIENTS = "of several patients"
    ONE_PATIENT = "of one patient"


@dataclass(frozen=True)
class Duplicate:
    """Files with the same bytes."""

    films: tuple[Film, ...]

    @property
    def overlaps(self) -> tuple[Overlap, ...]:
        """Every kind that holds, the worst first; `ONE_PATIENT` only by itself."""
        spread = {
            Overlap.BOTH_CLASSES: len({film.file.label for film in self.films}),
            Overlap.SEVERAL_SETS: len({film.set_name for film in self.films}),
            Overlap.SEVERAL_PATIENTS: len({film.file.patient for film in self.films}),
        }
        return tuple(kind for kind, n in spread.items() if n > 1) or (Overlap.ONE_PATIENT,)


@dataclass(frozen=True)
class Patient:
    """The films of one patient."""

    name: str
    films: tuple[Film, ...]

    @property
    def sets(self) -> dict[str, int]:
        """Films in each set that holds one."""
        return dict(Counter(film.set_name for film in self.films))

    @property
    def classes(self) -> dict[str, int]:
        """Films in each class that holds one."""
        return dict(Counter(film.class_name for film in self.films))


def find_sets(folder: Path, labels: Labels = FOLDER_NAMES) -> tuple[Found, ...]:
    """The files of a labelled folder, or of a folder of labelled folders.

    A table, or names of classes, are about the folder itself.

    Raises:
        DataError: neither; or a set lacks a class folder or holds no image.
    """
    named = labels.table is not None or bool(labels.positive)
    is_set = named or _has_class(folder)
    sets = [folder] if is_set else [p for p in sorted(folder.iterdir()) if _has_class(p)]
    if not sets:
        raise DataError(
            f"{folder} has no folders {' and '.join(CLASSES)}, and no folder in it has",
            tip="give a labelled folder, or a folder of labelled folders such as train and test",
        )
    return tuple(
        Found(display_name(one.resolve().name), file)
        for one in sets
        for file in find_labelled(one, labels)
    )


def _has_class(folder: Path) -> bool:
    return any((folder / name).is_dir() for name in CLASSES)


def read_films(
    found: Iterable[Found],
    advance: Callable[[], object] = lambda: None,
    labels: Labels = FOLDER_NAMES,
) -> Survey:
    """Decode every file once and keep its facts, not its pixels.

    Args:
        found: what to read.
        advance: called once per file, for a progress bar.
        labels: whether headers name patients.

    Raises:
        DataError: nothing could be read.
    """
    films: list[Film] = []
    identifiers: list[str] = []
    unreadable: list[Unreadable] = []
    for one, prepared in read_each(found, _ANY_SIZE, labels.identity_fields):
        advance()
        if prepared.pixels is None:
            unreadable.append(Unreadable(one.set_name, one.file, f"{prepared.result.reason}"))
        else:
            films.append(_film(one, prepared))
            identifiers.append(prepared.result.identity.get(PATIENT_ID, ""))
    if not films:
        raise DataError(
            f"none of the {len(unreadable)} files could be read; the first: "
            f"{unreadable[0].name}: {unreadable[0].reason}"
        )
    files = with_header_patients([film.file for film in films], identifiers)
    named = (replace(film, file=file) for film, file in zip(films, files, strict=True))
    return Survey(tuple(named), tuple(unreadable))


def _film(found: Found, prepared: Prepared) -> Film:
    facts = prepared.result
    if facts.width is None or facts.height is None:
        raise ValueError(f"{found.name} was read and has no size")
    return Film(
        found.set_name,
        found.file,
        facts.width,
        facts.height,
        facts.format,
        _mode(found.path),
        facts.sha256,
        tuple(doubts(facts.warnings)),
    )


def _mode(path: Path) -> str:
    """Pixel mode from the header of a file that has just been decoded."""
    try:
        with Image.open(path) as image:
            return image.mode
    except OSError:  # a format that cxr-edge reads without Pillow, or the file has gone
        return "-"


def grouped(items: Iterable[Item], key: Callable[[Item], Key]) -> dict[Key, list[Item]]:
    """Items by key, both in order of arrival."""
    groups: dict[Key, list[Item]] = defaultdict(list)
    for item in items:
        groups[key(item)].append(item)
    return dict(groups)


def duplicates(films: Iterable[Film]) -> list[Duplicate]:
    """Groups of files with the same bytes, the worst overlap first."""
    groups = grouped(films, lambda film: film.sha256).values()
    equal = [Duplicate(tuple(group)) for group in groups if len(group) > 1]
    severity = list(Overlap)
    return sorted(equal, key=lambda duplicate: severity.index(duplicate.overlaps[0]))


def patients(films: Iterable[Film]) -> list[Patient]:
    """Films by patient, most films first."""
    groups = grouped(films, lambda film: film.file.patient)
    everyone = [Patient(name, tuple(group)) for name, group in groups.items()]
    return sorted(everyone, key=lambda patient: (-len(patient.films), patient.name))
