"""The film that a result is about, from its header: patient, study and the film itself."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from cxr_edge.images.dicom_library import Dataset

_UID = re.compile(r"(0|[1-9]\d*)(\.(0|[1-9]\d*))+", re.ASCII)
_CODE = re.compile(r"[A-Z0-9_ ]*")
# A second of 60 is a leap second.
_TIME = re.compile(r"([01]\d|2[0-3])([0-5]\d(([0-5]\d|60)(\.\d{1,6})?)?)?", re.ASCII)
_DATE = re.compile(r"\d{8}", re.ASCII)
_SEXES = ("M", "F", "O")
_UIDS = ("SOPClassUID", "SOPInstanceUID", "SeriesInstanceUID", "StudyInstanceUID")
_NAME_GROUP = 64
_MOST_INSTANCES = 2**31 - 1
# Of the patient and study modules; these are present in an object even where they are empty.
_REPEATED = (
    *("PatientName", "PatientID", "PatientBirthDate", "PatientSex", "StudyInstanceUID"),
    *("StudyDate", "StudyTime", "StudyID", "AccessionNumber", "ReferringPhysicianName"),
)
_REPEATED_IF_THERE = ("IssuerOfPatientID", "StudyDescription")
_NO_DATE = "19000101"  # for a header without a date: results need one
_CLASSES = "1.2.840.10008.5.1.4.1.1."
# Radiographs and scanned films; slices of a CT, for example, get no results.
_FILM_CLASSES = {
    *(f"{_CLASSES}1", f"{_CLASSES}1.1", f"{_CLASSES}1.1.1", f"{_CLASSES}7"),
    *(f"{_CLASSES}7.{kind}" for kind in range(1, 5)),
}


@dataclass(frozen=True)
class Source:
    """A film as results name it.

    Attributes:
        fields: of `types.SOURCE_FIELDS`, each valid for its element.
    """

    fields: Mapping[str, str]

    @classmethod
    def of(cls, header: Mapping[str, str]) -> Source | None:
        """Check a header; None where it is not a film's, or no result could be filed under it."""
        if not all(_UID.fullmatch(header.get(each, "")) for each in _UIDS):
            return None
        if not (_is_name(header["PatientName"]) and is_film(header)):
            return None
        return cls({keyword: _fit(keyword, value) for keyword, value in header.items()})

    def __getitem__(self, keyword: str) -> str:
        """One field; empty where the header has no valid value."""
        return self.fields[keyword]

    @property
    def patient(self) -> tuple[str, ...]:
        """Patient of the film: ID and issuer; without an ID, name and birth date too."""
        number = (self["PatientID"], self["IssuerOfPatientID"])
        person = (self["PatientName"], self["PatientBirthDate"])
        return number if self["PatientID"] else (*number, *person)

    @property
    def study(self) -> tuple[str, ...]:
        """The patient's study; archives hold films of two patients under one UID."""
        return (*self.patient, self["StudyInstanceUID"])

    @property
    def date(self) -> str:
        """Date of the study, as `YYYYMMDD`."""
        return self["StudyDate"] or _NO_DATE

    @property
    def time(self) -> str:
        """Time of the study, in DICOM's format."""
        return self["StudyTime"] or "000000"

    @property
    def number(self) -> int:
        """Number of the film in its series; 1 where it has none."""
        text = self["InstanceNumber"]
        return int(text) if text else 1

    @property
    def character_set(self) -> str:
        """The narrowest character set that holds all texts; empty for plain ASCII."""
        whole = "".join(self.fields.values())
        if whole.isascii():
            return ""
        with contextlib.suppress(UnicodeEncodeError):
            whole.encode("latin-1")
            return "ISO_IR 100"
        return "ISO_IR 192"

    def evidence(self) -> Dataset:
        """The film for highdicom: its UIDs, and neither patient nor study.

        highdicom would log names that it finds odd; `repeat` puts them into the finished object.
        """
        dataset = Dataset()
        for keyword in _REPEATED:
            setattr(dataset, keyword, "")
        for keyword in (*_UIDS, "Modality"):
            setattr(dataset, keyword, self[keyword])
        for keyword in ("Rows", "Columns"):
            setattr(dataset, keyword, int(self[keyword] or 1))
        return dataset

    def repeat(self, dataset: Dataset) -> None:
        """Put patient, study and the request that the film answers into an object."""
        if self.character_set:
            dataset.SpecificCharacterSet = self.character_set
        elif "SpecificCharacterSet" in dataset:
            del dataset.SpecificCharacterSet
        for keyword in _REPEATED:
            setattr(dataset, keyword, self[keyword])
        for keyword in filter(self.__getitem__, _REPEATED_IF_THERE):
            setattr(dataset, keyword, self[keyword])

    def requests(self) -> list[Dataset]:
        """An item for Referenced Request Sequence, where the header names what was requested."""
        if not self["RequestedProcedureID"]:
            return []
        item = Dataset()
        item.StudyInstanceUID = self["StudyInstanceUID"]
        item.ReferencedStudySequence = []
        item.AccessionNumber = self["AccessionNumber"]
        for keyword in (
            *("PlacerOrderNumberImagingServiceRequest", "FillerOrderNumberImagingServiceRequest"),
            *("RequestedProcedureID", "RequestedProcedureDescription"),
        ):
            setattr(item, keyword, self[keyword])
        item.RequestedProcedureCodeSequence = []
        return [item]


def is_film(header: Mapping[str, str]) -> bool:
    """Whether a header is that of a radiograph, whatever else is wrong with it."""
    return header.get("SOPClassUID", "") in _FILM_CLASSES


def _fit(keyword: str, value: str) -> str:
    """A value if it is valid for its element, else an empty text."""
    if keyword in ("PatientBirthDate", "StudyDate"):
        return value if _is_date(value) else ""
    if keyword == "StudyTime":
        return value if _TIME.fullmatch(value) else ""
    if keyword == "ReferringPhysicianName":
        return value if _is_name(value) else ""
    if keyword == "PatientSex":
        return value if value in _SEXES else ""
    if keyword in ("Modality", "BodyPartExamined", "BurnedInAnnotation"):
        return value if _CODE.fullmatch(value) else ""
    if keyword in ("InstanceNumber", "Rows", "Columns"):
        fits = value.isascii() and value.isdecimal() and 0 < int(value) <= _MOST_INSTANCES
        return value if fits else ""
    return value


def _is_name(text: str) -> bool:
    return all(len(group) <= _NAME_GROUP for group in text.split("="))


def _is_date(text: str) -> bool:
    if not _DATE.fullmatch(text):  # strptime takes a space for a digit
        return False
    with contextlib.suppress(ValueError):
        return bool(datetime.strptime(text, "%Y%m%d"))
    return False
