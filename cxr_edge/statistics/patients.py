"""Patients of films, as far as a table or a film's name tells."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

# Who says so, and whom: the same word in a table and in a file name is not the same person.
Person = tuple[str, str]

BY_TABLE = "the table"
BY_NAME = "file names of the public set"
ALONE = "every film counted as a patient of its own"

_KERMANY = re.compile(r"^(?:NORMAL2-)?(IM-\d+)-|^(person\d+)_")
# A site may well call its own films NORMAL-2023-0001: only training, where joining is harmless,
# reads these.
_THIRD_RELEASE = re.compile(r"^(?:BACTERIA|NORMAL|VIRUS)-(\d{4,})-\d{4}\.jpeg$")


def patient_of(filename: str) -> str:
    """The person behind a Kermany file name; other names are each their own patient.

    `person<N>_...` and `(NORMAL2-)IM-<N>-...` repeat N for every film of one person, and so does
    the third release's `BACTERIA-<N>-<film>`, with VIRUS and NORMAL. The two normal series are
    taken as one numbering, the third release's classes as well: joining strangers is harmless in a
    split, dividing a patient is not.
    """
    third = _THIRD_RELEASE.match(filename)
    return third[1] if third else _kermany(filename) or filename


def person_of(path: str, patient: str = "") -> Person:
    """The person on a film of a site.

    A name of the public set counts within one folder only: viewers export `IM-0001-0001` into the
    folder of every patient, and strangers joined make intervals wrong.

    Args:
        path: relative to the set, unique in it.
        patient: the patient that the table names, if it does.
    """
    if patient:
        return BY_TABLE, patient
    folder, _, name = path.rpartition("/")
    person = _kermany(name)
    return (BY_NAME, f"{folder}/{person}") if person else (ALONE, path)


def numbered(people: Sequence[Person]) -> list[str]:
    """A number in place of each name, because no output holds a name that nobody asked for.

    Numbers are of one length and in the order of the names: a bootstrap that sorts patients draws
    the same ones by name, as training does, and by number.
    """
    names = sorted(set(people))
    digits = len(str(len(names)))
    numbers = {person: f"{number:0{digits}}" for number, person in enumerate(names, 1)}
    return [numbers[person] for person in people]


def told_by(people: Sequence[Person]) -> str:
    """Sources that group films by patient, with counts of films where there are several."""
    counts = Counter(source for source, _ in people)
    if len(counts) == 1:
        return next(iter(counts))
    return ", ".join(f"{source} ({counts[source]:,})" for source in sorted(counts))


def _kermany(filename: str) -> str:
    match = _KERMANY.match(filename)
    return next(group for group in match.groups() if group) if match else ""
