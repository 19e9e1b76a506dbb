"""Patients of films, as far as a table, a DICOM header or a film's name tells."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

# Who says so, and whom: the same word in a table and in a file name is not the same person.
Person = tuple[str, str]

BY_TABLE = "the table"
BY_HEADER = "DICOM headers"
BY_NAME = "file names"
ALONE = "every film counted as a patient of its own"

_KERMANY = re.compile(r"^(?:NORMAL2-)?(IM-\d+)-|^(person\d+)_")
# A site may well call its own films NORMAL-2023-0001: only training, where joining is harmless,
# reads these.
_THIRD_RELEASE = re.compile(r"^(?:BACTERIA|NORMAL|VIRUS)-(\d{4,})-\d{4}\.jpeg$")
# PATIENT_FOLLOWUP, as the NIH names its films: 00000013_005.png. A shorter first part is as likely
# a year or the number of a series, one without a digit is a word, and eight digits may be a day:
# 20260115_0007.dcm.
_FOLLOW_UP = re.compile(
    r"^(?!(?:19|20)\d\d-?[01]\d-?[0-3]\d_)(?=[^_]*\d)"
    r"([A-Za-z0-9-]{5,})_\d{1,4}(?:\.[A-Za-z0-9]+)?$"
)


def patient_of(path: str) -> str:
    """The person behind a film's name, for a split; another name is a patient of its own.

    `person<N>_...` and `(NORMAL2-)IM-<N>-...` of Kermany repeat N for every film of one person, and
    so does the third release's `BACTERIA-<N>-<film>`, with VIRUS and NORMAL. The two normal series
    are taken as one numbering, the third release's classes as well: joining strangers is harmless
    in a split, dividing a patient is not. `PATIENT_FOLLOWUP` is one patient.

    Args:
        path: below the folder of its class. Viewers export `IM-0001-0001` into the folder of every
            patient, so such a name counts within its folder; the others count everywhere.

    Returns:
        A name of the patient, or the path itself.
    """
    folder, slash, name = path.rpartition("/")
    third = _THIRD_RELEASE.match(name)
    person = third[1] if third else _kermany(name) or _follow_up(name)
    return f"{folder}{slash}{person}" if person.startswith("IM-") else person or path


def person_of(path: str, patient: str = "") -> Person:
    """The person on a film of a site.

    A name of the public set counts within one folder only: viewers export `IM-0001-0001` into the
    folder of every patient, and strangers joined make intervals wrong. `PATIENT_FOLLOWUP` counts
    everywhere: folders of classes divide a patient's films.

    Args:
        path: relative to the set, unique in it.
        patient: the patient that the table names, if it does.
    """
    if patient:
        return BY_TABLE, patient
    folder, _, name = path.rpartition("/")
    if person := _kermany(name):
        return BY_NAME, f"{folder}/{person}"
    if patient := _follow_up(name):
        return BY_NAME, patient
    return ALONE, path


def with_header(person: Person, identifier: str) -> Person:
    """The person on a film whose header names one; a table knows better, a file name does not."""
    return (BY_HEADER, identifier) if identifier and person[0] != BY_TABLE else person


def numbered(people: Sequence[Person]) -> list[str]:
    """A number in place of each name, because no output holds a name that nobody asked for.

    Numbers are of one length and in the order of the names: a bootstrap that sorts patients draws
    the same ones by name, as training does, and by number.
    """
    names = sorted(set(people))
    digits = len(str(len(names)))
    numbers = {person: f"{number:0{digits}}" for number, person in enumerate(names, 1)}
    return [numbers[person] for person in people]


def is_follow_up(path: str) -> bool:
    """Whether a film's name is `PATIENT_FOLLOWUP`: until 0.2.0 each was a patient of its own."""
    return bool(_follow_up(path.rpartition("/")[2]))


def told_by(people: Sequence[Person]) -> str:
    """Sources that group films by patient, with counts of films where there are several."""
    counts = Counter(source for source, _ in people)
    if len(counts) == 1:
        return next(iter(counts))
    return ", ".join(f"{source} ({counts[source]:,})" for source in sorted(counts))


def _kermany(filename: str) -> str:
    match = _KERMANY.match(filename)
    return next(group for group in match.groups() if group) if match else ""


def _follow_up(filename: str) -> str:
    match = _FOLLOW_UP.match(filename)
    return match[1] if match else ""
