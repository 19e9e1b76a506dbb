"""Nothing about a patient leaves the header of a film unasked, and nothing goes over a network."""

from __future__ import annotations

import io
import re
import shutil
import struct
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pydicom
import pytest

from tests.cli.installed import BINARY, environment, installed
from tests.cli.reports import is_night_line
from tests.faults.conftest import Figures
from tests.faults.night import (
    INCOMPLETE,
    Ended,
    Ward,
    csv_of,
    cxr_edge,
    to_its_end,
    write_films,
)
from tests.images import dicoms

pytestmark = installed

ACCESSION = "PLANTED-ACC-99"
# Element of the data set -> what must not be seen anywhere, in any case of letters.
PLANTED: dict[str, Any] = {
    "PatientName": "Plantedname^Anna",
    "PatientID": "PLANTED-ID-4711",
    "PatientBirthDate": "20200229",
    "ReferringPhysicianName": "Plantedreferrer^Bert",
    "OtherPatientNames": "Plantedalias^Anna",
    "PatientAddress": "Plantedstreet 7",
    "InstitutionName": "Plantedhospital",
    "ImageComments": "Plantedcomment",
    "StudyDescription": "Plantedstudy",
    "AccessionNumber": ACCESSION,
}
PRIVATE = "Plantedprivate"
_WORDS = re.compile(rb"planted|20200229|2020-02-29", re.IGNORECASE)


def with_patient() -> bytes:
    """A whole film that says everything about its patient."""
    whole = pydicom.dcmread(io.BytesIO(dicoms.film(**PLANTED)))
    block = whole.private_block(0x0011, f"{PRIVATE} creator", create=True)
    block.add_new(0x01, "LO", f"{PRIVATE} value")
    whole.PatientComments = "Plantedcomment\r\n" * 20
    return dicoms.written(whole)


def films() -> Iterator[tuple[str, bytes]]:
    """Whole, and broken in every way that a decoder might want to talk about."""
    whole = with_patient()
    pixels = whole.rindex(struct.pack("<HH", 0x7FE0, 0x0010))
    yield "whole.dcm", whole
    yield "without pixels.dcm", whole[:pixels]
    yield "half the pixels.dcm", whole[: (pixels + len(whole)) // 2]
    yield "not a date.dcm", whole.replace(b"20200229", b"PLANTEDX")
    yield "unknown syntax.dcm", whole.replace(b"2.1\0", b"2.9\0", 1)
    latin = dicoms.film(**PLANTED, SpecificCharacterSet="ISO_IR 100")
    yield "unknown characters.dcm", latin.replace(b"ISO_IR 100", b"PLANTED 77", 1)
    yield "odd modality.dcm", dicoms.film(**{**PLANTED, "Modality": "PLANTEDMOD"})
    yield "odd levels.dcm", dicoms.film(**PLANTED, PhotometricInterpretation="PLANTEDGREY")
    for at in range(132, pixels, 61):
        yield f"flipped at {at}.dcm", whole[:at] + bytes([whole[at] ^ 0xFF]) + whole[at + 1 :]
        yield f"cut at {at}.dcm", whole[:at]


@pytest.fixture(scope="module")
def ward(tiny: Path, tmp_path_factory: pytest.TempPathFactory) -> Ward:
    folder = tmp_path_factory.mktemp("patients")
    for name, data in films():
        (folder / name).write_bytes(data)
    return Ward(folder, tiny)


def everything_said(ended: Ended, place: Path) -> dict[str, bytes]:
    """Streams, report and ledger, by name."""
    written = {str(path): path.read_bytes() for path in place.rglob("*") if path.is_file()}
    return {**written, "stdout": ended.stdout, "stderr": ended.stderr}


def talkative(ward: Ward, place: Path, *more: object) -> list[str]:
    """With everything on that makes the tool say more."""
    return [each for each in ward.score(place, "-v", "--jsonl", *more) if each != "-q"]


def test_nothing_of_a_patient_but_the_tag_that_was_asked_for(
    ward: Ward, tmp_path: Path, figures: Figures
) -> None:
    """That it comes only where it is asked for: cli/test_score_identifier."""
    ended = cxr_edge(talkative(ward, tmp_path, "--id-tag", "AccessionNumber"))
    assert ended.returncode == INCOMPLETE, ended.stderr.decode()
    said = everything_said(ended, tmp_path)
    assert len(said) >= 7, "report, ledger, lock and streams"
    assert csv_of(tmp_path / "out").count(b",scored,") > 5
    figures(films=len(list(ward.films.iterdir())), looked_into=len(said))
    shown = {Path(name).name for name, data in said.items() if ACCESSION.encode() in data}
    assert shown == {"triage.csv", "triage.html", "ledger.sqlite3", "stdout"}
    # One film's number is damaged itself.
    rest = {
        name: _WORDS.findall(re.sub(rb"PLANTED-[^,<\"]{1,9}CC-99", b"", d))
        for name, d in said.items()
    }
    assert {name: words for name, words in rest.items() if words} == {}


# Python runs this in what forks the decoder processes too, and they inherit it.
WATCHING = """
import os, sys
with open(os.environ["CXR_WATCHED"], "a") as diary:
    print(os.getpid(), file=diary)
def audit(event, arguments):
    opened = event == "socket.__new__" and arguments[1] != 1  # AF_UNIX: our own decoders
    if opened or event in ("socket.connect", "socket.getaddrinfo", "socket.bind"):
        os._exit(99)
sys.addaudithook(audit)
"""


def watched(folder: Path) -> dict[str, str]:
    (folder / "hook").mkdir()
    (folder / "hook" / "sitecustomize.py").write_text(WATCHING)
    return environment(PYTHONPATH=str(folder / "hook"), CXR_WATCHED=str(folder / "watched"))


def test_no_process_opens_a_connection(tiny: Path, tmp_path: Path) -> None:
    quiet = Ward(write_films(tmp_path / "in", 15), tiny)
    env = watched(tmp_path)
    ended = cxr_edge(quiet.score(tmp_path / "night", "--workers", 2), env)
    assert (ended.returncode, is_night_line(ended.stderr)) == (INCOMPLETE, True)
    processes = (tmp_path / "watched").read_text().split()
    assert len(processes) == 3, "the run, the trial of its model, and what forks decoders"
    connecting = "import socket; socket.create_connection(('127.0.0.1', 9))"
    assert to_its_end([sys.executable, "-c", connecting], env).returncode == 99


@pytest.mark.slow  # a whole run under strace; what Python opens is seen above
def test_the_kernel_sees_no_network(tiny: Path, tmp_path: Path) -> None:
    strace = shutil.which("strace")
    if strace is None or subprocess.run([strace, "true"], capture_output=True).returncode:
        pytest.skip("no strace, or it may not trace here")
    quiet = Ward(write_films(tmp_path / "in", 15), tiny)
    log = tmp_path / "log"
    tracer = [strace, "-f", "-qq", "-e", "trace=network", "-e", "signal=none", "-o", str(log)]
    ended = to_its_end([*tracer, str(BINARY), *quiet.score(tmp_path / "night")])
    assert (ended.returncode, is_night_line(ended.stderr)) == (INCOMPLETE, True)
    opened = set(re.findall(rb"^\d+ +(socket\w*\([A-Z_0-9]*)", log.read_bytes(), re.MULTILINE))
    # Whatever else is called is called on these pairs, which lead to our own decoders.
    assert opened == {b"socketpair(AF_UNIX"}
