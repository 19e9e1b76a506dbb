"""The few facts about a film that leave its header, made fit to print."""

from __future__ import annotations

import re
from datetime import date

from cxr_edge.images.dicom_library import Dataset, MultiValue, dictionary_VR, tag_for_keyword
from cxr_edge.support.text import display_name
from cxr_edge.types import Study

MAX_TEXT = 64
_MAX_AGE = 130
_PER_YEAR = {"Y": 1.0, "M": 12.0, "W": 365.25 / 7, "D": 365.25}
_TEXT = (
    *("AE", "AS", "CS", "DA", "DS", "DT", "IS", "LO", "LT"),
    *("PN", "SH", "ST", "TM", "UC", "UI", "UR", "UT"),
)
_FIRST_GROUP, _PIXEL_GROUP = 0x0008, 0x7FE0


def is_id_tag(keyword: str) -> bool:
    """Check for the keyword of a text element, which can identify a film."""
    tag = tag_for_keyword(keyword)
    if tag is None or not _FIRST_GROUP <= tag >> 16 < _PIXEL_GROUP:
        return False
    return dictionary_VR(tag) in _TEXT


def study(dataset: Dataset, id_tag: str) -> Study:
    """Read them; what is absent or cannot be read is empty."""
    return Study(
        modality=text(dataset, "Modality").upper(),
        body_part=text(dataset, "BodyPartExamined").upper(),
        view_position=text(dataset, "ViewPosition").upper(),
        age_years=_age(dataset),
        identifier=text(dataset, id_tag) if id_tag else "",
    )


def text(dataset: Dataset, keyword: str) -> str:
    """An element as printable text of at most 64 characters.

    Undecodable bytes are replaced, control and bidirectional marks escaped; empty where the element
    runs into others.
    """
    try:
        value = dataset.get(keyword)
    except Exception:  # pydicom raises anything, and a bad remark does not cost a film its score
        return ""
    if isinstance(value, MultiValue):
        value = "\\".join(str(item) for item in value)
    whole = "" if value is None else str(value).strip(" \0")
    # A zero inside a text: its length is damaged, and it reaches into the elements behind it.
    return "" if "\0" in whole else display_name(whole)[:MAX_TEXT]


def _age(dataset: Dataset) -> float | None:
    """Years by Patient's Age, else completed years from birth to study."""
    stated = re.fullmatch(r"(\d{1,3})([YMWD])", text(dataset, "PatientAge"))
    if stated:
        years = int(stated[1]) / _PER_YEAR[stated[2]]
    else:
        born = _date(dataset, "PatientBirthDate")
        taken = _date(dataset, "StudyDate") or _date(dataset, "AcquisitionDate")
        if born is None or taken is None:
            return None
        years = taken.year - born.year - ((taken.month, taken.day) < (born.month, born.day))
    return float(years) if 0 <= years <= _MAX_AGE else None


def _date(dataset: Dataset, keyword: str) -> date | None:
    """`YYYYMMDD`, or `YYYY.MM.DD` of before 1993."""
    try:
        return date.fromisoformat(text(dataset, keyword).replace(".", ""))
    except ValueError:
        return None
