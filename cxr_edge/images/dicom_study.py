"""The few facts about a film that leave its header, made fit to print."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator
from datetime import date

from cxr_edge.images.dicom_library import (
    Dataset,
    MultiValue,
    RawDataElement,
    dictionary_VR,
    tag_for_keyword,
)
from cxr_edge.support.text import display_name
from cxr_edge.types import MAX_TEXT, InputWarning, Study

UNREADABLE = "?"
# Elements that this module reads.
KEYWORDS = (
    *("Modality", "SpecificCharacterSet", "BodyPartExamined", "ViewPosition", "PatientPosition"),
    *("PatientAge", "PatientBirthDate", "StudyDate", "SeriesDate", "AcquisitionDate"),
    *("ContentDate", "AcquisitionDateTime", "AnatomicRegionSequence", "ViewCodeSequence"),
    *("ImageLaterality", "Laterality"),
    *("SeriesDescription", "ProtocolName", "AcquisitionDeviceProcessingDescription"),
    *("StudyDescription", "PerformedProcedureStepDescription", "RequestedProcedureDescription"),
    *("ProjectionEponymousNameCodeSequence", "PatientOrientationCodeSequence"),
    *("PatientSpeciesDescription", "PatientSpeciesCodeSequence", "PatientBreedDescription"),
    *("PatientBreedCodeSequence", "PatientSexNeutered", "AnatomicalOrientationType"),
    "ResponsiblePersonRole",
    *("QualityControlImage", "QualityControlSubject", "ImageType", "DerivationDescription"),
    "DerivationCodeSequence",
)

_MAX_AGE = 130
_GROWN_UP = 18
# Letters that begin the words for a unit of age, in the languages of `intake.terms`.
_PER_YEAR = {
    **dict.fromkeys(("Y", "YR", "YRS", "YEAR", "YEARS", "YO"), 1.0),
    **dict.fromkeys(("A", "J", "JAHR", "JAHRE", "ANO", "ANOS", "AN", "ANS", "ANNO", "ANNI"), 1.0),
    **dict.fromkeys(("JAAR", "AÑO", "AÑOS"), 1.0),
    **dict.fromkeys(("M", "MO", "MOS", "MON", "MTH", "MTHS", "MONTH", "MONTHS", "MONAT"), 12.0),
    **dict.fromkeys(("MONATE", "MES", "MESES", "MOIS", "MESE", "MESI", "MAAND", "MAANDEN"), 12.0),
    **dict.fromkeys(("W", "WK", "WKS", "WEEK", "WEEKS", "WOCHE", "WOCHEN"), 365.25 / 7),
    **dict.fromkeys(("D", "DAY", "DAYS", "T", "TAG", "TAGE", "DIA", "DIAS", "DAGEN"), 365.25),
}
# View codes (PS3.16 CID 4010) as SNOMED CT and SNOMED RT write them, in the words of their
# meanings; an old edition had R-10214 for what is now R-40888.
_VIEW_CODES = {
    **dict.fromkeys(("399348003", "R-10206"), "antero-posterior"),
    **dict.fromkeys(("272479007", "R-40888", "R-10214"), "postero-anterior"),
    **dict.fromkeys(("399033003", "R-10202"), "frontal"),
    **dict.fromkeys(("399067008", "R-102CD"), "lateral"),
    **dict.fromkeys(("399198007", "R-10232"), "right lateral"),
    **dict.fromkeys(("399173006", "R-10236"), "left lateral"),
}
_CHEST_CODES = {
    *("816094009", "51185008", "T-D3000"),  # chest, of now and of before 2020
    *("39607008", "T-28000", "43799004", "T-D3200"),  # lung, inside of the thorax
}
_HUMAN_CODES = {"337915000", "L-85003", "L-85B00"}
_HUMAN = {"HOMO SAPIENS", "HUMAN", "MENSCH", "HUMANO", "HUMANA", "HUMAIN", "UMANO", "MENS"}
_DECUBITUS = {"HFDL", "HFDR", "FFDL", "FFDR"}
# How Image Type names what is made from a film, or shows a screen; and how free texts do.
_MADE = re.compile(
    r"\b(BONE|SOFT|TISSUE|SUPPRESS|SUBTRACT|DUAL|ENERGY\b|SCREEN|SCOUT|LOCALI|TOMO|STITCH|COMPOS"
    r"|COLLAGE|REPORT|HISTOGRAM|HEAT|RECON|MIP\b|MPR\b|CAD\b|DOSE\b|GRAPH\b)"
)
_TAKEN_APART = re.compile(r"\b(SUPPRESS|SUBTRACT|SOFT ?TISSUE|BONE ?(IMAGE|ONLY)|DUAL ?ENERGY)")
_TEST_PICTURE = re.compile(r"\b(SMPTE|TEST ?(PATTERN|IMAGE)|FLAT ?FIELD|Q[AC]\b|QUALITY (CON|ASS))")
_ANIMAL = re.compile(r"\b(CANINE|FELINE|EQUINE|VETERINARY|VET|DOG|HUND|CHIEN|PERRO|CANE|KATZE)\b")
_TEXT = (
    *("AE", "AS", "CS", "DA", "DS", "DT", "IS", "LO", "LT"),
    *("PN", "SH", "ST", "TM", "UC", "UI", "UR", "UT"),
)
_BINARY = {"FD", "FL", "SL", "SS", "UL", "US"}  # of numbers that a writer did not put into text
_FIRST_GROUP, _PIXEL_GROUP = 0x0008, 0x7FE0


def is_id_tag(keyword: str) -> bool:
    """Check for the keyword of a text element, which can identify a film."""
    tag = tag_for_keyword(keyword)
    if tag is None or not _FIRST_GROUP <= tag >> 16 < _PIXEL_GROUP:
        return False
    return is_text(keyword)


def study(dataset: Dataset, views: tuple[str, ...] = ()) -> Study:
    """Read them; what is absent or cannot be read is empty.

    Args:
        dataset: the header.
        views: what others read of the view.
    """
    stated, computed = _stated_age(dataset), _age_by_dates(dataset)
    return Study(
        modality=text(dataset, "Modality").upper(),
        body_part=_label(dataset, "BodyPartExamined"),
        view_position=_label(dataset, "ViewPosition"),
        age_years=computed if stated is None else stated,
        body_parts=tuple(_body_parts(dataset)),
        views=(*_views(dataset), *views),
        descriptions=tuple(_descriptions(dataset)),
        age_by_dates=None if stated is None else computed,
    )


def noticed(dataset: Dataset) -> list[InputWarning]:
    """Warnings about the patient and the kind of picture, whatever the model."""
    warnings = {
        InputWarning.UNREADABLE_AGE: _is_age_unreadable(dataset),
        InputWarning.SPECIES: _is_animal(dataset),
        InputWarning.QUALITY_CONTROL: _is_for_quality_control(dataset),
        InputWarning.IMAGE_TYPE: _is_made(dataset),
    }
    return [warning for warning, holds in warnings.items() if holds]


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


def has(dataset: Dataset, keyword: str) -> bool:
    """Whether an element is there; pydicom takes the tenfold time to say that it is not."""
    return tag_of(keyword) in dataset.keys()  # noqa: SIM118 - a data set makes tags of what it asks


def is_text(keyword: str) -> bool:
    """Whether the standard has text in an element."""
    return dictionary_VR(tag_of(keyword)) in _TEXT


def is_name(keyword: str) -> bool:
    """Whether the standard has the name of a person in an element."""
    return dictionary_VR(tag_of(keyword)) == "PN"


def is_of_its_kind(dataset: Dataset, keyword: str) -> bool:
    """Whether an element that is present has text where the standard has text, and only there.

    pydicom makes `b'12'`, or a number, of the letters of a patient ID that says it is binary.
    """
    vr = dataset.get_item(keyword).VR
    return vr in (None, "UN") or (vr in _TEXT) == is_text(keyword)


@functools.cache
def tag_of(keyword: str) -> int:
    """The tag of a keyword that this package knows."""
    tag = tag_for_keyword(keyword)
    if tag is None:
        raise ValueError(f"no DICOM keyword: {keyword}")
    return tag


def values(dataset: Dataset, keyword: str) -> list[str]:
    """The values of a text element as the file has them, without padding; none where it is empty.

    Whoever writes `TÓRAX` into a code string, where the standard has ASCII alone, does so in UTF-8
    or in Latin 1. A zero inside makes the whole unreadable, as in `text`.
    """
    if not has(dataset, keyword):
        return []
    element = dataset.get_item(keyword)
    content = element.value
    if element.VR in _BINARY:
        content = dataset[keyword].value
    if isinstance(element, RawDataElement) and isinstance(content, bytes):
        try:
            whole = content.decode("utf-8")
        except UnicodeDecodeError:
            whole = content.decode("latin-1")
    elif element.VR == "SQ":
        return [UNREADABLE]
    else:
        parts = content if isinstance(content, MultiValue) else [content]
        whole = "\\".join("" if part is None else str(part) for part in parts)
    whole = whole.strip(" \0")
    if "\0" in whole:
        return [UNREADABLE]
    return [part.strip() for part in whole.split("\\")] if whole else []


def items(dataset: Dataset, keyword: str) -> list[Dataset]:
    """The items of a sequence; none where it cannot be read as one."""
    if not has(dataset, keyword):
        return []
    try:
        return [item for item in dataset.get(keyword) or [] if isinstance(item, Dataset)]
    except Exception:  # as above
        return []


def _label(dataset: Dataset, keyword: str) -> str:
    """A short text of the header, upper case and printable."""
    return display_name(" ".join(values(dataset, keyword)).upper())[:MAX_TEXT]


def _code(item: Dataset) -> tuple[str, str]:
    """Value and meaning of an item of a code sequence."""
    words = ("CodeValue", "LongCodeValue", "URNCodeValue")
    value = next(filter(None, (_label(item, word) for word in words)), "")
    return value, _label(item, "CodeMeaning")


def _body_parts(dataset: Dataset) -> Iterator[str]:
    """Code sequences name the part as well; one that is not known counts by its meaning."""
    for item in items(dataset, "AnatomicRegionSequence"):
        value, meaning = _code(item)
        if value or meaning:
            yield "CHEST" if value in _CHEST_CODES else meaning or UNREADABLE


def _views(dataset: Dataset) -> Iterator[str]:
    """Every element that says of the view, besides View Position."""
    for item in items(dataset, "ViewCodeSequence"):
        value, meaning = _code(item)
        if value or meaning:
            yield _VIEW_CODES.get(value) or meaning or UNREADABLE
    if _label(dataset, "PatientPosition") in _DECUBITUS:
        yield "decubitus"
    sides = {_label(dataset, word) for word in ("ImageLaterality", "Laterality")}
    if sides & {"L", "R", "LEFT", "RIGHT"}:  # one side of the body; a chest is of both, or unpaired
        yield "lateral"


def _descriptions(dataset: Dataset) -> list[str]:
    """Free texts of the series, which people or devices write, and modifiers of view and posture.

    Those of a study, which may be of several parts, count where nothing else names the part.
    """
    keywords = ("SeriesDescription", "ProtocolName", "AcquisitionDeviceProcessingDescription")
    of_series = [_label(dataset, keyword) for keyword in keywords]
    if not (any(of_series) or _label(dataset, "BodyPartExamined") or any(_body_parts(dataset))):
        keywords = (
            *("StudyDescription", "PerformedProcedureStepDescription"),
            "RequestedProcedureDescription",
        )
        of_series = [_label(dataset, keyword) for keyword in keywords]
    return [*filter(None, of_series), *_modifiers(dataset)]


def _modifiers(dataset: Dataset) -> Iterator[str]:
    """Meanings of the codes that say more of a view: `lordotic`, `lateral decubitus`."""
    codes = [
        *items(dataset, "ProjectionEponymousNameCodeSequence"),
        *(
            modifier
            for word in ("View", "PatientOrientation")
            for item in items(dataset, f"{word}CodeSequence")
            for modifier in items(item, f"{word}ModifierCodeSequence")
        ),
    ]
    yield from filter(None, (_code(item)[1] for item in codes))


def _stated_age(dataset: Dataset) -> float | None:
    """Years by Patient's Age, as far as it can be read.

    A number without a unit is a grown-up's years; a child's may be months or days.
    """
    stated = _label(dataset, "PatientAge")
    if number := re.fullmatch(r"\d{1,3}", stated):
        years = float(number[0])
        return years if _GROWN_UP <= years <= _MAX_AGE else None
    parts = re.findall(r"(\d+(?:[.,]\d+)?) ?([^\W\d_]+)\.?[ ,]*", stated)
    if not parts or "".join(map("".join, parts)) != re.sub(r" |\.(?!\d)|,(?!\d)", "", stated):
        return None
    units = {unit for _, unit in parts}
    if len(units) < len(parts) or not units <= _PER_YEAR.keys():
        return None
    years = sum(float(number.replace(",", ".")) / _PER_YEAR[unit] for number, unit in parts)
    return years if years <= _MAX_AGE else None


def _age_by_dates(dataset: Dataset) -> float | None:
    """Completed years from birth to study."""
    born = _date(dataset, "PatientBirthDate")
    words = ("StudyDate", "AcquisitionDate", "SeriesDate", "ContentDate", "AcquisitionDateTime")
    taken = next(filter(None, (_date(dataset, word) for word in words)), None)
    if born is None or taken is None:
        return None
    years = taken.year - born.year - ((taken.month, taken.day) < (born.month, born.day))
    return float(years) if 0 <= years <= _MAX_AGE else None


def _date(dataset: Dataset, keyword: str) -> date | None:
    """`YYYYMMDD`, perhaps with a time behind it, or `YYYY.MM.DD` of before 1993."""
    try:
        return date.fromisoformat(re.sub("[./-]", "", _label(dataset, keyword))[:8])
    except ValueError:
        return None


def _is_age_unreadable(dataset: Dataset) -> bool:
    """An age is stated, or a birth date without an age, and no number comes of it."""
    if _label(dataset, "PatientAge"):
        return _stated_age(dataset) is None
    if not _label(dataset, "PatientBirthDate") or _age_by_dates(dataset) is not None:
        return False
    words = ("StudyDate", "AcquisitionDate", "SeriesDate", "ContentDate", "AcquisitionDateTime")
    return _date(dataset, "PatientBirthDate") is None or any(_label(dataset, w) for w in words)


def _is_animal(dataset: Dataset) -> bool:
    """Species, breed, neutering, an owner or a quadruped's axes: of animals, but for `human`."""
    animals = ("PatientBreedDescription", "PatientSexNeutered")
    if any(_label(dataset, word) for word in animals) or items(dataset, "PatientBreedCodeSequence"):
        return True
    if _label(dataset, "AnatomicalOrientationType") == "QUADRUPED":
        return True
    if _label(dataset, "ResponsiblePersonRole") == "OWNER":
        return True
    if any(map(_ANIMAL.search, (_label(dataset, "BodyPartExamined"), *_descriptions(dataset)))):
        return True
    species = _label(dataset, "PatientSpeciesDescription")
    codes = [_code(item) for item in items(dataset, "PatientSpeciesCodeSequence")]
    if species and species not in _HUMAN:
        return True
    return any(value not in _HUMAN_CODES and meaning not in _HUMAN for value, meaning in codes)


def _is_for_quality_control(dataset: Dataset) -> bool:
    """Stated, but for a plain no; or a test picture by what is said of the series."""
    words = ("QualityControlImage", "QualityControlSubject")
    stated = {_label(dataset, word) for word in words} - {"", "NO", "N"}
    return bool(stated) or any(map(_TEST_PICTURE.search, _descriptions(dataset)))


def _is_made(dataset: Dataset) -> bool:
    """A derived picture of bone or soft tissue alone, a screen save and the like."""
    kind = re.sub("[^A-Z]+", " ", " ".join(values(dataset, "ImageType")).upper())
    meanings = (_code(item)[1] for item in items(dataset, "DerivationCodeSequence"))
    texts = (_label(dataset, "DerivationDescription"), *meanings, *_descriptions(dataset))
    apart = (re.sub("[^A-Z]+", " ", words) for words in texts)
    return bool(_MADE.search(kind)) or any(map(_TAKEN_APART.search, apart))
