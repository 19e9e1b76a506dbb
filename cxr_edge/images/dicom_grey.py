"""Stored samples to grey levels: one table does modality, VOI and polarity for all at once.

The order is that of PS3.3 C.11 and C.7.6.3.1.2: modality LUT or rescale, VOI LUT or window, and
only then polarity. Nothing here looks at the film's own samples, so padding and collimation
cannot shift its contrast.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from cxr_edge.errors import ImageError
from cxr_edge.images.dicom_codecs import ImagePixel, Words
from cxr_edge.images.dicom_library import Dataset, MultiValue, RawDataElement
from cxr_edge.types import Reason

Values = NDArray[np.float64]

_CONTRAST = 1 / 8  # of the greys; less is a LUT of 12 bits that says it has 16, and a black film
_ROWS_AT_ONCE = 256  # an index is widened to 8 bytes while it is looked up


def grey_table(dataset: Dataset, image: ImagePixel) -> tuple[NDArray[np.uint8], bool]:
    """Grey level of every word that a sample can be.

    Returns:
        uint8 [2 ** bits allocated], and whether the file says which values to show: in 8 bits all
        of them, above that by a VOI LUT or window that makes use of the greys.

    Raises:
        ImageError: `corrupt` for a modality transform, `voi_unsupported` for a VOI transform that
            is not as the standard has it, or that makes all samples one grey.
    """
    values, lowest, highest = _modality(dataset, _stored(image))
    fractions = _voi(dataset, values, lowest)
    windowed = fractions is not None or image.bits_stored == 8
    if fractions is None:
        fractions = (values - lowest) / (highest - lowest)
    contrast = float(np.ptp(fractions))
    if not contrast > 0:  # NaN as well
        raise ImageError(Reason.VOI_UNSUPPORTED, "every sample would be the same grey")
    if image.photometric == "MONOCHROME1" or _code(dataset, "PresentationLUTShape") == "INVERSE":
        fractions = 1 - fractions
    return np.floor(fractions * 255 + 0.5).astype(np.uint8), windowed and contrast >= _CONTRAST


def look_up(table: NDArray[np.uint8], words: Words) -> NDArray[np.uint8]:
    """uint8 [rows, columns]."""
    grey = np.empty(words.shape, np.uint8)
    for row in range(0, len(words), _ROWS_AT_ONCE):
        rows = slice(row, row + _ROWS_AT_ONCE)
        grey[rows] = table[words[rows]]
    return grey


def _stored(image: ImagePixel) -> Values:
    """The value of every word: bits stored below the high bit, the others ignored (PS3.5 8.1)."""
    words = np.arange(2**image.bits_allocated)
    values = words >> (image.high_bit + 1 - image.bits_stored) & (2**image.bits_stored - 1)
    if image.is_signed:
        values -= values >> (image.bits_stored - 1) << image.bits_stored
    return np.asarray(values, np.float64)


def _modality(dataset: Dataset, stored: Values) -> tuple[Values, float, float]:
    """Values after the modality transform (PS3.3 C.11.1), the lowest and the highest possible."""
    if dataset.get("ModalityLUTSequence"):
        try:
            entries, full = _lut(dataset.ModalityLUTSequence[0], stored)
        except _LutError as error:
            raise ImageError(Reason.CORRUPT, f"modality {error}") from None
        return entries, 0.0, full
    slope, intercept = _number(dataset, "RescaleSlope"), _number(dataset, "RescaleIntercept")
    values = stored * (1.0 if slope is None else slope) + (intercept or 0.0)
    lowest, highest = float(values.min()), float(values.max())
    if slope == 0 or not np.isfinite(highest - lowest) or lowest == highest:
        raise ImageError(Reason.CORRUPT, "rescale slope or intercept")
    return values, lowest, highest


def _voi(dataset: Dataset, values: Values, lowest: float) -> Values | None:
    """Fractions of the display range (PS3.3 C.11.2); None where the file has no VOI transform.

    A LUT goes before a window, the first of several before the others.
    """
    if dataset.get("VOILUTSequence"):
        try:
            entries, full = _lut(dataset.VOILUTSequence[0], values, lowest)
        except _LutError as error:
            raise ImageError(Reason.VOI_UNSUPPORTED, f"VOI {error}") from None
        return entries / full
    try:
        centre, width = _number(dataset, "WindowCenter"), _number(dataset, "WindowWidth")
    except (TypeError, ValueError, OverflowError):
        raise ImageError(Reason.VOI_UNSUPPORTED, "window is no number") from None
    if centre is None and width is None:
        return None
    if centre is None or width is None or not np.isfinite([centre, width]).all():
        raise ImageError(Reason.VOI_UNSUPPORTED, "half a window")
    return _window(_code(dataset, "VOILUTFunction") or "LINEAR", values, centre, width)


def _window(function: str, values: Values, centre: float, width: float) -> Values:
    """PS3.3 C.11.2.1.2.1 (LINEAR), C.11.2.1.3.1 (SIGMOID) and C.11.2.1.3.2 (LINEAR_EXACT)."""
    if width < 1 if function == "LINEAR" else width <= 0:
        raise ImageError(Reason.VOI_UNSUPPORTED, "window width")
    if function == "LINEAR" and width == 1:
        return np.asarray(values > centre - 0.5, np.float64)
    if function == "LINEAR":
        return ((values - (centre - 0.5)) / (width - 1) + 0.5).clip(0, 1)
    if function == "LINEAR_EXACT":
        return ((values - centre) / width + 0.5).clip(0, 1)
    if function == "SIGMOID":
        return np.asarray(1 / (1 + np.exp((-4 * (values - centre) / width).clip(-700, 700))))
    raise ImageError(Reason.VOI_UNSUPPORTED, "VOI LUT function")


class _LutError(Exception):
    """A look-up table that is not as the standard has it."""


def _lut(item: Dataset, values: Values, lowest: float | None = None) -> tuple[Values, float]:
    """Map values through a LUT (PS3.3 C.11.1.1 and C.11.2.1.1).

    Args:
        item: of a Modality or VOI LUT Sequence.
        values: what goes in; between two entries the nearest counts.
        lowest: of the values that can go in; below zero, the first value mapped is signed.

    Returns:
        the entries, and the highest value that their bits allow.
    """
    descriptor = [int(word) for word in _raw_words(item, "LUTDescriptor")]
    if len(descriptor) != 3 or not 8 <= descriptor[2] <= 16:
        raise _LutError("LUT descriptor")
    count, first, bits = descriptor[0] or 2**16, descriptor[1], descriptor[2]
    if first >= 2**15 and (values.min() if lowest is None else lowest) < 0:
        first -= 2**16
    entries = _raw_words(item, "LUTData")
    if len(entries) != count and bits == 8:  # two entries in a word
        entries = entries.view(np.uint8)[:count]
    if len(entries) != count or int(entries.max()) >> bits:
        raise _LutError("LUT data")
    index = np.clip(np.rint(values - first), 0, count - 1).astype(np.intp)
    return entries[index].astype(np.float64), float(2**bits - 1)


def _raw_words(item: Dataset, keyword: str) -> NDArray[Any]:
    """The words of an element as the file has them; its VR, which hangs on others, is ignored."""
    element = item.get_item(keyword) if keyword in item else None
    if not isinstance(element, RawDataElement) or not element.value or len(element.value) % 2:
        raise _LutError(f"{keyword} is missing")
    order = "<" if element.is_little_endian else ">"
    return np.frombuffer(element.value, f"{order}u2").astype("<u2")


def _number(dataset: Dataset, keyword: str) -> float | None:
    """The first of its values; None where there is none."""
    value = dataset.get(keyword)
    if isinstance(value, MultiValue):
        value = value[0] if len(value) else None
    return None if value is None or value == "" else float(value)


def _code(dataset: Dataset, keyword: str) -> str:
    return str(dataset.get(keyword) or "").strip().upper()
