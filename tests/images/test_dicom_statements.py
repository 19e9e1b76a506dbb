"""The header may say the same in several elements; all count, and none is passed over."""

from __future__ import annotations

from typing import Any

import pytest
from pydicom.dataset import Dataset
from pydicom.sr._cid_dict import cid_concepts
from pydicom.sr._concepts_dict import concepts
from pydicom.sr._snomed_dict import mapping

from cxr_edge.images import decode
from cxr_edge.images.dicom_study import _VIEW_CODES
from cxr_edge.intake.gates import scope_warnings
from cxr_edge.intake.terms import view_of
from cxr_edge.types import InputWarning
from tests.images.dicoms import film, patched
from tests.intake.gate_films import CHILDREN

pytestmark = pytest.mark.filterwarnings(r"ignore::Warning:pydicom\.")

BODY_PART, VIEW, AGE = (
    InputWarning.BODY_PART,
    InputWarning.VIEW_POSITION,
    InputWarning.PATIENT_AGE,
)
UNREADABLE_VIEW, UNREADABLE_AGE = InputWarning.UNREADABLE_VIEW, InputWarning.UNREADABLE_AGE


def code(
    value: str = "", scheme: str = "SCT", meaning: str = "", modifier: str = ""
) -> list[Dataset]:
    """A code sequence of one item."""
    item = Dataset()
    if value:
        item.CodeValue, item.CodingSchemeDesignator = value, scheme
    if meaning:
        item.CodeMeaning = meaning
    if modifier:
        item.ViewModifierCodeSequence = item.PatientOrientationModifierCodeSequence = code(
            meaning=modifier
        )
    return [item]


def noticed(data: bytes) -> set[InputWarning]:
    """By decoding and by the gate of a model for children, frontal views."""
    image = decode(data, "film.dcm")
    assert image.study is not None
    return {*image.warnings, *scope_warnings(image.study, CHILDREN)}


STATED: dict[str, tuple[dict[str, Any], set[InputWarning]]] = {
    "nothing": ({}, set()),
    # View
    "left lateral, SRT": ({"ViewCodeSequence": code("R-10236", "SNM3")}, {VIEW}),
    "lateral beside an AP": (
        {"ViewPosition": "AP", "ViewCodeSequence": code("R-10232", "SRT")},
        {VIEW},
    ),
    "oblique by its meaning": (
        {"ViewCodeSequence": code("399135007", meaning="left anterior oblique")},
        {VIEW},
    ),
    "AP, SRT": ({"ViewCodeSequence": code("R-10206", "SRT")}, set()),
    "PA, of old": ({"ViewCodeSequence": code("R-10214", "SNM3")}, set()),
    "a site's own code": ({"ViewCodeSequence": code("X7", "99SITE")}, {UNREADABLE_VIEW}),
    "empty sequence": ({"ViewCodeSequence": []}, set()),
    "empty item": ({"ViewCodeSequence": [Dataset()]}, set()),
    "unknown text": ({"ViewPosition": "XYZ"}, {UNREADABLE_VIEW}),
    "decubitus by the table": ({"PatientPosition": "HFDR"}, {VIEW}),
    "one side": ({"ImageLaterality": "L"}, {VIEW}),
    "both sides": ({"ImageLaterality": "B"}, set()),
    "series of laterals": ({"SeriesDescription": "Thorax seitlich"}, {VIEW}),
    "PA along a row": ({"PatientOrientation": ["P", "F"]}, {VIEW}),
    "lordotic by its modifier": (
        {"ViewCodeSequence": code("R-10206", "SRT", modifier="Lordotic")},
        {VIEW},
    ),
    "decubitus by the posture": (
        {"PatientOrientationCodeSequence": code("102538003", modifier="Lateral decubitus")},
        {VIEW},
    ),
    "supine by the posture": (
        {"PatientOrientationCodeSequence": code("102538003", modifier="supine")},
        set(),
    ),
    # Body part
    "knee by its code": (
        {"AnatomicRegionSequence": code("72696002", meaning="Knee")},
        {BODY_PART},
    ),
    "chest, SCT": ({"AnatomicRegionSequence": code("816094009", meaning="Chest")}, set()),
    "chest and abdomen by its code": (
        {
            "BodyPartExamined": "CHEST",
            "AnatomicRegionSequence": code("416550000", meaning="Chest and Abdomen"),
        },
        {BODY_PART},
    ),
    "series of knees": ({"BodyPartExamined": "CHEST", "SeriesDescription": "Knie re"}, {BODY_PART}),
    "series of a chest": ({"SeriesDescription": "Routine chest, ward 7"}, set()),
    "study of knees": ({"StudyDescription": "XR Knee left"}, {BODY_PART}),
    "study of more than a chest": (
        {"BodyPartExamined": "CHEST", "StudyDescription": "Shoulder, knee"},
        set(),
    ),
    "step of laterals": ({"PerformedProcedureStepDescription": "Thorax seitlich"}, {VIEW}),
    "series of a whole infant": (
        {"BodyPartExamined": "CHEST", "SeriesDescription": "Chest/Abd portable"},
        {BODY_PART},
    ),
    # Age
    "grown up by dates": (
        {"PatientAge": "004Y", "PatientBirthDate": "19500101", "StudyDate": "20200101"},
        {AGE},
    ),
    # Species
    "dog": ({"PatientSpeciesDescription": "DOG"}, {InputWarning.SPECIES}),
    "species by its meaning": (
        {"PatientSpeciesCodeSequence": code(meaning="Felis catus")},
        {InputWarning.SPECIES},
    ),
    "neutered": ({"PatientSexNeutered": "ALTERED"}, {InputWarning.SPECIES}),
    "owner": ({"ResponsiblePersonRole": "OWNER"}, {InputWarning.SPECIES}),
    "parent": ({"ResponsiblePersonRole": "PARENT"}, set()),
    "dog by its series": ({"SeriesDescription": "Canine thorax"}, {InputWarning.SPECIES}),
    "quadruped": ({"AnatomicalOrientationType": "QUADRUPED"}, {InputWarning.SPECIES}),
    "human": (
        {
            "PatientSpeciesDescription": "Homo sapiens",
            "PatientSpeciesCodeSequence": code("337915000", meaning="homo sapiens"),
            "AnatomicalOrientationType": "BIPED",
        },
        set(),
    ),
    # Kind of picture
    "quality control": ({"QualityControlImage": "YES"}, {InputWarning.QUALITY_CONTROL}),
    "phantom": ({"QualityControlSubject": "YES"}, {InputWarning.QUALITY_CONTROL}),
    "quality control in one letter": (
        {"QualityControlImage": "Y"},
        {InputWarning.QUALITY_CONTROL},
    ),
    "quality control by the series": (
        {"SeriesDescription": "SMPTE test"},
        {InputWarning.QUALITY_CONTROL},
    ),
    "no quality control": ({"QualityControlImage": "NO"}, set()),
    "bone image": (
        {"ImageType": ["DERIVED", "PRIMARY", "BONE"]},
        {InputWarning.IMAGE_TYPE},
    ),
    "bone suppressed by its derivation": (
        {"DerivationDescription": "Bone suppression applied"},
        {InputWarning.IMAGE_TYPE},
    ),
    "subtraction by its code": (
        {"DerivationCodeSequence": code("113062", "DCM", "Pixel by pixel subtraction")},
        {InputWarning.IMAGE_TYPE},
    ),
    "bone suppressed by its series": (
        {"SeriesDescription": "Chest PA, bone suppressed"},
        {InputWarning.IMAGE_TYPE},
    ),
    "derived as most are": ({"ImageType": ["DERIVED", "PRIMARY"]}, set()),
    "radiography": (
        {"ImageType": ["DERIVED", "PRIMARY", "RADIOGRAPHY", "", "", "100000"]},
        set(),
    ),
}


@pytest.mark.parametrize(("elements", "warnings"), STATED.values(), ids=STATED)
def test_statement(elements: dict[str, Any], warnings: set[InputWarning]) -> None:
    assert noticed(film(**elements)) == warnings


AGES: dict[str, tuple[float | None, bool]] = {
    "45": (45.0, False),
    "045y": (45.0, False),
    "45.5Y": (45.5, False),
    "45,5 Y": (45.5, False),
    "3 YEARS": (3.0, False),
    "3 Jahre": (3.0, False),
    "18 Mon": (1.5, False),
    "1Y 6M": (1.5, False),
    "999Y": (None, True),
    "004": (None, True),  # years, months or days
    "004X": (None, True),
    "-4Y": (None, True),
    "004Y\\005Y": (None, True),
}


@pytest.mark.parametrize(("stated", "case"), AGES.items(), ids=AGES)
def test_age_is_read_or_warned_of(stated: str, case: tuple[float | None, bool]) -> None:
    years, unreadable = case
    image = decode(patched({"PatientAge": stated}), "film.dcm")
    assert image.study is not None and image.study.age_years == years
    assert (UNREADABLE_AGE in image.warnings) == unreadable


DATES: dict[str, tuple[dict[str, str], bool]] = {
    "no such day": ({"PatientBirthDate": "20200231", "StudyDate": "20230101"}, True),
    "born after the study": ({"PatientBirthDate": "20240101", "StudyDate": "20230101"}, True),
    "zeros": ({"PatientBirthDate": "00000000", "StudyDate": "20230101"}, True),
    "no study": ({"PatientBirthDate": "20200101"}, False),
    "date of the series": ({"PatientBirthDate": "20200101", "SeriesDate": "20230101"}, False),
    "age goes before a bad date": ({"PatientAge": "004Y", "PatientBirthDate": "??"}, False),
    "bad age beside dates": (
        {"PatientAge": "????", "PatientBirthDate": "20200101", "StudyDate": "20230101"},
        True,
    ),
}


@pytest.mark.parametrize(("elements", "unreadable"), DATES.values(), ids=DATES)
def test_dates_are_read_or_warned_of(elements: dict[str, str], unreadable: bool) -> None:
    warnings = decode(patched(elements), "film.dcm").warnings
    assert (UNREADABLE_AGE in warnings) == unreadable


@pytest.mark.parametrize("encoding", ["utf-8", "latin-1"])
def test_body_part_beyond_ascii(encoding: str) -> None:
    """The standard has ASCII alone; writers of other languages do not."""
    text = "TÓRAX".encode(encoding)
    text += b" " * (len(text) % 2)
    data = film(BodyPartExamined="@" * len(text)).replace(b"@" * len(text), text)
    assert noticed(data) == set()


def test_view_codes_are_those_of_the_standard() -> None:
    """As pydicom has CID 4010; R-10214 is of an edition before."""
    for value, words in _VIEW_CODES.items():
        if value != "R-10214":
            number = mapping["SRT"].get(value, value)
            named = (concepts["SCT"][name] for name in cid_concepts[4010]["SCT"])
            meanings = [each[number][0] for each in named if number in each]
            assert {view_of(meaning) for meaning in meanings} == {view_of(words)}, value
