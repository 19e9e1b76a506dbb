"""Header fields that an answer to an archive repeats: letter for letter, or not at all.

A text that was cut or whose letters were replaced would file a result under another patient.
"""

from __future__ import annotations

import contextlib

from cxr_edge.images import dicom_header, dicom_study
from cxr_edge.images.dicom_library import (
    STAND_ALONE_ENCODINGS,
    Dataset,
    MultiValue,
    convert_encodings,
    default_encoding,
    python_encoding,
)
from cxr_edge.support.text import REPLACED, is_one_line
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
_PLAIN = ("", "ISO_IR 6", "ISO 2022 IR 6")  # character sets of ASCII, which say nothing of others
_LATIN_1 = "ISO 2022 IR 100"  # some writers leave its escape sequence out
_ESCAPE = b"\x1b"


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
        sets = _character_sets(dataset)
        found = {keyword: _exact(dataset, keyword, sets) for keyword in SOURCE_FIELDS}
        for item in (item for each in _REQUESTS for item in dicom_study.items(dataset, each)):
            for keyword in _OF_REQUESTS:
                found[keyword] = found[keyword] or _exact(item, keyword, sets)
        if all(found[each] for each in _DECISIVE) and None not in map(found.get, _PATIENT):
            return {keyword: value or "" for keyword, value in found.items()}
        return {keyword: value for keyword, value in found.items() if value and keyword == _CLASS}
    return {}


def _character_sets(dataset: Dataset) -> list[str]:
    stated = dataset.get("SpecificCharacterSet") or ""
    return [str(each) for each in (stated if isinstance(stated, MultiValue) else [stated])]


def _exact(dataset: Dataset, keyword: str, sets: list[str]) -> str | None:
    """A text as the header has it, without padding; None where that cannot be said."""
    if not dicom_study.has(dataset, keyword):
        return ""
    if not dicom_study.is_of_its_kind(dataset, keyword):
        return None
    content = dataset.get_item(keyword).value
    if isinstance(content, bytes) and dicom_study.is_text(keyword):
        text = _decoded(content, dataset, keyword, sets)
    else:
        text = _joined(dataset, keyword)
    text = text.strip(" \0")
    if dicom_study.is_name(keyword):  # groups that are not there
        text = text.rstrip("=")
    is_sound = is_one_line(text) and REPLACED not in text
    is_one = "\\" not in text or keyword in _MULTIPLE
    return text if is_sound and is_one and len(text) <= SOURCE_FIELDS[keyword] else None


def _decoded(content: bytes, dataset: Dataset, keyword: str, sets: list[str]) -> str:
    """Letters of a text; replaced where the header's character sets do not say which they are.

    To pydicom, a set that it does not know is Latin 1.
    """
    before, escape, _ = content.partition(_ESCAPE)
    if not escape and content.isascii():
        return content.decode()
    if not escape and all(each in _PLAIN for each in sets):
        return _undeclared(content)
    if not all(map(_is_known, sets)) or any(each in STAND_ALONE_ENCODINGS for each in sets[1:]):
        return REPLACED
    if sets[0] in _PLAIN and _LATIN_1 not in sets and not before.isascii():
        return REPLACED  # of no set that is named
    return _joined(dataset, keyword)


def _joined(dataset: Dataset, keyword: str) -> str:
    value = dataset.get(keyword)
    parts = value if isinstance(value, MultiValue) else [value]
    return "\\".join("" if each is None else str(each) for each in parts)


def _is_known(character_set: str) -> bool:
    """Whether a set is the standard's, a known misspelling, or one that Python has a name for."""
    if character_set in (*_PLAIN, *python_encoding):
        return True
    (encoding,) = convert_encodings(character_set)
    with contextlib.suppress(LookupError, UnicodeError):  # base64 and its like; UTF-16
        return encoding != default_encoding and b"Az".decode(encoding) == "Az"
    return False


def _undeclared(content: bytes) -> str:
    """Letters beyond ASCII in a header that names no set for them: UTF-8 mostly, else Latin 1."""
    with contextlib.suppress(UnicodeDecodeError):
        return content.decode("utf-8")
    return content.decode("latin-1")
