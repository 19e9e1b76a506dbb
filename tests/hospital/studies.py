"""Studies as a modality would send them, and what results say of their films."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from numpy.typing import NDArray

from cxr_edge.hospital.answer import Algorithm, Answer
from cxr_edge.hospital.source import Source
from cxr_edge.images import source_of
from cxr_edge.types import Band
from tests.factories import chest
from tests.images.dicoms import film

# Planted where a header has them; none may reach a log.
NAMES = ("Müller^Zoë", "Plänted^Niño", "山田^太郎", "Plain^Name")
PLANTED = ("Müller", "Plänted", "山田", "Plain^Name", "PLANTED", "1.2.3.4")
FLAGGED = -110  # tilt of a chest that the tiny model flags

ALGORITHM = Algorithm("cnn3_128", "1.5.0", "ab" * 32, "screening", 0.182336, "1.0")
ANSWERS = {
    "flagged": Answer(Band.FLAGGED, True, 0.912345, "", (), ALGORITHM),
    "no flag": Answer(Band.UNFLAGGED, False, 0.02, "", ("orientation_applied",), ALGORITHM),
    "doubted": Answer(Band.ATTENTION, True, 0.5, "", ("patient_age", "clipped"), ALGORITHM),
    "not scored": Answer(Band.ATTENTION, None, None, "truncated", (), ALGORITHM),
}


def study(number: int, levels: NDArray[Any] | None = None, **elements: Any) -> bytes:
    """A chest film of patient `number`, complete enough for an archive.

    Args:
        number: makes names, numbers and UIDs.
        levels: uint8 [H, W]; a chest by default.
        elements: values by DICOM keyword on top of the usual ones; None takes one away.
    """
    usual = {
        "SpecificCharacterSet": "ISO_IR 192" if number % 4 == 2 else "ISO_IR 100",
        "PatientName": NAMES[number % 4],
        "PatientID": f"PLANTED-ID-{number}",
        "IssuerOfPatientID": "HOSPITAL",
        "PatientSex": "F",
        "PatientAge": "003Y",
        "StudyInstanceUID": f"1.2.3.4.{number}",
        "SeriesInstanceUID": f"1.2.3.4.{number}.1",
        "SOPInstanceUID": f"1.2.3.4.{number}.1.1",
        "StudyID": f"S{number}",
        "AccessionNumber": f"PLANTED-A{number}",
        "StudyTime": "101112",
        "StudyDescription": "Thorax ap",
        "Modality": "DX",
        "InstanceNumber": 1,
        "BodyPartExamined": "CHEST",
        "ViewPosition": "AP",
        "PatientOrientation": ["L", "F"],
    }
    pixels = chest() if levels is None else levels
    there = {each: v for each, v in {**usual, **elements}.items() if v is not None}
    return film(pixels, bits=8, **there)


def source(number: int = 1, **elements: Any) -> Source:
    """The film of a study, as results name it."""
    found = Source.of(source_of(study(number, **elements)))
    assert found is not None
    return found


def complaints(path: Path) -> str:
    """What dciodvfy has against an object: errors and warnings."""
    tool = Path(sys.executable).with_name("dciodvfy")
    if not tool.exists():
        pytest.skip("dicom3tools is not installed")
    made = subprocess.run([tool, path], capture_output=True, text=True, check=False)
    lines = (made.stdout + made.stderr).splitlines()
    return "\n".join(line for line in lines if line.startswith(("Error", "Warning")))


def tool_of(package: str, name: str) -> str:
    """A program of a Debian package; the test is skipped where it is missing."""
    found = shutil.which(name)
    if found is None:
        pytest.skip(f"{name} is not installed: apt install {package}")
    return found
