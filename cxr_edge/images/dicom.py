"""DICOM: one single-frame radiograph to grey levels, and the few header facts that scoring needs.

This module and its siblings `dicom_*` are imported when a name promises DICOM, or with the first
such file: pydicom costs a quarter of a second and 40 MB. `docs/dicom.md` says what is read, from
what, and what is refused.
"""

from __future__ import annotations

import errno
import struct
from collections.abc import Sequence

from cxr_edge.errors import ImageError
from cxr_edge.images import (
    dicom_frame,
    dicom_grey,
    dicom_header,
    dicom_identity,
    dicom_orientation,
    dicom_reduction,
    dicom_study,
    own_result,
)
from cxr_edge.images.dicom_header import Header
from cxr_edge.images.names import may_be_dicom
from cxr_edge.types import DecodedImage, InputWarning, Reason

_EXECUTABLE = (b"MZ", b"\x7fELF")


def read(data: bytes, name: str, fields: Sequence[str] = (), at_least: int = 0) -> DecodedImage:
    """Decode one DICOM file.

    Args:
        data: the whole file.
        name: its name; only a wrong extension is read from it.
        fields: of `types.IDENTITY_FIELDS`, or DICOM keywords.
        at_least: pixels that suffice on the shorter side; 0 for all there are.

    Raises:
        ImageError: with the reason; its detail never quotes a value of the patient's.
        ImportError: a decoder cannot be loaded, which is the machine's fault and not the file's.
    """
    try:
        return _read(data, name, fields, at_least)
    except (ImageError, ImportError):
        raise
    # `from None`: the messages of pydicom and of the codecs quote values.
    except MemoryError:
        raise ImageError(Reason.TOO_LARGE, "out of memory") from None
    except (EOFError, OSError, struct.error) as error:
        if isinstance(error, OSError) and error.errno:  # of the system; pydicom's have no number
            raise ImageError(Reason.IO_ERROR, errno.errorcode.get(error.errno, "")) from None
        raise ImageError(Reason.TRUNCATED, "the file ends inside an element") from None
    except Exception as error:  # pydicom and the codecs raise anything
        raise ImageError(Reason.CORRUPT, type(error).__name__) from None


def _read(data: bytes, name: str, fields: Sequence[str], at_least: int) -> DecodedImage:
    if own_result.is_own_result(data):
        raise ImageError(Reason.NO_FILM, own_result.KIND, format=own_result.KIND)
    elements = dicom_identity.keywords(fields) if fields else ()
    header = dicom_header.read_header(data, elements)
    orientation = dicom_orientation.orientation(header.dataset)
    study = dicom_study.study(header.dataset, orientation.views)
    image = dicom_header.check_image(header, study.modality)
    ways = dicom_grey.displays(header.dataset, image)
    # What an orientation turns would lie at another corner of the reduced film.
    may_be_reduced = orientation.is_usual and all(way.is_monotone for way in ways)
    by = dicom_reduction.reduction(image, at_least) if may_be_reduced else 1
    samples = dicom_frame.samples(data, header, image, by)
    words = dicom_reduction.reduced(samples.words, image, by // samples.reduction)
    pixels, shown = dicom_grey.shown(ways, words)
    warnings = {
        *_warnings(data, name, header, study.modality),
        *dicom_header.oddities(header, study.modality, image),
        *dicom_study.noticed(header.dataset),
        *orientation.warnings,
        *samples.warnings,
        *shown,
    }
    ordered = tuple(warning for warning in InputWarning if warning in warnings)
    upright = pixels if orientation.is_usual else orientation.upright(pixels)
    identity = dicom_identity.identity(header.dataset, fields)
    stored = (image.rows, image.columns) if by > 1 else None
    return DecodedImage(upright, "DICOM", ordered, study, by, stored, identity)


def _warnings(data: bytes, name: str, header: Header, modality: str) -> list[InputWarning]:
    warnings = []
    if not may_be_dicom(name):
        warnings.append(InputWarning.EXTENSION_MISMATCH)
    if dicom_grey.is_nonconforming(header.dataset):
        warnings.append(InputWarning.NONCONFORMING)
    if not dicom_header.is_radiograph(header, modality):
        warnings.append(InputWarning.MODALITY)
    if dicom_header.is_for_processing(header):
        warnings.append(InputWarning.FOR_PROCESSING)
    if data.startswith(_EXECUTABLE):
        warnings.append(InputWarning.EXECUTABLE_PREAMBLE)
    return warnings
