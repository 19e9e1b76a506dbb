"""The film of a result: what is repeated of its header, and what is not believed."""

from __future__ import annotations

from typing import Any

import pytest

from cxr_edge.hospital.source import Source
from cxr_edge.images import source_of
from tests.hospital.studies import source, study

NONE: dict[str, dict[str, Any]] = {
    "a CT": {"SOPClassUID": "1.2.840.10008.5.1.4.1.1.2"},
    "a class of a maker's own": {"SOPClassUID": "1.2.3.4"},
    "a name as long as a book": {"PatientName": "A" * 65},
}


@pytest.mark.filterwarnings("ignore:The PN component length")
@pytest.mark.parametrize("elements", NONE.values(), ids=NONE)
def test_films_that_get_no_result(elements: dict[str, Any]) -> None:
    assert Source.of(source_of(study(1, **elements))) is None


@pytest.mark.parametrize("uid", ["", "1", "1.02", "1.2.", "x", "1.2.\uff13"])
def test_uids_that_no_object_can_have(uid: str) -> None:
    header = source_of(study(1))
    assert Source.of({**header, "StudyInstanceUID": uid}) is None


@pytest.mark.filterwarnings("ignore:The PN component length")
def test_a_long_name_of_a_physician_costs_that_name_alone() -> None:
    for name in ("X" * 65, "X" * 195):
        found = source(ReferringPhysicianName=name)
        assert found["ReferringPhysicianName"] == ""
        assert found["PatientID"] == "PLANTED-ID-1"


def test_a_header_that_was_not_read() -> None:
    assert Source.of({}) is None


MISFITS = [
    ("PatientBirthDate", "20200231"),
    ("PatientBirthDate", "202611 1"),
    ("StudyDate", "yesterda"),
    ("StudyDate", "\uff12\uff10\uff12\uff16\uff11\uff11\uff10\uff11"),
    ("StudyDate", "00000000"),
    ("StudyTime", "noon"),
    ("StudyTime", "995959"),
    ("StudyTime", "24"),
    ("StudyTime", "1060"),
    ("StudyTime", "101161"),
    ("StudyTime", "\uff11\uff10"),
    ("PatientSex", "female"),
    ("BodyPartExamined", "Tórax"),
    ("InstanceNumber", "-1"),
]


@pytest.mark.parametrize(("keyword", "value"), MISFITS)
def test_values_that_do_not_fit_are_left_out(keyword: str, value: str) -> None:
    header = source_of(study(1))
    found = Source.of({**header, keyword: value})
    assert found is not None
    assert found[keyword] == ""


@pytest.mark.parametrize("time", ["", "00", "2359", "235959", "235960", "101112.123456"])
def test_times_that_there_are(time: str) -> None:
    assert source(StudyTime=time)["StudyTime"] == time


SETS = {"Plain^Name": "", "Müller^Zoë": "ISO_IR 100", "山田^太郎": "ISO_IR 192"}


@pytest.mark.parametrize(("name", "charset"), SETS.items())
def test_the_narrowest_character_set(name: str, charset: str) -> None:
    found = source(SpecificCharacterSet="ISO_IR 192", PatientName=name)
    assert found.character_set == charset


def test_what_others_log_has_no_patient() -> None:
    film = source().evidence()
    assert "PLANTED" not in str(film)
    assert film.PatientID == ""
