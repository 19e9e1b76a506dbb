"""A key object: an archive's own way to say which film of a study to look at."""

from __future__ import annotations

from highdicom.ko import KeyObjectSelection, KeyObjectSelectionDocument
from pydicom.sr.codedict import codes

from cxr_edge.hospital.answer import Answer
from cxr_edge.hospital.report_sr import device_context, document
from cxr_edge.hospital.source import Source
from cxr_edge.images.dicom_library import Dataset


def key_object_of(source: Source, answer: Answer) -> Dataset:
    """Name one film, to be finished by `objects.finished`.

    DICOM has no title `For Attention`: its code is that of what is of interest, and the words are
    in the description.

    Args:
        source: the film.
        answer: the result that it states.
    """
    content = KeyObjectSelection(
        document_title=codes.DCM.OfInterest,
        referenced_objects=[source.evidence()],
        observer_device_context=device_context(answer.algorithm),
        description="\n".join((f"For Attention. {answer.headline}", *answer.lines[1:])),
    )
    made: Dataset = KeyObjectSelectionDocument(content=content, **document(source))
    return made
