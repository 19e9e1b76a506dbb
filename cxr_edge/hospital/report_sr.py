"""The report of a film as a structured report of DICOM: TID 1500, or plain text."""

from __future__ import annotations

from typing import Any

from highdicom.sr import (
    AlgorithmIdentification,
    CodedConcept,
    Comprehensive3DSR,
    ContainerContentItem,
    ContentSequence,
    DeviceObserverIdentifyingAttributes,
    EnhancedSR,
    FindingSite,
    ImageContentItem,
    Measurement,
    MeasurementReport,
    MeasurementsAndQualitativeEvaluations,
    ObservationContext,
    ObserverContext,
    RelationshipTypeValues,
    SourceImageForMeasurementGroup,
    TextContentItem,
    TrackingIdentifier,
)
from pydicom.sr.codedict import codes
from pydicom.uid import BasicTextSRStorage

from cxr_edge.hospital.answer import Algorithm, Answer
from cxr_edge.hospital.source import Source
from cxr_edge.images.dicom_library import Dataset
from cxr_edge.images.own_result import own_uid
from cxr_edge.types import OWN_NAME

_PROCEDURE = CodedConcept("43468-8", "LN", "XR unspecified body region")
_PNEUMONIA = CodedConcept("233604007", "SCT", "Pneumonia")
_LUNG = CodedConcept("39607008", "SCT", "Lung")
_PROBABILITY = CodedConcept("122157", "DCM", "Probability")
_NO_UNITS = CodedConcept("1", "UCUM", "no units")
_TITLE = codes.DCM.ImagingMeasurementReport
_CONTAINS = RelationshipTypeValues.CONTAINS


def report_of(
    source: Source, answer: Answer, sr: str, predecessors: list[Dataset] | None = None
) -> Dataset:
    """The report of one film, to be finished by `objects.finished`.

    Args:
        source: the film.
        answer: what is said of it.
        sr: class of the report, of `results_job.SR_CLASSES`.
        predecessors: objects that it takes the place of: class, instance, series and study.
    """
    made = Comprehensive3DSR if sr == "comprehensive-3d" else EnhancedSR
    content = _text(source, answer) if sr == "basic-text" else _measured(source, answer)
    report: Dataset = made(
        content=content,
        is_complete=True,
        **document(source),
        previous_versions=predecessors or None,
    )
    if sr == "basic-text":  # the same modules; only the content may be less
        report.SOPClassUID = BasicTextSRStorage
    return report


def document(source: Source) -> dict[str, Any]:
    """Arguments of highdicom beside the content; `objects.finished` replaces UIDs and numbers."""
    return {
        "evidence": [source.evidence()],
        "series_instance_uid": own_uid("series"),
        "series_number": 1,
        "sop_instance_uid": own_uid("document"),
        "instance_number": 1,
        "manufacturer": OWN_NAME,
        "requested_procedures": source.requests() or None,
    }


def device_context(algorithm: Algorithm) -> ObserverContext:
    """Observer context: this software, and nobody else."""
    device = DeviceObserverIdentifyingAttributes(
        uid=own_uid("device", algorithm.software),
        name=OWN_NAME,
        manufacturer_name=OWN_NAME,
        model_name=f"{algorithm.name} {algorithm.version}",
    )
    return ObserverContext(codes.DCM.Device, device)


def _measured(source: Source, answer: Answer) -> Dataset:
    """TID 1500, with everything that is said in words beside the measurement."""
    report = MeasurementReport(
        observation_context=ObservationContext(
            observer_device_context=device_context(answer.algorithm)
        ),
        procedure_reported=_PROCEDURE,
        imaging_measurements=[_group(source, answer)],
        title=_TITLE,
    )
    root: Dataset = report[0]
    root.ContentSequence.extend(map(_comment, answer.lines))
    return root


def _group(source: Source, answer: Answer) -> MeasurementsAndQualitativeEvaluations:
    """TID 1501: the film, the algorithm, and the probability where there is a score."""
    algorithm = answer.algorithm
    film = source["SOPInstanceUID"]
    scored = answer.probability is not None
    return MeasurementsAndQualitativeEvaluations(
        tracking_identifier=TrackingIdentifier(
            own_uid("tracking", film, algorithm.sha256), f"{OWN_NAME} {algorithm.name}"
        ),
        # A category and no finding: a viewer would print `Finding: Pneumonia` above 0.02.
        finding_category=_PNEUMONIA if scored else None,
        algorithm_id=AlgorithmIdentification(
            algorithm.name, algorithm.version, algorithm.parameters, manufacturer=OWN_NAME
        ),
        finding_sites=[FindingSite(_LUNG)] if scored else None,
        measurements=[_probability(answer)] if scored else None,
        source_images=[SourceImageForMeasurementGroup(source["SOPClassUID"], film)],
    )


def _probability(answer: Answer) -> Measurement:
    return Measurement(_PROBABILITY, float(answer.figure), _NO_UNITS)


def _text(source: Source, answer: Answer) -> Dataset:
    """The same words and figures for viewers that show plain text alone."""
    algorithm = answer.algorithm
    root = ContainerContentItem(_TITLE)
    made_by = "; ".join((f"{algorithm.name} {algorithm.version}", *algorithm.parameters))
    film = ImageContentItem(
        name=CodedConcept("260753009", "SCT", "Source"),
        referenced_sop_class_uid=source["SOPClassUID"],
        referenced_sop_instance_uid=source["SOPInstanceUID"],
        relationship_type=_CONTAINS,
    )
    lines = map(_comment, (*answer.lines, made_by))
    root.ContentSequence = ContentSequence(
        [*device_context(algorithm), *lines, film], is_root=False
    )
    dataset: Dataset = root
    return dataset


def _comment(text: str) -> TextContentItem:
    return TextContentItem(codes.DCM.Comment, text, _CONTAINS)
