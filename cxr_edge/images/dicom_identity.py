"""Identity of a film from its header, read only where a run asks for it."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from datetime import datetime

from cxr_edge.images import dicom_header, dicom_study
from cxr_edge.images.dicom_library import Dataset
from cxr_edge.types import ACQUIRED

_KEYWORD_OF = {
    "patient_id": "PatientID",
    "accession_number": "AccessionNumber",
    "study_uid": "StudyInstanceUID",
    "series_uid": "SeriesInstanceUID",
    "instance_uid": "SOPInstanceUID",
}
# Where headers say when a film was taken, the closest to the exposure first.
_MOMENTS = ("Acquisition", "Content", "Series", "Study")
_MOMENT_KEYWORDS = (
    "AcquisitionDateTime",
    *(f"{each}{part}" for each in _MOMENTS for part in ("Date", "Time")),
)


def keywords(fields: Sequence[str]) -> tuple[str, ...]:
    """The DICOM elements that fields are read from; a field may be a keyword itself."""
    moments = _MOMENT_KEYWORDS if ACQUIRED in fields else ()
    named = (_KEYWORD_OF.get(each, each) for each in fields if each != ACQUIRED)
    return (*named, "SpecificCharacterSet", *moments)


def identity(dataset: Dataset, fields: Sequence[str]) -> dict[str, str]:
    """The fields of a header, as printable text of at most 64 characters; empty where it has none.

    Args:
        dataset: with the elements of `keywords(fields)`.
        fields: of `types.IDENTITY_FIELDS`, or DICOM keywords.
    """
    return {
        field: _acquired(dataset)
        if field == ACQUIRED
        else dicom_study.text(dataset, _KEYWORD_OF.get(field, field))
        for field in fields
    }


def identity_of(data: bytes, fields: Sequence[str]) -> dict[str, str]:
    """The fields of a file whose film need not be readable; empty where its header is not.

    Args:
        data: the whole file.
        fields: as in `identity`.
    """
    with contextlib.suppress(Exception):  # pydicom raises anything
        return identity(dicom_header.read_elements(data, keywords(fields)), fields)
    return dict.fromkeys(fields, "")


def _acquired(dataset: Dataset) -> str:
    """Date and time of the exposure as ISO 8601 has them, as far as they are known."""
    whole = _moment(dicom_study.text(dataset, "AcquisitionDateTime"))
    if whole:
        return whole
    for each in _MOMENTS:
        day = dicom_study.text(dataset, f"{each}Date")
        time = dicom_study.text(dataset, f"{each}Time")
        if day and (found := _moment(day + time) or _moment(day)):
            return found
    return ""


def _moment(text: str) -> str:
    """`20261130211405.12` as `2026-11-30T21:14:05`; empty for what is no date."""
    digits = text.partition(".")[0].partition("+")[0].partition("-")[0].strip()
    for form, length, shown in (
        ("%Y%m%d%H%M%S", 14, "seconds"),
        ("%Y%m%d%H%M", 12, "minutes"),
        ("%Y%m%d", 8, ""),
    ):
        if len(digits) == length and digits.isdecimal():
            with contextlib.suppress(ValueError):
                found = datetime.strptime(digits, form)  # headers seldom say a zone
                return found.isoformat(timespec=shown) if shown else found.date().isoformat()
    return ""
