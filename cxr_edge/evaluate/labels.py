"""Films whose findings are known: from class folders, or from a table beside them."""

from __future__ import annotations

import contextlib
import os
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from cxr_edge.errors import DataError
from cxr_edge.evaluate.job import Labels
from cxr_edge.evaluate.label_table import first_few, read_table
from cxr_edge.evaluate.results import EvaluatedFilm
from cxr_edge.intake.discover import discover
from cxr_edge.statistics.patients import (
    ALONE,
    Person,
    numbered,
    person_of,
    told_by,
    with_header,
)
from cxr_edge.support.text import display_name
from cxr_edge.types import FoundFile, Reason

NEGATIVE, POSITIVE = "NORMAL", "PNEUMONIA"
_DIGITS = {"0": NEGATIVE, "1": POSITIVE}

_Named = tuple[FoundFile, int, Person]  # a film, its class, and who is on it by name


@dataclass(frozen=True)
class LabelledFilm:
    """One file, its class and who is on it.

    Attributes:
        file: where it is.
        label: 0 for the negative class, 1 for the positive one.
        patient: number of the patient, for outputs.
        person: the same patient by name, and who says so.
    """

    file: FoundFile
    label: int
    patient: str
    person: Person = (ALONE, "")


@dataclass(frozen=True)
class LabelledSet:
    """Contents of a labelled folder.

    Attributes:
        name: what reports call it.
        classes: (negative, positive).
        films: negative ones first.
        unlabelled: names of what lies in the folder without a label.
        patients_from: what says which films show one patient.
    """

    name: str
    classes: tuple[str, str]
    films: tuple[LabelledFilm, ...]
    unlabelled: tuple[str, ...]
    patients_from: str


def read_labels(folder: Path, labels: Labels) -> LabelledSet:
    """The films of a folder, with labels from a table if there is one, else from folder names.

    Raises:
        DataError: as `from_csv` and `from_folders`.
    """
    if labels.table is not None:
        return from_csv(folder, labels.table, labels.positive)
    return from_folders(folder, labels.positive)


def from_folders(folder: Path, positive: tuple[str, ...] = ()) -> LabelledSet:
    """Labels from the names of the first-level folders; every file below one is a film of its.

    What is no film becomes a row that is not scored. Loose files and hidden entries beside the
    class folders are unlabelled.

    Args:
        folder: holds the class folders, each with any folders inside.
        positive: folders of the positive class, a slash at the end or none; the negative class is
            the one other folder, or NORMAL. Without names, they are NORMAL and PNEUMONIA.

    Raises:
        DataError: a folder of no known class, one below which not all can be seen, no film.
    """
    files = list(_discover(folder))
    _refuse_hidden(folder, (file for file in files if _hides_films(file)))
    by_class: dict[str, list[FoundFile]] = defaultdict(list)
    loose: list[FoundFile] = []
    for file in files:
        name, slash, _ = file.display.partition("/")
        (by_class[name] if slash else loose).append(file)
    positive = _positive_folders(folder, positive)
    classes = _classes(by_class, positive)
    linked = (file for file in loose if file.problem is Reason.SYMLINK)
    _refuse_hidden(folder, (link for link in linked if link.display in (*positive, *classes)))
    films = (
        (file, int(name != classes[0]), person_of(file.display))
        for name, inside in by_class.items()
        for file in inside
    )
    return _set(folder.resolve().name, classes, films, [file.display for file in loose])


def from_csv(folder: Path, table: Path, positive: tuple[str, ...] = ()) -> LabelledSet:
    """Labels from a table with the columns `path`, `label` and perhaps `patient`.

    Args:
        folder: what the paths are relative to; its files without a line are unlabelled.
        table: as `label_table.read_table` reads it.
        positive: labels of the positive class, as in `from_folders`. Without them, labels are
            NORMAL and PNEUMONIA, or 0 and 1.

    Raises:
        DataError: the table cannot be read; labels of no known class, files named twice or not
            there, paths that leave the folder.
    """
    files, root = _discover(folder), folder.resolve()
    by_path = {str(file.on_disk.relative_to(root)): file for file in files}
    lines = {line.path: line for line in read_table(table)}
    _refuse(
        f"{display_name(table)} names files that are not in {display_name(folder)}",
        (str(line) for path, line in lines.items() if path not in by_path),
        tip="paths are relative to the folder; links and hidden folders are not followed",
    )
    named = {path: _class_name(line.label, positive) for path, line in lines.items()}
    positive = tuple(map(display_name, positive))
    missing = sorted({*positive} - {*named.values()})
    _refuse(f"no line in {display_name(table)} with the label", missing)
    classes = _classes({*named.values()}, positive)
    films = (
        (
            by_path[path],
            int(name != classes[0]),
            person_of(by_path[path].display, lines[path].patient),
        )
        for path, name in named.items()
    )
    loose = (file for path, file in by_path.items() if path not in named)
    unlabelled = [file.display for file in loose if file.path != table.resolve()]
    return _set(f"{root.name} ({table.name})", classes, films, unlabelled)


def with_header_patients(labelled: LabelledSet, identifiers: Mapping[str, str]) -> LabelledSet:
    """The same films, with the patients that their headers name.

    Args:
        labelled: the films.
        identifiers: Patient ID by name of a film; missing or empty where none is known.
    """
    people = [
        with_header(film.person, identifiers.get(film.file.display, "")) for film in labelled.films
    ]
    films = tuple(
        replace(film, patient=number, person=person)
        for film, number, person in zip(labelled.films, numbered(people), people, strict=True)
    )
    return replace(labelled, films=films, patients_from=told_by(people))


def hash_line(path: str, sha256: str, class_name: str) -> str:
    """One film's line of a set's hash; the class stands in it unless it is the first folder."""
    folder, _, _ = path.partition("/")
    label = "" if folder == class_name else f"\0{class_name}"
    return f"{path}\0{sha256}{label}\n"


def check_contradictions(films: Sequence[EvaluatedFilm]) -> None:
    """Refuse films of the same bytes and different classes: one of the labels is wrong.

    Files that are no films say nothing: two empty ones have the same bytes.

    Raises:
        DataError: names them.
    """
    same: dict[str, list[EvaluatedFilm]] = defaultdict(list)
    for film in films:
        if film.result.sha256 and film.result.probability is not None:
            same[film.result.sha256].append(film)
    _refuse(
        "identical films under different labels",
        (
            " = ".join(film.result.path for film in group)
            for group in same.values()
            if len({film.label for film in group}) > 1
        ),
        tip="one of each has the wrong label; remove it",
    )


def _discover(folder: Path) -> Iterable[FoundFile]:
    if not os.path.isdir(folder):  # noqa: PTH112 - that of Path raises where it may not look
        raise DataError(f"not a folder: {display_name(folder)}")
    return discover([folder])


def _classes(names: Collection[str], positive: tuple[str, ...]) -> tuple[str, str]:
    """(negative, positive) for the classes that films have; an unknown one is refused."""
    rest = sorted(set(names) - {*positive})
    if not positive:
        negative, positive = NEGATIVE, (POSITIVE,)
    else:
        negative = rest[0] if len(rest) == 1 else NEGATIVE
    accepted = (negative, *positive)
    unknown = [name for name in rest if name not in accepted]
    likely = [name for name in unknown if name.strip().upper() in accepted]
    tip = f"the classes are {' and '.join(accepted)}; name others with --positive NAME"
    if likely:
        name = likely[0].strip().upper()
        tip = f"write {name}, in capitals and without blanks; or name others with --positive NAME"
    _refuse("unknown classes", unknown, tip)
    merged = "+".join(dict.fromkeys(positive))
    if merged == negative:
        raise DataError(f"no class is left beside the positive one: {merged}")
    return negative, merged


def _positive_folders(folder: Path, names: Iterable[str]) -> tuple[str, ...]:
    """Each is the name of a folder, as films below it have it: no `./X`, no `X/sub`, no `.`."""
    folders = {name: name.rstrip("/") for name in names}
    inside: list[str] = []
    with contextlib.suppress(OSError):  # the names are not there, then
        inside = os.listdir(folder)  # noqa: PTH208 - names, not paths
    _refuse(
        f"no folder in {display_name(folder)} for the positive class",
        (
            display_name(name)
            for name, bare in folders.items()
            if bare not in inside or not (folder / bare).is_dir()
        ),
    )
    return tuple(map(display_name, folders.values()))


def _hides_films(file: FoundFile) -> bool:
    """A folder whose films cannot be seen, or a link below a class folder to one."""
    inside, linked = "/" in file.display, file.problem is Reason.SYMLINK
    return file.problem is Reason.UNREADABLE_FOLDER or (inside and linked and file.on_disk.is_dir())


def _refuse_hidden(folder: Path, files: Iterable[FoundFile]) -> None:
    _refuse(
        f"folders in {display_name(folder)} that are links or cannot be opened",
        (file.display for file in files),
        tip="films in them would be missing from every figure",
    )


def _class_name(label: str, positive: tuple[str, ...]) -> str:
    """0 and 1 stand for the usual classes, unless the site names its own."""
    return label if positive else _DIGITS.get(label, label)


def _set(
    name: str, classes: tuple[str, str], films: Iterable[_Named], unlabelled: Sequence[str]
) -> LabelledSet:
    """Negative films first; patients become numbers, so that no name of one is handed on."""
    ordered = sorted(films, key=lambda film: film[1])  # stable: else as found or listed
    if not ordered:
        raise DataError(
            f"no labelled film in {display_name(name)}",
            tip=f"films lie in the folders {' and '.join(classes)}",
        )
    people = [person for _, _, person in ordered]
    members = tuple(
        LabelledFilm(file, label, number, person)
        for (file, label, person), number in zip(ordered, numbered(people), strict=True)
    )
    return LabelledSet(display_name(name), classes, members, tuple(unlabelled), told_by(people))


def _refuse(what: str, names: Iterable[str], tip: str = "") -> None:
    """An error that names the first few, unless there are none."""
    named = list(names)
    if named:
        raise DataError(f"{what}: {first_few(named)}", tip)
