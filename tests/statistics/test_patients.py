"""The person behind a file name."""

from __future__ import annotations

import pytest

from cxr_edge.statistics.patients import (
    ALONE,
    BY_HEADER,
    BY_NAME,
    BY_TABLE,
    Person,
    numbered,
    patient_of,
    person_of,
    told_by,
    with_header,
)


@pytest.mark.parametrize(
    ("name", "patient"),
    [
        ("IM-0115-0001.jpeg", "IM-0115"),
        ("IM-0135-0001-0002.jpeg", "IM-0135"),
        ("NORMAL2-IM-0115-0001.jpeg", "IM-0115"),
        ("NORMAL2-IM-1427-0001.jpeg", "IM-1427"),
        ("NORMAL2-IM-0173-0001-0002.jpeg", "IM-0173"),
        ("person1_bacteria_1.jpeg", "person1"),
        ("person1_virus_11.jpeg", "person1"),
        ("person10_bacteria_43.jpeg", "person10"),
        ("person1946_bacteria_4875.jpeg", "person1946"),
        ("person23_bacteria_100.jpeg", "person23"),
        ("BACTERIA-1008087-0001.jpeg", "1008087"),
        ("VIRUS-1008087-0002.jpeg", "1008087"),
        ("NORMAL-1003233-0001.jpeg", "1003233"),
        ("00000013_005.png", "00000013"),
        ("P0012_1.dcm", "P0012"),
        ("PAT-7_0012", "PAT-7"),
        ("2023_0001.png", "2023_0001.png"),
        ("0001_0002.dcm", "0001_0002.dcm"),
        ("chest_0001.png", "chest_0001.png"),
        ("00000013_005_001.png", "00000013_005_001.png"),
        ("00000013_20230101.png", "00000013_20230101.png"),
        ("2023/00000013_005.png", "00000013"),
        ("2023/person7_virus_2.jpeg", "person7"),
        ("anna/IM-0001-0001.dcm", "anna/IM-0001"),
        ("anna/film.dcm", "anna/film.dcm"),
        ("NORMAL-2023-0001.png", "NORMAL-2023-0001.png"),
        ("NORMAL-7-0001.jpeg", "NORMAL-7-0001.jpeg"),
        ("VIRUS-1234-1.jpeg", "VIRUS-1234-1.jpeg"),
        ("scan7.png", "scan7.png"),
        ("person.png", "person.png"),
        ("aperson1_x.png", "aperson1_x.png"),
        ("IM-abc-1.png", "IM-abc-1.png"),
        ("1.2.840.101", "1.2.840.101"),
        ("1.2.840.102", "1.2.840.102"),
    ],
)
def test_patient_of(name: str, patient: str) -> None:
    assert patient_of(name) == patient


@pytest.mark.parametrize(
    ("path", "told", "person"),
    [
        ("NORMAL/1.2.840.101", "", (ALONE, "NORMAL/1.2.840.101")),
        ("NORMAL/anna/film.dcm", "", (ALONE, "NORMAL/anna/film.dcm")),
        ("NORMAL/NORMAL-2023-0001.jpeg", "", (ALONE, "NORMAL/NORMAL-2023-0001.jpeg")),
        ("NORMAL/anna/IM-0001-0002.dcm", "", (BY_NAME, "NORMAL/anna/IM-0001")),
        ("PNEUMONIA/person7_virus_2.jpeg", "", (BY_NAME, "PNEUMONIA/person7")),
        ("PNEUMONIA/person7_virus_2.jpeg", "P 1", (BY_TABLE, "P 1")),
        ("NORMAL/00000013_005.png", "", (BY_NAME, "00000013")),
        ("PNEUMONIA/00000013_006.png", "", (BY_NAME, "00000013")),
        ("NORMAL/20260115_0007.dcm", "", (ALONE, "NORMAL/20260115_0007.dcm")),
        ("NORMAL/2026-01-15_0001.png", "", (ALONE, "NORMAL/2026-01-15_0001.png")),
        ("NORMAL/20265115_001.png", "", (BY_NAME, "20265115")),
    ],
)
def test_person_of(path: str, told: str, person: Person) -> None:
    assert person_of(path, told) == person


@pytest.mark.parametrize(
    ("person", "identifier", "named"),
    [
        ((BY_NAME, "person7"), "ID 1", (BY_HEADER, "ID 1")),
        ((ALONE, "a.dcm"), "ID 1", (BY_HEADER, "ID 1")),
        ((BY_TABLE, "P 1"), "ID 1", (BY_TABLE, "P 1")),
        ((ALONE, "a.dcm"), "", (ALONE, "a.dcm")),
    ],
)
def test_a_header_knows_better_than_a_name(person: Person, identifier: str, named: Person) -> None:
    assert with_header(person, identifier) == named


def test_strangers_are_never_joined() -> None:
    """Names that share a stem, a folder name or an exporter's numbering are no one person."""
    names = ["a.png", "a.dcm", "x/a.png", "x/IM-0001-0001", "y/IM-0001-0001", "1.2.1", "1.2.2"]
    people = [*(person_of(name) for name in names), person_of("z.png", "a.png")]
    assert len(set(numbered(people))) == len(people)


def test_numbers_are_in_the_order_of_names() -> None:
    """As training sorts them, so that a bootstrap draws the same patients."""
    people = [(BY_NAME, f"person{n}") for n in (2, 10, 1, 10, 3, 4, 5, 6, 7, 8, 9)]
    numbers = numbered(people)
    assert numbers[:4] == ["03", "02", "01", "02"]
    assert [people[numbers.index(n)] for n in sorted(set(numbers))] == sorted(set(people))


@pytest.mark.parametrize(
    ("people", "said"),
    [
        ([(BY_NAME, "a"), (BY_NAME, "b")], "file names"),
        ([(ALONE, "a")], "every film counted as a patient of its own"),
        (
            [(BY_TABLE, "a"), (ALONE, "b"), (BY_TABLE, "c")],
            "every film counted as a patient of its own (1), the table (2)",
        ),
    ],
    ids=["names", "alone", "both"],
)
def test_who_says_so(people: list[Person], said: str) -> None:
    assert told_by(people) == said
