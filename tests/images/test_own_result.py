"""Results of this product among films: told by two marks of three, never scored, no radiographs."""

from __future__ import annotations

import uuid
from typing import Any

import pytest

from cxr_edge.errors import ImageError
from cxr_edge.images import decode
from cxr_edge.images.own_result import is_own_result, is_own_uid, own_uid
from cxr_edge.types import Reason
from tests.images.dicoms import BIG_ENDIAN, DX, IMPLICIT, JPEG_LS, film

CAPTURE = "1.2.840.10008.5.1.4.1.1.7"
CR, FOR_PROCESSING = "1.2.840.10008.5.1.4.1.1.1", f"{DX}.1"
OWN = own_uid("film", "model")
MARKS: dict[str, dict[str, Any]] = {
    "as it was written": {
        "Manufacturer": "cxr-edge",
        "SOPInstanceUID": OWN,
        "SeriesInstanceUID": own_uid("series"),
        "SeriesDescription": "cxr-edge: FLAGGED",
    },
    "compressed with loss": {"Manufacturer": "cxr-edge", "SeriesInstanceUID": OWN},
    "under new UIDs": {"Manufacturer": "cxr-edge", "SeriesDescription": "cxr-edge: ATTENTION"},
    "under a new instance UID, with another manufacturer": {
        "SeriesInstanceUID": OWN,
        "SeriesDescription": "cxr-edge: FLAGGED",
    },
    "with another manufacturer": {
        "SOPInstanceUID": OWN,
        "SeriesDescription": "cxr-edge: FLAGGED",
    },
}
ALONE: dict[str, dict[str, Any]] = {
    "none": {},
    "a manufacturer": {"Manufacturer": "cxr-edge"},
    "a UID": {"SOPInstanceUID": OWN},
    "two UIDs": {"SOPInstanceUID": OWN, "SeriesInstanceUID": OWN},
    "a description": {"SeriesDescription": "cxr-edge: FLAGGED"},
    "another description": {
        "Manufacturer": "cxr-edge",
        "SeriesDescription": "chest for cxr-edge",
    },
}


@pytest.mark.parametrize("syntax", [IMPLICIT, BIG_ENDIAN, JPEG_LS])
@pytest.mark.parametrize("elements", MARKS.values(), ids=MARKS)
def test_two_marks_make_it_one(elements: dict[str, Any], syntax: str) -> None:
    with pytest.raises(ImageError) as caught:
        decode(film(syntax=syntax, SOPClassUID=CAPTURE, **elements), "film.dcm")
    assert (caught.value.reason, caught.value.format) == (Reason.NO_FILM, "cxr-edge result")


@pytest.mark.parametrize("elements", ALONE.values(), ids=ALONE)
def test_one_mark_is_no_proof(elements: dict[str, Any]) -> None:
    data = film(SOPClassUID=CAPTURE, **elements)
    assert not is_own_result(data)
    assert decode(data, "film.dcm").format == "DICOM"


@pytest.mark.parametrize("sop_class", [CR, DX, FOR_PROCESSING])
@pytest.mark.parametrize("elements", MARKS.values(), ids=MARKS)
def test_a_radiograph_is_a_film_whatever_it_bears(elements: dict[str, Any], sop_class: str) -> None:
    """An archive that sorts a film into a series of ours must not cost it its score."""
    data = film(SOPClassUID=sop_class, **elements)
    assert not is_own_result(data)
    assert decode(data, "film.dcm").format == "DICOM"


@pytest.mark.parametrize("data", [b"", b"cxr-edge", bytes(128) + b"DICM cxr-edge"])
def test_what_cannot_be_read_is_not_one(data: bytes) -> None:
    assert not is_own_result(data)


def test_the_uid_follows_from_the_facts_alone() -> None:
    assert OWN == own_uid("film", "model") == "2.25.272561927700478096710091319089609853321"
    assert own_uid("film", "other") != OWN
    assert own_uid("filmm", "odel") != OWN


def test_the_uid_is_a_uuid_of_its_version() -> None:
    value = uuid.UUID(int=int(OWN.removeprefix("2.25.")))
    assert (value.version, value.variant) == (8, uuid.RFC_4122)


FOREIGN = [
    "",
    "1.2.3",
    "2.25.",
    "2.25.0",
    "2.25.1",
    f"2.25.{2**128}",
    f"2.25.{'9' * 39}",
    f"{OWN}1",
]


@pytest.mark.parametrize("uid", FOREIGN)
def test_uids_of_others(uid: str) -> None:
    assert is_own_uid(OWN)
    assert not is_own_uid(uid)


def test_other_uuids_are_not_ours() -> None:
    assert not any(is_own_uid(f"2.25.{uuid.uuid4().int}") for _ in range(1000))
