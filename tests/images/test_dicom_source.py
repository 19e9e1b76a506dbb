"""What results repeat of a header: exactly, or not at all."""

from __future__ import annotations

import struct
from typing import Any

import pytest
from pydicom.datadict import tag_for_keyword
from pydicom.dataset import Dataset

from cxr_edge.images import source_of
from cxr_edge.types import SOURCE_FIELDS
from tests.images.dicoms import DX, IMPLICIT, PATIENT_ID, film
from tests.images.films import jpeg

UIDS = {"SOPInstanceUID": "1.2.3", "SeriesInstanceUID": "1.2.3.4", "StudyInstanceUID": "1.2.3.5"}


def test_every_field_is_there() -> None:
    found = source_of(film(**UIDS, AccessionNumber="A1", PatientOrientation=["L", "F"]))
    assert set(found) == set(SOURCE_FIELDS)
    assert found["SOPClassUID"] == DX
    assert found["PatientName"] == "Planted^Name"
    assert found["AccessionNumber"] == "A1"
    assert found["PatientOrientation"] == "L\\F"
    assert found["Rows"] == "48"
    assert found["StudyDescription"] == ""


NAMES = {
    "UTF-8": ("ISO_IR 192", "Müller^Zoë=山田^太郎"),
    "Latin 1": ("ISO_IR 100", "Müller^Zoë"),
    "an ideographic space": ("ISO_IR 192", "YAMADA^TARO=山田\u3000太郎=やまだ\u3000たろう"),
    "a space that does not break": ("ISO_IR 100", "Dupont\u00a0Marie^X"),
    "a joiner": ("ISO_IR 192", "क्\u200dष^X"),
    "a mark of direction": ("ISO_IR 192", "\u200fكريم^محمد"),
    "a soft hyphen": ("ISO_IR 192", "Mül\u00adler^A"),
    "Greek": ("ISO_IR 126", "Διονυσιος"),
    "Japanese": (["", "ISO 2022 IR 87"], "Yamada^Tarou=山田^太郎=やまだ^たろう"),
}


@pytest.mark.parametrize(("charset", "name"), NAMES.values(), ids=NAMES)
def test_names_survive(charset: Any, name: str) -> None:
    data = film(**UIDS, SpecificCharacterSet=charset, PatientName=name)
    assert source_of(data)["PatientName"] == name


@pytest.mark.parametrize("code", ["utf-8", "latin-1"])
def test_names_whose_character_set_nobody_declared(code: str) -> None:
    data = film(**UIDS, syntax=IMPLICIT, PatientName="M?^Zo")
    name = "Mü^Zo".encode(code)
    padded = name + b" " * (len(name) % 2)
    found = data.index(b"M?^Zo ")
    length = (len(padded)).to_bytes(4, "little")
    data = data[: found - 4] + length + padded + data[found + 6 :]
    assert source_of(data)["PatientName"] == "Mü^Zo"


def test_the_first_request_counts() -> None:
    item = Dataset()
    item.RequestedProcedureID, item.RequestedProcedureDescription = "RP1", "Thorax für Zoë"
    data = film(**UIDS, SpecificCharacterSet="ISO_IR 100", RequestAttributesSequence=[item])
    found = source_of(data)
    assert found["RequestedProcedureID"] == "RP1"
    assert found["RequestedProcedureDescription"] == "Thorax für Zoë"


NOTHING: dict[str, dict[str, Any]] = {
    "no study": {**UIDS, "StudyInstanceUID": ""},
    "no instance": {**UIDS, "SOPInstanceUID": None},
    "a name that would be cut": {**UIDS, "PatientName": "A" * 64 + "=" + "B" * 64 + "=" + "C" * 66},
    "two patients": {**UIDS, "PatientID": ["1", "2"]},
    "letters that cannot be decoded": {**UIDS, "PatientName": "A\ufffd"},
    **{
        f"U+{ord(each):04X} in a name": {**UIDS, "PatientName": f"A{each}B"}
        for each in "\t\x00\x7f\x85\u2028\u2029"
    },
}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("elements", NOTHING.values(), ids=NOTHING)
def test_no_more_than_the_class_where_it_could_be_filed_wrongly(elements: dict[str, Any]) -> None:
    found = source_of(film(**{"SpecificCharacterSet": "ISO_IR 192", **elements}))
    assert found == {"SOPClassUID": DX}


def of_another_vr(data: bytes, keyword: str, vr: str) -> bytes:
    """An element of a short text of four letters as one of a binary representation."""
    tag = struct.pack("<HH", *divmod(tag_for_keyword(keyword) or 0, 1 << 16))
    is_long = vr in ("OB", "OW", "UN")
    length = struct.pack("<HL", 0, 4) if is_long else struct.pack("<H", 4)
    at = data.index(tag)
    assert data[at + 6 : at + 8] == struct.pack("<H", 4)
    return data[: at + 4] + vr.encode() + length + data[at + 8 :]


@pytest.mark.parametrize("vr", ["OB", "OW", "US", "UL", "SS", "AT", "FL"])
def test_a_number_that_its_element_says_is_binary_is_none(vr: str) -> None:
    data = film(**UIDS, PatientID="1234", AccessionNumber="A123")
    assert source_of(of_another_vr(data, "PatientID", vr)) == {"SOPClassUID": DX}
    assert source_of(of_another_vr(data, "AccessionNumber", vr))["AccessionNumber"] == ""


@pytest.mark.parametrize("vr", ["UN", "SH", "IS", "LT"])
def test_a_number_of_another_kind_of_text_is_the_same(vr: str) -> None:
    data = film(**UIDS, PatientID="0012")
    assert source_of(of_another_vr(data, "PatientID", vr))["PatientID"] == "0012"


def named(character_set: str, name: bytes) -> bytes:
    """A film in whose header a name stands as these bytes."""
    data = film(**UIDS, SpecificCharacterSet="#" * 60, PatientName="?" * len(name))
    stated = character_set.encode().ljust(60)
    return data.replace(b"#" * 60, stated).replace(b"?" * len(name), name)


LETTERS = {
    "a set with another name": ("utf-8", "Müller^Zoë".encode(), "Müller^Zoë"),
    "a set that is misspelt": ("ISO-IR 101", "Łuć^A ".encode("iso8859-2"), "Łuć^A"),
    "the plain set, UTF-8 for all that": ("ISO_IR 6", "Müller^A ".encode(), "Müller^A"),
    "the plain set, Latin 1 for all that": ("ISO_IR 6", b"M\xfcller^A ", "Müller^A"),
    "Korean": ("\\ISO 2022 IR 149", b"Hong=\x1b$)C\xfb\xf3", "Hong=洪"),
    "Chinese": ("GB18030", "王小东".encode("gb18030"), "王小东"),
    "Latin 1 without its escape": ("\\ISO 2022 IR 100", b"M\xfcller^A ", "Müller^A"),
    "nothing but ASCII in a set that nobody knows": ("ISO_IR 999", b"Muller^A", "Muller^A"),
    "groups that are not there": ("", b"Muller^A==", "Muller^A"),
    "nothing but ASCII in UTF-16": ("utf-16", b"Muller^A", "Muller^A"),
}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(("character_set", "name", "text"), LETTERS.values(), ids=LETTERS)
def test_letters(character_set: str, name: bytes, text: str) -> None:
    found = source_of(named(character_set, name))
    assert (found["PatientName"], found["PatientID"]) == (text, PATIENT_ID)


GUESSED = {
    "a set that nobody knows": ("ISO_IR 999", b"M\xc3\xbcller^A"),
    "one of them": ("\\ISO 2022 IR 999", b"M\xfcller^A "),
    "an encoding of no text": ("base64", b"M\xfcller^A "),
    "an encoding without ASCII": ("utf-16", b"M\xfcller^A "),
    "a set that stands alone, behind another": ("ISO_IR 100\\ISO_IR 192", b"M\xc3\xbcller^A"),
    "no escape to the set": ("\\ISO 2022 IR 87", b"\x8eR\x93c^A "),
    "an escape to another set": ("\\ISO 2022 IR 87", b"Hong=\x1b$)C\xfb\xf3"),
    "an escape, and no set": ("", b"Hong=\x1b$)C\xfb\xf3"),
    "no letters of the set": ("GB18030", b"M\xff\xff^A "),
}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(("character_set", "name"), GUESSED.values(), ids=GUESSED)
def test_letters_that_could_only_be_guessed(character_set: str, name: bytes) -> None:
    assert source_of(named(character_set, name)) == {"SOPClassUID": DX}


@pytest.mark.filterwarnings("ignore")
def test_what_is_not_decisive_is_left_out() -> None:
    found = source_of(film(**UIDS, StudyDescription="A" * 65, StudyID="\x01"))
    assert found["StudyDescription"] == found["StudyID"] == ""


@pytest.mark.parametrize("data", [b"", jpeg(), film()[:300], bytes(128) + b"DICM"])
def test_other_files_say_nothing(data: bytes) -> None:
    assert source_of(data) == {}
