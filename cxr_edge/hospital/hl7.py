"""A study's results as an HL7 v2.5.1 message ORU^R01, in a file that an integration engine takes.

cxr-edge sends nothing itself. The message control ID is a hash of the content, so an engine can
recognise a message that it gets twice.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from cxr_edge.hospital.answer import Answer
from cxr_edge.hospital.source import Source
from cxr_edge.report.context import BANNER
from cxr_edge.types import OWN_NAME

_CONTROL_DIGITS = 20  # the most that 2.5.1 allows
_FILM_DIGITS = 12  # of 20 in OBX-4
# The escape character itself comes first.
_ESCAPES = {"\\": "E", "|": "F", "^": "S", "&": "T", "~": "R"}


@dataclass(frozen=True)
class Message:
    """One message.

    Attributes:
        control_id: MSH-10; the same for the same content.
        content: segments, each ended by a carriage return, in UTF-8.
    """

    control_id: str
    content: bytes


def message_of(films: Sequence[tuple[Source, Answer]], moment: str) -> Message:
    """The message about one study of one patient, made for one order.

    Args:
        films: of that study and accession number, at least one, each with its answer.
        moment: when the run began, `YYYYMMDDHHMMSS` in UTC.
    """
    study = films[0][0]
    segments = [_patient(study), _order(study)]
    for number, (source, answer) in enumerate(films, start=1):
        segments += _observations(number, source, answer)
    segments.append(_segment("NTE", "1", "L", BANNER))
    body = "".join(f"{segment}\r" for segment in segments)
    control_id = hashlib.sha256(body.encode()).hexdigest()[:_CONTROL_DIGITS].upper()
    header = (
        f"MSH|^~\\&|{OWN_NAME}||||{moment}+0000||ORU^R01^ORU_R01|{control_id}|P|2.5.1"
        "||||||UNICODE UTF-8\r"
    )
    return Message(control_id, (header + body).encode())


def escaped(text: str) -> str:
    """A text with the delimiters of HL7 escaped."""
    return "".join(f"\\{_ESCAPES[each]}\\" if each in _ESCAPES else each for each in text)


def _segment(name: str, *fields: str) -> str:
    """A segment of plain texts."""
    return "|".join((name, *map(escaped, fields)))


def _components(*parts: str) -> str:
    """A field of components, which are plain texts."""
    return "^".join(map(escaped, parts)).rstrip("^")


def _patient(study: Source) -> str:
    issuer = study["IssuerOfPatientID"] if study["PatientID"] else ""  # no ID, no issuer
    number = _components(study["PatientID"], "", "", issuer)
    name = _name(study["PatientName"])
    return f"PID|1||{number}||{name}||{study['PatientBirthDate']}|{study['PatientSex']}"


def _name(name: str) -> str:
    """The first group of a DICOM name that is not empty; HL7 has the suffix before the prefix."""
    group = next((each for each in name.split("=") if each.strip("^ ")), "")
    family, given, middle, prefix, suffix, *_ = [*group.split("^"), *[""] * 5]
    return _components(family, given, middle, suffix, prefix)


def _order(study: Source) -> str:
    """OBR-2 and 3 are the numbers of the order, or the accession number where none is named."""
    placer = study["PlacerOrderNumberImagingServiceRequest"]
    filler = study["FillerOrderNumberImagingServiceRequest"] or study["AccessionNumber"]
    # No code of the examination: an engine might take this for its report, and close the order.
    service = _components("CXR-EDGE", "Chest x-ray prioritisation", "L")
    fields = ("1", escaped(placer), escaped(filler), service, "", "", _taken(study))
    accession = escaped(study["AccessionNumber"])
    return "|".join(("OBR", *fields, *[""] * 10, accession, *[""] * 6, "P"))


def _taken(study: Source) -> str:
    """Start of the study, as far as it is known; HL7 has no leap seconds."""
    time = study["StudyTime"].partition(".")[0]
    if time[4:] == "60":
        time = time[:4]
    return study["StudyDate"] and study["StudyDate"] + time


def _observations(number: int, source: Source, answer: Answer) -> Iterable[str]:
    """OBX segments of one film; OBX-4 tells the films apart.

    It is the same in every message: a receiver that keeps the latest value of each code and OBX-4
    must not replace one film by another that came later.
    """
    algorithm = answer.algorithm
    film = hashlib.sha256(source["SOPInstanceUID"].encode()).hexdigest()[:_FILM_DIGITS]
    flag = "A" if answer.flagged else ""  # nothing is ever called normal
    values = [
        ("ST", "BAND", answer.description, "", ""),
        *([("NM", "PROBABILITY", answer.figure, "1", flag)] if answer.figure else []),
        ("ST", "THRESHOLD", f"{answer.threshold} ({algorithm.operating_point})", "", ""),
        ("ST", "MODEL", f"{algorithm.name} {algorithm.version} {algorithm.sha256}", "", ""),
        *(("ST", "REMARK", text, "", "") for text in answer.remarks),
        ("ST", "FILM", source["SOPInstanceUID"], "", ""),
    ]
    for place, (kind, code, value, unit, abnormal) in enumerate(values, start=1):
        identifier = _components(code, code.lower(), "L")
        yield (
            f"OBX|{100 * number + place}|{kind}|{identifier}|{film}|{escaped(value)}"
            f"|{unit}||{abnormal}|||P"
        )
