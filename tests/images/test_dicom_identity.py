"""When a film was taken, as its header says."""

from __future__ import annotations

from typing import Any

import pytest

from cxr_edge.images import decode, identity_of
from tests.images.dicoms import film

ACQUIRED = ("acquired",)
MOMENTS: dict[str, tuple[dict[str, Any], str]] = {
    "date and time in one": (
        {"AcquisitionDateTime": "20261130211405.25+0100"},
        "2026-11-30T21:14:05",
    ),
    "apart": ({"AcquisitionDate": "20261130", "AcquisitionTime": "2114"}, "2026-11-30T21:14"),
    "a day alone": ({"AcquisitionDate": "20261130"}, "2026-11-30"),
    "a time that is none": (
        {"AcquisitionDate": "20261130", "AcquisitionTime": "noon"},
        "2026-11-30",
    ),
    "the closest to the exposure": (
        {"ContentDate": "20261130", "StudyDate": "20261129"},
        "2026-11-30",
    ),
    "a day that is none, then one": (
        {"AcquisitionDate": "20261332", "StudyDate": "20261129"},
        "2026-11-29",
    ),
    "nothing": ({}, ""),
}


@pytest.mark.parametrize(("elements", "text"), MOMENTS.values(), ids=MOMENTS)
def test_when_it_was_taken(elements: dict[str, Any], text: str) -> None:
    said = {"StudyDate": "", **elements}
    data = film(**said)
    assert decode(data, "film.dcm", ACQUIRED).identity == {"acquired": text}
    assert identity_of(data, ACQUIRED) == {"acquired": text}


@pytest.mark.parametrize("data", [b"", b"\xff\xd8\xff", film()[:200], b"\0" * 128 + b"DICM"])
def test_where_no_header_can_be_read_nothing_is_said(data: bytes) -> None:
    assert identity_of(data, ("patient_id", "acquired")) == {"patient_id": "", "acquired": ""}
