"""Reports, captures and key objects: valid, always the same, and saying what the answer says."""

from __future__ import annotations

import io
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from pydicom import Dataset, dcmread

from cxr_edge.hospital.answer import Answer
from cxr_edge.hospital.capture import capture_of
from cxr_edge.hospital.drawing import SIZE
from cxr_edge.hospital.key_object import key_object_of
from cxr_edge.hospital.objects import DicomObject, finished
from cxr_edge.hospital.report_sr import report_of
from cxr_edge.hospital.results_job import SR_CLASSES
from cxr_edge.hospital.source import Source
from cxr_edge.images.own_result import is_own_result, is_own_uid
from cxr_edge.report.context import BANNER
from cxr_edge.types import Band
from tests.hospital.studies import ANSWERS, complaints, source, tool_of

PIXELS = np.zeros((SIZE[1], SIZE[0], 3), np.uint8)
Maker = Callable[[Source, Answer], Dataset]
MAKERS: dict[str, Maker] = {
    **{sr: lambda s, a, sr=sr: report_of(s, a, sr) for sr in SR_CLASSES},  # type: ignore[misc]
    "capture": lambda s, a: capture_of(s, a, PIXELS),
    "key object": key_object_of,
}
every_object = pytest.mark.parametrize("maker", MAKERS.values(), ids=MAKERS)
every_answer = pytest.mark.parametrize("answer", ANSWERS.values(), ids=ANSWERS)


def made(maker: Maker, film: Source, answer: Answer) -> DicomObject:
    return finished(maker(film, answer), film, answer)


def read(content: bytes) -> Dataset:
    return dcmread(io.BytesIO(content))


@every_answer
@every_object
def test_nobody_complains(maker: Maker, answer: Answer, tmp_path: Path) -> None:
    path = tmp_path / "object.dcm"
    path.write_bytes(made(maker, source(), answer).content)
    assert complaints(path) == ""


ODD = {
    "no orientation": {"PatientOrientation": None},
    "no body part": {"BodyPartExamined": None},
    "a computed radiograph": {"SOPClassUID": "1.2.840.10008.5.1.4.1.1.1", "Modality": "CR"},
    "a name in Japanese": {"SpecificCharacterSet": "ISO_IR 192", "PatientName": "山田^太郎"},
    "a bad birth date": {"PatientBirthDate": "2020.02.29"},
    "burned in": {"BurnedInAnnotation": "YES"},
}


@pytest.mark.filterwarnings("ignore:Invalid value for VR")
@pytest.mark.parametrize("elements", ODD.values(), ids=ODD)
@pytest.mark.parametrize("kind", ["enhanced", "capture"])
def test_nobody_complains_of_results_of_odd_films(
    kind: str, elements: dict[str, str | None], tmp_path: Path
) -> None:
    path = tmp_path / "object.dcm"
    path.write_bytes(made(MAKERS[kind], source(**elements), ANSWERS["flagged"]).content)
    assert complaints(path) == ""


@every_answer
@every_object
def test_the_same_again_is_the_same_file(maker: Maker, answer: Answer) -> None:
    assert made(maker, source(), answer) == made(maker, source(), answer)


@every_object
def test_another_content_is_another_object_of_the_same_series(maker: Maker) -> None:
    answer = ANSWERS["flagged"]
    other = replace(answer, probability=0.912346)
    model = replace(answer, algorithm=replace(answer.algorithm, sha256="cd" * 32))
    objects = [made(maker, source(), each) for each in (answer, other, model)]
    assert len({each.uid for each in objects}) == 3
    assert len({each.series_uid for each in objects}) == 1


@every_object
def test_a_later_answer_is_a_later_series_that_says_so(maker: Maker, tmp_path: Path) -> None:
    film, answer = source(), ANSWERS["flagged"]
    objects = [finished(maker(film, answer), film, answer, number) for number in (1, 2, 3)]
    series = [read(each.content) for each in objects]
    assert [each.SeriesDescription for each in series] == [
        *("cxr-edge: FLAGGED", "cxr-edge: FLAGGED, answer 2", "cxr-edge: FLAGGED, answer 3"),
    ]
    assert [each.SeriesNumber - series[0].SeriesNumber for each in series] == [0, 10, 20]
    assert len({each.series_uid for each in objects}) == 3
    assert is_own_result(objects[1].content)
    (tmp_path / "object.dcm").write_bytes(objects[1].content)
    assert complaints(tmp_path / "object.dcm") == ""


@every_object
def test_it_is_told_from_films(maker: Maker) -> None:
    result = made(maker, source(), ANSWERS["flagged"])
    assert is_own_result(result.content)
    assert is_own_uid(result.uid)
    assert is_own_uid(result.series_uid)


@pytest.mark.parametrize("number", range(4))
@every_object
def test_patient_and_study_are_repeated(maker: Maker, number: int) -> None:
    film = source(number)
    result = read(made(maker, film, ANSWERS["flagged"]).content)
    for keyword in (
        *("PatientName", "PatientID", "IssuerOfPatientID", "PatientBirthDate", "PatientSex"),
        *("StudyInstanceUID", "StudyID", "StudyDate", "StudyTime", "AccessionNumber"),
        "StudyDescription",
    ):
        assert str(result[keyword].value) == film[keyword], keyword
    assert result.SeriesDescription == "cxr-edge: FLAGGED"


def texts(item: Dataset) -> str:
    """Every text of a report."""
    below = "\n".join(texts(each) for each in item.get("ContentSequence", []))
    return "\n".join(filter(None, (str(item.get("TextValue", "")), below)))


def numbers(item: Dataset) -> list[tuple[str, float, str]]:
    """Name, value and unit of every figure of a report."""
    found = [each for part in item.get("ContentSequence", []) for each in numbers(part)]
    if item.get("ValueType") == "NUM":
        value = item.MeasuredValueSequence[0]
        unit = value.MeasurementUnitsCodeSequence[0].CodeValue
        found.append((item.ConceptNameCodeSequence[0].CodeMeaning, float(value.NumericValue), unit))
    return found


@every_answer
@pytest.mark.parametrize("sr", SR_CLASSES)
def test_a_report_says_it_all(sr: str, answer: Answer) -> None:
    report = read(made(MAKERS[sr], source(), answer).content)
    said = texts(report)
    for text in (BANNER, answer.headline, *answer.remarks, "ab" * 32, "0.182336", "1.5.0"):
        assert text in said
    assert (report.VerificationFlag, report.PreliminaryFlag) == ("UNVERIFIED", "PRELIMINARY")
    (study,) = report.CurrentRequestedProcedureEvidenceSequence
    film = study.ReferencedSeriesSequence[0].ReferencedSOPSequence[0]
    assert film.ReferencedSOPInstanceUID == source()["SOPInstanceUID"]
    measured = sr != "basic-text" and answer.probability is not None
    assert numbers(report) == ([("Probability", answer.probability, "1")] if measured else [])


@pytest.mark.parametrize("sr", SR_CLASSES)
def test_without_a_score_there_is_no_figure(sr: str) -> None:
    said = texts(read(made(MAKERS[sr], source(), ANSWERS["not scored"]).content))
    assert "robability" not in said
    assert "file cut short" in said


@every_answer
@pytest.mark.parametrize("sr", SR_CLASSES)
def test_dcmtk_reads_reports(sr: str, answer: Answer, tmp_path: Path) -> None:
    path = tmp_path / "report.dcm"
    path.write_bytes(made(MAKERS[sr], source(), answer).content)
    dump = [tool_of("dcmtk", "dsrdump"), "+Pl", path]
    shown = subprocess.run(dump, capture_output=True, check=True).stdout.decode("latin-1")
    assert answer.headline in shown
    assert BANNER in shown


def test_the_request_that_the_film_answers_is_named() -> None:
    item = Dataset()
    item.RequestedProcedureID = "RP7"
    film = source(RequestAttributesSequence=[item])
    (request,) = read(
        made(MAKERS["enhanced"], film, ANSWERS["flagged"]).content
    ).ReferencedRequestSequence
    assert request.RequestedProcedureID == "RP7"
    assert request.AccessionNumber == film["AccessionNumber"]


def test_a_film_without_a_date_gets_one_that_is_no_clock() -> None:
    film = source(StudyDate="", StudyTime="")
    report = read(made(MAKERS["enhanced"], film, ANSWERS["flagged"]).content)
    assert (report.StudyDate, report.ContentDate) == ("", "19000101")


def test_every_band_has_its_words() -> None:
    words = {answer.description for answer in ANSWERS.values()}
    assert words == {
        *("cxr-edge: ATTENTION", "cxr-edge: FLAGGED", "cxr-edge: no flag, not a diagnosis"),
    }
    assert {answer.band for answer in ANSWERS.values()} == set(Band) - {Band.OTHER}
