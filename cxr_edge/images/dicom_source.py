"""Header fields that an answer to an archive repeats: letter for letter, or not at all.

A text that was cut or whose letters were replaced would file a result under another patient.
"""

from __future__ import annotations

import contextlib

from cxr_edge.images import dicom_header, dicom_study
from cxr_edge.images.dicom_library import Dataset, MultiValue
from cxr_edge.support.text import is_one_line
from cxr_edge.types import SOURCE_FIELDS

# Without these as they stand in the header, nothing can be filed.
_CLASS = "SOPClassUID"
_DECISIVE = (_CLASS, "SOPInstanceUID", "SeriesInstanceUID", "StudyInstanceUID")
_PATIENT = ("PatientName", "PatientID", "IssuerOfPatientID")
_REQUESTS = ("RequestAttributesSequence", "ReferencedRequestSequence")
_OF_REQUESTS = (
    *("RequestedProcedureID", "RequestedProcedureDescription"),
    *("PlacerOrderNumberImagingServiceRequest", "FillerOrderNumberImagingServiceRequest"),
)
_MULTIPLE = ("PatientOrientation",)
_REPLACED = "\ufffd"  # what a letter becomes that cannot be decoded


def source_of(data: bytes) -> dict[str, str]:
    """The fields of `types.SOURCE_FIELDS`; empty where the header leaves one out.

    Args:
        data: the whole file.

    Returns:
        No field at all where the header cannot be read; the class alone where who the patient is
        or which film this is cannot be repeated exactly.
    """
    with contextlib.suppress(Exception):  # pydicom raises anything
        keywords = (*SOURCE_FIELDS, "SpecificCharacterSet", *_REQUESTS)
        dataset = dicom_header.read_elements(data, keywords)
        declared = bool(dataset.get("SpecificCharacterSet"))
        found = {keyword: _exact(dataset, keyword, declared) for keyword in SOURCE_FIELDS}
        for item in (item for each in _REQUESTS for item in dicom_study.items(dataset, each)):
            for keyword in _OF_REQUESTS:
                found[keyword] = found[keyword] or _exact(item, keyword, declared)
        if all(found[each] for each in _DECISIVE) and None not in map(found.get, _PATIENT):
            return {keyword: value or "" for keyword, value in found.items()}
        return {keyword: value for keyword, value in found.items() if value and keyword == _CLASS}
    return {}


def _exact(dataset: Dataset, keyword: str, declared: bool) -> str | None:
    """A text as the header has it, without padding; None where that cannot be said."""
    if not dicom_study.has(dataset, keyword):
        return ""
    text = None if declared else _undeclared(dataset, keyword)
    if text is None:
        value = dataset.get(keyword)
        parts = value if isinstance(value, MultiValue) else [value]
        text = "\\".join("" if each is None else str(each) for each in parts)
    text = text.strip(" \0")
    is_sound = is_one_line(text) and _REPLACED not in text
    is_one = "\\" not in text or keyword in _MULTIPLE
    return text if is_sound and is_one and len(text) <= SOURCE_FIELDS[keyword] else None


def _undeclared(dataset: Dataset, keyword: str) -> str | None:
    """Letters beyond ASCII in a header that names no character set: UTF-8 mostly, else Latin 1."""
    content = dataset.get_item(keyword).value
    if not isinstance(content, bytes) or content.isascii():
        return None
    with contextlib.suppress(UnicodeDecodeError):
        return content.decode("utf-8")
    return content.decode("latin-1")
