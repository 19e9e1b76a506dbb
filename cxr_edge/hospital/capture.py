"""A film beside its evidence map as a Secondary Capture, which every viewer opens."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from pydicom.sr.codedict import codes
from pydicom.uid import SecondaryCaptureImageStorage

from cxr_edge.hospital.answer import Answer
from cxr_edge.hospital.source import Source
from cxr_edge.images.dicom_library import Dataset

_DERIVATION = "Film beside the evidence map of its score, reduced; banner and threshold burned in"
_CHEST = "CHEST"


def capture_of(source: Source, answer: Answer, pixels: NDArray[np.uint8]) -> Dataset:
    """A Secondary Capture, to be finished by `objects.finished`.

    Args:
        source: the film.
        answer: the result that it shows.
        pixels: RGB [height, width, 3], as `drawing.draw` makes them.
    """
    made = Dataset()
    made.SOPClassUID, made.Modality = SecondaryCaptureImageStorage, "OT"
    made.ConversionType = "WSD"
    made.ImageType = ["DERIVED", "SECONDARY", "OTHER"]
    # `CHEST` is not a paired body part, so no laterality is needed.
    made.BodyPartExamined = source["BodyPartExamined"] or _CHEST
    made.PatientOrientation = source["PatientOrientation"].split("\\")
    if source["BurnedInAnnotation"]:  # ours burns in the score alone; the film may bring a name
        made.BurnedInAnnotation = source["BurnedInAnnotation"]
    made.ImageComments = answer.headline
    _put_reference(made, source)
    _put_pixels(made, pixels)
    return made


def _put_reference(made: Dataset, source: Source) -> None:
    film, purpose = Dataset(), Dataset()
    film.ReferencedSOPClassUID = source["SOPClassUID"]
    film.ReferencedSOPInstanceUID = source["SOPInstanceUID"]
    code = codes.DCM.SourceImageForImageProcessingOperation
    purpose.CodeValue, purpose.CodingSchemeDesignator = code.value, code.scheme_designator
    purpose.CodeMeaning = code.meaning
    film.PurposeOfReferenceCodeSequence = [purpose]
    made.SourceImageSequence = [film]
    made.DerivationDescription = _DERIVATION


def _put_pixels(made: Dataset, pixels: NDArray[np.uint8]) -> None:
    """Uncompressed: an archive compresses as it likes."""
    made.SamplesPerPixel, made.PhotometricInterpretation, made.PlanarConfiguration = 3, "RGB", 0
    made.Rows, made.Columns = pixels.shape[:2]
    made.BitsAllocated, made.BitsStored, made.HighBit = 8, 8, 7
    made.PixelRepresentation = 0
    data = pixels.tobytes()
    made.PixelData = data + bytes(len(data) % 2)
    made["PixelData"].VR = "OB"
