"""The person behind a file name."""

from __future__ import annotations

import pytest

from cxr_edge.evaluate.patients import patient_of


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
        ("scan7.png", "scan7"),
        ("person.png", "person"),
        ("aperson1_x.png", "aperson1_x"),
        ("IM-abc-1.png", "IM-abc-1"),
        ("archive.tar.png", "archive.tar"),
    ],
)
def test_patient_of(name: str, patient: str) -> None:
    assert patient_of(name) == patient
