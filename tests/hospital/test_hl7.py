"""HL7 messages: delimiters escaped, one a study, the same for the same content."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from cxr_edge.hospital.hl7 import escaped, message_of
from cxr_edge.hospital.result_files import ResultFiles
from cxr_edge.report.context import BANNER
from tests.hospital.studies import ANSWERS, source

MOMENT = "20261201060000"


def segments(content: bytes) -> list[list[str]]:
    return [line.split("|") for line in content.decode().split("\r") if line]


def test_a_message() -> None:
    message = message_of([(source(), ANSWERS["flagged"])], MOMENT)
    header, patient, order, band, probability, *_, banner = segments(message.content)
    assert header[:2] == ["MSH", "^~\\&"]
    assert header[6] == f"{MOMENT}+0000"
    assert header[8:12] == ["ORU^R01^ORU_R01", message.control_id, "P", "2.5.1"]
    assert header[17] == "UNICODE UTF-8"
    assert patient[3] == "PLANTED-ID-1^^^HOSPITAL"
    assert patient[5] == "Plänted^Niño"
    assert (order[3], order[7], order[18], order[25]) == (
        *("PLANTED-A1", "20230301101112", "PLANTED-A1"),
        "P",
    )
    assert band[5] == "cxr-edge: FLAGGED"
    assert probability[2:4] == ["NM", "PROBABILITY^probability^L"]
    assert probability[5:7] == ["0.912345", "1"]
    assert (probability[8], probability[11]) == ("A", "P")
    assert banner[3] == BANNER


def test_every_film_of_a_study_has_its_own_numbers() -> None:
    first, second = source(SOPInstanceUID="1.2.1"), source(SOPInstanceUID="1.2.2")
    films = [(first, ANSWERS["no flag"]), (second, ANSWERS["not scored"])]
    observed = [each for each in segments(message_of(films, MOMENT).content) if each[0] == "OBX"]
    assert len({each[1] for each in observed}) == len(observed)
    numbers = list(dict.fromkeys(each[4] for each in observed))
    assert len(numbers) == 2 and max(map(len, numbers)) <= 20
    kinds = [each[2] for each in observed if each[4] == numbers[1]]
    assert kinds and "NM" not in kinds
    later = segments(message_of(films[1:], MOMENT).content)
    assert {each[4] for each in later if each[0] == "OBX"} == {numbers[1]}, "alone, it is the same"
    assert all(each[8] in ("", "A") for each in observed)


def test_prefix_and_suffix_change_places() -> None:
    film = source(PatientName="Doe^Jo^M^Dr^Jr=x")
    patient = segments(message_of([(film, ANSWERS["flagged"])], MOMENT).content)[1]
    assert patient[5] == "Doe^Jo^M^Jr^Dr"


@pytest.mark.parametrize("name", ["=山田^太郎", "^^ =山田^太郎=やまだ^たろう", "==山田^太郎"])
def test_a_name_in_one_script_alone(name: str) -> None:
    film = source(SpecificCharacterSet="ISO_IR 192", PatientName=name)
    patient = segments(message_of([(film, ANSWERS["flagged"])], MOMENT).content)[1]
    assert patient[5] == "山田^太郎"


def test_an_issuer_of_no_number_is_left_out() -> None:
    patient = segments(message_of([(source(PatientID=""), ANSWERS["flagged"])], MOMENT).content)[1]
    assert patient[3] == ""


MOMENTS = {
    "101112.5": "20230301101112",
    "10": "2023030110",
    "235960": "202303012359",
    "995959": "20230301",
    "": "20230301",
}


@pytest.mark.parametrize(("time", "taken"), MOMENTS.items())
def test_the_moment_of_the_study_is_one(time: str, taken: str) -> None:
    order = segments(message_of([(source(StudyTime=time), ANSWERS["flagged"])], MOMENT).content)[2]
    assert order[7] == taken


def test_delimiters_are_escaped() -> None:
    assert escaped("a|b^c&d~e\\f") == "a\\F\\b\\S\\c\\T\\d\\R\\e\\E\\f"
    film = source(PatientID="A|B&C", StudyDescription="x")
    patient = segments(message_of([(film, ANSWERS["flagged"])], MOMENT).content)[1]
    assert patient[3] == "A\\F\\B\\T\\C^^^HOSPITAL"


def test_the_control_id_follows_from_the_content() -> None:
    first = message_of([(source(), ANSWERS["flagged"])], MOMENT)
    later = message_of([(source(), ANSWERS["flagged"])], "20270101000000")
    other = message_of([(source(), ANSWERS["no flag"])], MOMENT)
    assert first.control_id == later.control_id != other.control_id
    assert len(first.control_id) <= 20


def test_the_folder_for_an_engine_has_the_mode_of_the_umask(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        ResultFiles(tmp_path / "out", tmp_path / "engine/hl7").make()
    finally:
        os.umask(before)
    modes = {each: (tmp_path / each).stat().st_mode & 0o777 for each in ("out", "engine/hl7")}
    assert modes == {"out": 0o700, "engine/hl7": 0o750}
