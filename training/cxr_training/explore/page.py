"""The look at a data set before modelling: the page behind `cxr-edge explore`."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from statistics import median
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from cxr_edge import __version__
from cxr_edge.errors import InputError, ReportError
from cxr_edge.evaluate.job import FOLDER_NAMES, Labels
from cxr_edge.report.environment import policy
from cxr_edge.support.atomic import write_atomically
from cxr_edge.support.text import display_name
from cxr_training.explore import pictures
from cxr_training.explore.survey import (
    Film,
    Overlap,
    Survey,
    duplicates,
    find_sets,
    grouped,
    patients,
    read_films,
)
from cxr_training.films.data import CLASSES
from cxr_training.support.progress import item_bar

ROWS_SHOWN = 50  # of any list; the counts beside it are complete
FILES_SHOWN = 8  # of one group of equal files
LARGEST_SHOWN = 10

_MODES = {
    "1": "black and white",
    "L": "8-bit grey",
    "LA": "8-bit grey and alpha",
    "P": "palette",
    "RGB": "8-bit colour",
    "RGBA": "8-bit colour and alpha",
    "I": "32-bit grey",
    "I;16": "16-bit grey",
    "I;16B": "16-bit grey",
}
_UNREADABLE = "training leaves them out"
_DOUBTED = "training uses them; take out what is no film to learn from"
_ALONE = (
    "each counts as a patient of its own, so a split leaks where one has several; name patients in "
    "a table (--labels), or take them from DICOM (--patients-from-header)"
)
_SEVERAL_SETS = "the sets are not independent, unless each numbers its patients anew"
_BOTH_CLASSES = "a patient can have both films; if not, a label is wrong"
_EQUAL = {
    Overlap.BOTH_CLASSES: "at least one label is wrong",
    Overlap.SEVERAL_SETS: "one set gives away answers of the other",
    Overlap.SEVERAL_PATIENTS: "a split by patient can put the film on both sides",
    Overlap.ONE_PATIENT: "the film counts more than once; a split by patient keeps it on one side",
}


@dataclass(frozen=True)
class Group:
    """One class of one set; `share` is its part of the readable films of the set."""

    set_name: str
    class_name: str
    films: tuple[Film, ...]
    unreadable: int
    share: float

    @property
    def patients(self) -> int:
        """Number of patients that its films show."""
        return len(patients(self.films))

    def spread(self, attribute: str) -> tuple[float, float, float]:
        """Least, median and largest `width`, `height` or `aspect`."""
        values = [float(getattr(film, attribute)) for film in self.films]
        return min(values), median(values), max(values)


@dataclass(frozen=True)
class PatientRow:
    """Films per patient in one set."""

    set_name: str
    films: int
    patients: int
    single: int
    median: float
    largest: int


@dataclass(frozen=True)
class Check:
    """Something that should not be there, how often it is, and the section that lists it."""

    title: str
    count: int
    meaning: str
    section: str


def explore(folder: Path, out: Path, labels: Labels = FOLDER_NAMES) -> None:
    """Write one self-contained page about a labelled folder, or about a folder of such sets.

    Args:
        folder: the films.
        out: the page.
        labels: where findings and patients of the films stand.

    Raises:
        InputError: something of that name exists.
        DataError: the folder is neither, or none of its images can be read.
        ReportError: the page cannot be written.
    """
    if os.path.lexists(out):
        raise InputError(f"{out} already exists", tip="a page is never overwritten: new --out")
    found = find_sets(folder, labels)
    with item_bar("reading films", len(found)) as advance:
        survey = read_films(found, advance, labels)
    page = render(display_name(folder.resolve().name), survey)
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(out, page.encode())
    except OSError as error:
        raise ReportError(f"the page cannot be written: {error}") from error


def render(title: str, survey: Survey) -> str:
    """The page, as HTML."""
    environment = Environment(
        loader=PackageLoader("cxr_training"), autoescape=True, undefined=StrictUndefined
    )
    environment.filters["thousands"] = "{:,}".format
    style = (files("cxr_training") / "templates" / "explore.css").read_text(encoding="utf-8")
    return environment.get_template("explore.html.j2").render(
        style=style,
        policy=policy(style),
        version=__version__,
        title=title,
        rows_shown=ROWS_SHOWN,
        files_shown=FILES_SHOWN,
        survey=survey,
        groups=_groups(survey),
        formats=_formats(survey.films),
        patient_rows=_patient_rows(survey.films),
        pictures=pictures.draw(survey.films),
        **_findings(survey),
    )


def _findings(survey: Survey) -> dict[str, Any]:
    """Lists of the page, and the checks that count their entries."""
    equal, everyone = duplicates(survey.films), patients(survey.films)
    in_several_sets = [patient for patient in everyone if len(patient.sets) > 1]
    in_both_classes = [patient for patient in everyone if len(patient.classes) > 1]
    alone = sum(film.file.alone for film in survey.films)
    overlaps = Counter(kind for duplicate in equal for kind in duplicate.overlaps)
    return {
        "duplicates": equal,
        "doubts": Counter(doubt for film in survey.films for doubt in film.doubts),
        "patients": everyone,
        "patient_lists": (
            ("Most films", everyone[:LARGEST_SHOWN]),
            ("In several sets", in_several_sets),
            ("In both classes", in_both_classes),
        ),
        "checks": (
            Check("unreadable files", len(survey.unreadable), _UNREADABLE, "unreadable"),
            Check("films with doubts", len(survey.doubted), _DOUBTED, "doubts"),
            Check("films of unknown patients", alone, _ALONE, "patients"),
            *(Check(f"equal files {k}", overlaps[k], _EQUAL[k], "duplicates") for k in Overlap),
            Check("patients in several sets", len(in_several_sets), _SEVERAL_SETS, "patients"),
            Check("patients in both classes", len(in_both_classes), _BOTH_CLASSES, "patients"),
        ),
    }


def _groups(survey: Survey) -> list[Group]:
    """Sets in order, classes in order inside each."""
    unreadable = Counter((file.set_name, file.class_name) for file in survey.unreadable)
    of_set = Counter(film.set_name for film in survey.films)
    films = grouped(survey.films, lambda film: (film.set_name, film.class_name))
    return [
        Group(
            set_name,
            class_name,
            tuple(films.get((set_name, class_name), ())),
            unreadable[set_name, class_name],
            len(films.get((set_name, class_name), ())) / max(1, of_set[set_name]),
        )
        for set_name in survey.sets
        for class_name in CLASSES
    ]


def _formats(films: Sequence[Film]) -> list[tuple[str, str, str, Counter[str]]]:
    """Format, pixel mode and what that is, with films per set; the most frequent first."""
    groups = grouped(films, lambda film: (film.format, film.mode))
    return [
        (image_format, mode, _MODES.get(mode, ""), Counter(film.set_name for film in group))
        for (image_format, mode), group in sorted(groups.items(), key=lambda kv: -len(kv[1]))
    ]


def _patient_rows(films: Sequence[Film]) -> list[PatientRow]:
    rows = []
    for set_name, group in grouped(films, lambda film: film.set_name).items():
        sizes = [len(patient.films) for patient in patients(group)]
        rows.append(
            PatientRow(set_name, len(group), len(sizes), sizes.count(1), median(sizes), max(sizes))
        )
    return rows
