"""A DICOM object from its content to its bytes: patient, study, equipment, UIDs and no clock.

The same film, model and content make the same bytes, on every run and every machine. So its dates
are those of the study, and its UID follows from everything else that stands in it.
"""

from __future__ import annotations

import hashlib
import io
from dataclasses import dataclass

from pydicom.dataset import FileMetaDataset
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import dcmwrite, write_dataset
from pydicom.uid import UID, ExplicitVRLittleEndian

from cxr_edge.hospital.answer import Answer
from cxr_edge.hospital.source import Source
from cxr_edge.images.dicom_library import Dataset
from cxr_edge.images.own_result import own_uid
from cxr_edge.types import OWN_NAME

# What cxr-edge calls itself in the meta header of a file.
_IMPLEMENTATION = own_uid("implementation")
# What the moment, or a library's version, would make another object of; none is required.
_PASSING = (
    "ContributingEquipmentSequence",
    *("InstanceCreationDate", "InstanceCreationTime", "SeriesDate", "SeriesTime"),
    *("DateOfSecondaryCapture", "TimeOfSecondaryCapture"),
)
_NO_UID = "2.25.0"  # stands in an object while its own follows from the rest
# Series numbers by modality: behind those of any scanner, and apart for each answer to a film.
_SERIES = {"SR": 9801, "OT": 9802, "KO": 9803}
_BETWEEN_ANSWERS = 10


@dataclass(frozen=True)
class DicomObject:
    """A finished object.

    Attributes:
        kind: `sr`, `sc` or `ko`.
        uid: SOP Instance UID.
        content: the whole file.
    """

    kind: str
    uid: str
    sop_class: str
    series_uid: str
    study_uid: str
    content: bytes


def finished(dataset: Dataset, source: Source, answer: Answer, number: int = 1) -> DicomObject:
    """Put everything in that is not content, and encode.

    Args:
        dataset: an object whose content is complete.
        source: the film it is about.
        answer: what it says.
        number: of the answer, among those that the film has had.
    """
    source.repeat(dataset)
    _put_equipment(dataset, answer)
    _put_series(dataset, source, answer, number)
    _put_dates(dataset, source)
    dataset.SOPInstanceUID = _NO_UID
    digest = hashlib.sha256(_encoded(dataset)).hexdigest()
    dataset.SOPInstanceUID = own_uid(source["SOPInstanceUID"], answer.algorithm.sha256, digest)
    return DicomObject(
        {"OT": "sc"}.get(dataset.Modality, dataset.Modality.lower()),
        dataset.SOPInstanceUID,
        dataset.SOPClassUID,
        dataset.SeriesInstanceUID,
        source["StudyInstanceUID"],
        _file(dataset),
    )


def _put_equipment(dataset: Dataset, answer: Answer) -> None:
    algorithm = answer.algorithm
    dataset.Manufacturer = dataset.ManufacturerModelName = OWN_NAME
    dataset.DeviceSerialNumber = algorithm.sha256[:16]
    versions = (f"{OWN_NAME} {algorithm.software}", f"{algorithm.name} {algorithm.version}")
    dataset.SoftwareVersions = [each[:64] for each in versions]


def _put_series(dataset: Dataset, source: Source, answer: Answer, number: int) -> None:
    """One series for each kind of object, each band and each answer of a patient's study.

    Whatever sorts or shows series tells the newest answer: it has the highest number.
    """
    again = (f"answer {number}",) if number > 1 else ()
    dataset.SeriesDescription = ", ".join((answer.description, *again))
    dataset.SeriesNumber = _SERIES[dataset.Modality] + _BETWEEN_ANSWERS * (number - 1)
    dataset.InstanceNumber = source.number
    dataset.SeriesInstanceUID = own_uid(
        *("series", *source.study, dataset.SOPClassUID, answer.description, *again)
    )


def _put_dates(dataset: Dataset, source: Source) -> None:
    for keyword in _PASSING:
        if keyword in dataset:
            del dataset[keyword]
    dataset.ContentDate, dataset.ContentTime = source.date, source.time


def _encoded(dataset: Dataset) -> bytes:
    stream = DicomBytesIO()
    stream.is_little_endian, stream.is_implicit_VR = True, False
    write_dataset(stream, dataset)
    return stream.getvalue()


def _file(dataset: Dataset) -> bytes:
    """The file: a preamble and a meta header that do not depend on a library's version."""
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = dataset.SOPClassUID
    meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    meta.ImplementationClassUID = UID(_IMPLEMENTATION)
    meta.ImplementationVersionName = "CXR_EDGE"
    plain = Dataset(dataset)
    plain.file_meta, plain.preamble = meta, bytes(128)
    stream = io.BytesIO()
    dcmwrite(stream, plain, enforce_file_format=True)
    return stream.getvalue()
