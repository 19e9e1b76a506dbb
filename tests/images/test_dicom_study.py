"""The facts that leave a header, and the patient data that does not."""

from __future__ import annotations

import contextlib
import logging
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from cxr_edge.errors import ImageError
from cxr_edge.images import decode, identity_of
from cxr_edge.types import Study
from tests.images.dicoms import (
    BORN,
    DEFLATED,
    J2K,
    JPEG_BASELINE,
    JPEG_LS,
    NAME,
    PATIENT_ID,
    film,
    patched,
)

pytestmark = pytest.mark.filterwarnings(r"ignore::Warning:pydicom\.")

ANONYMOUS = {"PatientBirthDate": None, "StudyDate": None}


def study_of(data: bytes) -> Study:
    study = decode(data, "film.dcm").study
    assert study is not None
    return study


def test_facts() -> None:
    data = film(
        Modality="DX",
        BodyPartExamined="chest",
        ViewPosition="ap",
        PatientAge="004Y",
        AccessionNumber=" A-17 ",
    )
    assert study_of(data) == Study("DX", "CHEST", "AP", 4.0, age_by_dates=3.0)
    asked = ("AccessionNumber",)
    assert decode(data, "film.dcm", asked).identity == {"AccessionNumber": "A-17"}


def test_nothing_said() -> None:
    assert study_of(film(Modality=None, **ANONYMOUS)) == Study()


AGES: dict[str, tuple[dict[str, str], float | None]] = {
    "years": ({"PatientAge": "004Y"}, 4.0),
    "months": ({"PatientAge": "018M"}, 1.5),
    "weeks": ({"PatientAge": "003W"}, 21 / 365.25),
    "days": ({"PatientAge": "010D"}, 10 / 365.25),
    "the day before a birthday": ({"PatientBirthDate": "20170302", "StudyDate": "20230301"}, 5.0),
    "a birthday": ({"PatientBirthDate": "20170301", "StudyDate": "20230301"}, 6.0),
    "born on a leap day": ({"PatientBirthDate": "20200229", "StudyDate": "20230228"}, 2.0),
    "acquisition date": ({"PatientBirthDate": "20200101", "AcquisitionDate": "20230101"}, 3.0),
    "old form of a date": ({"PatientBirthDate": "2020.01.01", "StudyDate": "20230101"}, 3.0),
}


@pytest.mark.parametrize(("elements", "years"), AGES.values(), ids=AGES)
def test_age(elements: dict[str, str], years: float | None) -> None:
    made = study_of(patched({**elements})).age_years
    assert made == (None if years is None else pytest.approx(years))


IDENTIFIERS: dict[str, tuple[str, dict[str, Any], str]] = {
    "absent": ("AccessionNumber", {}, ""),
    "empty": ("AccessionNumber", {"AccessionNumber": ""}, ""),
    "name": ("PatientName", {}, NAME),
    "several values": ("OtherPatientNames", {"OtherPatientNames": ["A^B", "C^D"]}, "A^B\\x5cC^D"),
    "a number": ("SeriesNumber", {"SeriesNumber": 7}, "7"),
    "latin": (
        "PatientName",
        {"SpecificCharacterSet": "ISO_IR 100", "PatientName": "Müller^Jörg"},
        "Müller^Jörg",
    ),
    "utf-8": (
        "PatientName",
        {"SpecificCharacterSet": "ISO_IR 192", "PatientName": "山田^太郎"},
        "山田^太郎",
    ),
    "long": ("PatientComments", {"PatientComments": "x" * 5000}, "x" * 64),
    "control": ("PatientComments", {"PatientComments": "a\x07b\r\nc"}, "a\\x07b\\r\\nc"),
}


@pytest.mark.parametrize(("tag", "elements", "text"), IDENTIFIERS.values(), ids=IDENTIFIERS)
def test_identifier(tag: str, elements: dict[str, Any], text: str) -> None:
    made = decode(film(**elements), "film.dcm", (tag,)).identity[tag]
    assert made == text.replace("\\x5c", "\\\\")
    assert made.isprintable()


@pytest.mark.parametrize("length", [24, 48])
def test_a_damaged_length_lets_no_other_element_out(length: int) -> None:
    data = film(AccessionNumber="PLANTED-ACC-99", InstitutionName="Plantedhospital")
    at = data.index(b"PLANTED-ACC-99") - 2
    damaged = data[:at] + length.to_bytes(2, "little") + data[at + 2 :]
    field = ("AccessionNumber",)
    assert [*decode(data, "film.dcm", field).identity.values()] == ["PLANTED-ACC-99"]
    with contextlib.suppress(ImageError):  # where what follows makes no sense any more
        assert [*decode(damaged, "film.dcm", field).identity.values()] == [""]
    assert [*identity_of(damaged, field).values()] == [""]


HOSTILE = {
    "undecodable": b"\xff\xfe\xfa\xfb",
    "line breaks": b"a\r\nb\x00c\x1b[2J",
    "direction": "a\u202eb\u2066".encode(),
}


@pytest.mark.parametrize("charset", ["", "ISO_IR 192", "ISO 2022 IR 87", "nonsense", "\\\\"])
@pytest.mark.parametrize("value", HOSTILE.values(), ids=HOSTILE)
def test_hostile_text_is_printable(value: bytes, charset: str) -> None:
    mark = "@" * (len(value) + len(value) % 2)
    data = film(AccessionNumber=mark, BodyPartExamined=mark, SpecificCharacterSet="&" * 16)
    data = data.replace(mark.encode(), value.ljust(len(mark)))
    data = data.replace(b"&" * 16, charset.encode().ljust(16))
    study = study_of(data)
    (text,) = decode(data, "film.dcm", ("AccessionNumber",)).identity.values()
    assert text.isprintable() and len(text) <= 64
    assert study.body_part.isprintable() and len(study.body_part) <= 64


REFUSED: dict[str, dict[str, Any]] = {
    "modality": {"Modality": "CT"},
    "colour": {"PhotometricInterpretation": "PLANTED"},
    "window": {"WindowWidth": -1},
    "size": {"Rows": 999},
    "syntax": {"syntax": DEFLATED},
}


@pytest.mark.parametrize("elements", REFUSED.values(), ids=REFUSED)
def test_a_refusal_quotes_nothing_and_nothing_is_logged(
    elements: dict[str, Any], caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    data = film(AccessionNumber="PLANTED-ACC", **elements)
    with caplog.at_level(logging.DEBUG), pytest.raises(ImageError) as caught:
        decode(data, "film.dcm", ("PatientName",))
    said = str(caught.value) + caplog.text + "".join(capfd.readouterr())
    assert not [word for word in ("PLANTED", "Planted", NAME, PATIENT_ID, BORN) if word in said]
    assert caught.value.__cause__ is None


QUIET = """
import os, pathlib, sys
sys.addaudithook(lambda event, _: os._exit(99) if event.startswith("socket.") else None)
from cxr_edge.images import decode
for name in sys.argv[1:]:
    try:
        decode(pathlib.Path(name).read_bytes(), name, "PatientName")
    except Exception as error:
        print(error)
    else:
        print("scored")
"""


def test_odd_files_print_nothing_and_open_no_socket(tmp_path: Path) -> None:
    """In a process whose warnings are errors; the messages of pydicom may quote values."""
    good = film()
    odd = {
        "character set": film(SpecificCharacterSet="ISO_IR 100").replace(
            b"ISO_IR 100", b"ISO_IR 999"
        ),
        "birth date": good.replace(BORN.encode(), b"Planted!"),
        "JPEG": film(bits=8, syntax=JPEG_BASELINE),
        "JPEG-LS": film(syntax=JPEG_LS),
        "JPEG 2000": film(syntax=J2K),
        "cut": good[:-100],
        "modality": good.replace(b"DX", b"\xff\xff"),
    }
    for name, data in odd.items():
        (tmp_path / name).write_bytes(data)
    made = subprocess.run(
        [sys.executable, "-W", "error", "-c", QUIET, *(str(tmp_path / name) for name in odd)],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (made.returncode, made.stderr) == (0, "")
    assert len(made.stdout.splitlines()) == len(odd)
    assert "lanted" not in made.stdout
