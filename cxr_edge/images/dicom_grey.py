"""Stored samples to grey levels: one table does modality, VOI and polarity for all at once.

The order is that of PS3.3 C.11 and C.7.6.3.1.2: modality LUT or rescale, VOI LUT or window, and
only then polarity. The film's own samples decide nothing but which of several windows shows it, so
padding and collimation cannot shift its contrast.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cxr_edge.errors import ImageError
from cxr_edge.images.dicom_codecs import ImagePixel, Words
from cxr_edge.images.dicom_library import Dataset, RawDataElement
from cxr_edge.images.dicom_study import items
from cxr_edge.images.dicom_study import values as texts
from cxr_edge.preprocess import CLIPPED_SHARE
from cxr_edge.types import InputWarning, Reason

Values = NDArray[np.float64]
Way = Callable[[], Values]

_CONTRAST = 1 / 8  # of the greys; less is a LUT of 12 bits that says it has 16, and a black film
_MOST_DISPLAYS = 16
_MIDDLE_SIDE = 128  # samples of the film's middle that choose among windows, each way
_ROWS_AT_ONCE = 256  # an index is widened to 8 bytes while it is looked up


@dataclass(frozen=True)
class Display:
    """One way to show the samples.

    Attributes:
        greys: uint8 [2 ** bits allocated], the grey level of every word that a sample can be.
        is_windowed: whether the file says which values to show: in 8 bits all of them, above that
            by a VOI LUT or window that makes use of the greys.
        is_monotone: whether greys go up, or down, with the stored values all the way; the mean of
            some samples then stands for them.
    """

    greys: NDArray[np.uint8]
    is_windowed: bool
    is_monotone: bool


def displays(dataset: Dataset, image: ImagePixel) -> list[Display]:
    """The ways to show a film that its header names, one at least.

    Raises:
        ImageError: `corrupt` for a modality transform, `voi_unsupported` for a first VOI transform
            that is not as the standard has it, or that makes all samples one grey.
    """
    return list(itertools.islice(_displays(dataset, image), _MOST_DISPLAYS))


def shown(ways: list[Display], words: Words) -> tuple[NDArray[np.uint8], list[InputWarning]]:
    """The film as the first of several displays has it that shows it.

    Returns:
        uint8 [rows, columns], and what is to be said of that display.
    """
    chosen = _choice(ways, words) if len(ways) > 1 else 0
    noticed = {
        InputWarning.NO_WINDOW: not ways[chosen].is_windowed,
        InputWarning.WINDOW_CHOSEN: chosen > 0,
    }
    warnings = [warning for warning, holds in noticed.items() if holds]
    return look_up(ways[chosen].greys, words), warnings


def is_nonconforming(dataset: Dataset) -> bool:
    """Empty items of LUT sequences and windows of no width, which are skipped; decimal commas."""
    for keyword in ("ModalityLUTSequence", "VOILUTSequence"):
        if not all(map(_is_lut, items(dataset, keyword))):
            return True
    if any(None in window or window[1] == 0 for window in _stated_windows(dataset)):
        return True
    numbers = ("RescaleSlope", "RescaleIntercept", "WindowCenter", "WindowWidth")
    return any("," in part for keyword in numbers for part in texts(dataset, keyword))


def _displays(dataset: Dataset, image: ImagePixel) -> Iterator[Display]:
    """Every way that the header names; a wrong one counts where it comes first."""
    if image.samples > 1 or image.photometric == "PALETTECOLOR":
        yield _display(image, *_of_colours(dataset, image))
        return
    inverse = image.photometric == "MONOCHROME1"
    inverse |= _code(dataset, "PresentationLUTShape") == "INVERSE"
    values, lowest, highest = _modality(dataset, _stored(image))
    ways = [*_luts(dataset, values, lowest), *_windows(dataset, values)]
    if not ways:
        fractions = (values - lowest) / (highest - lowest)
        yield _display(image, fractions, image.bits_stored == 8, inverse=inverse)
    for number, way in enumerate(ways):
        try:
            yield _display(image, way(), True, inverse=inverse)
        except ImageError:
            if number == 0:
                raise


def _display(
    image: ImagePixel, fractions: Values, is_windowed: bool, *, inverse: bool = False
) -> Display:
    contrast = float(np.ptp(fractions))
    if not contrast > 0:  # NaN as well
        raise ImageError(Reason.VOI_UNSUPPORTED, "every sample would be the same grey")
    greys = np.floor((1 - fractions if inverse else fractions) * 255 + 0.5).astype(np.uint8)
    return Display(
        _of_words(image, greys), is_windowed and contrast >= _CONTRAST, _is_monotone(image, greys)
    )


def _is_monotone(image: ImagePixel, greys: NDArray[np.uint8]) -> bool:
    """The same way from the lowest stored value to the highest; the negative ones come last."""
    ordered = np.roll(greys, len(greys) // 2) if image.is_signed else greys
    up, down = ordered[1:] >= ordered[:-1], ordered[1:] <= ordered[:-1]
    return bool(up.all() or down.all())


def _of_words(image: ImagePixel, greys: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The same for every word: bits above and below those stored are ignored (PS3.5 8.1)."""
    below = image.high_bit + 1 - image.bits_stored
    above = image.bits_allocated - 1 - image.high_bit
    return np.tile(np.repeat(greys, 2**below) if below else greys, 2**above)


def _choice(ways: list[Display], words: Words) -> int:
    """The first that shows the middle of the film, else the one that hides least of it."""
    rows, columns = (slice(side // 4, side - side // 4) for side in words.shape)
    step = 1 + min(words.shape) // _MIDDLE_SIDE
    counts = np.bincount(words[rows, columns][::step, ::step].ravel())
    hidden = [_hidden(way.greys[: len(counts)], counts) for way in ways]
    shows = [share <= CLIPPED_SHARE for share in hidden]
    return shows.index(True) if True in shows else hidden.index(min(hidden))


def _hidden(greys: NDArray[np.uint8], counts: NDArray[np.intp]) -> float:
    """Share of the samples that are plain black or plain white."""
    return float(counts[(greys == 0) | (greys == 255)].sum() / counts.sum())


def _of_colours(dataset: Dataset, image: ImagePixel) -> tuple[Values, bool]:
    """Fractions of the display range where it needs no VOI transform: colours, and palettes.

    The three tables of a palette are the same where it stands for greys.
    """
    stored, full = _stored(image), float(2**image.bits_stored - 1)
    if image.photometric != "PALETTECOLOR":
        return stored / full, image.bits_stored == 8
    try:
        tables = [
            _lut(dataset, stored, 0.0, f"{colour}PaletteColorLookupTable")
            for colour in ("Red", "Green", "Blue")
        ]
    except _LutError as error:
        raise ImageError(Reason.COLOUR_SPACE, f"palette: {error}") from None
    (red, full), *others = tables
    if any(not np.array_equal(red, other) for other, _ in others):
        raise ImageError(Reason.COLOUR_SPACE, "coloured palette")
    return red / full, True


def _is_lut(item: Dataset) -> bool:
    return "LUTDescriptor" in item or "LUTData" in item


def look_up(table: NDArray[np.uint8], words: Words) -> NDArray[np.uint8]:
    """uint8 [rows, columns]."""
    grey = np.empty(words.shape, np.uint8)
    for row in range(0, len(words), _ROWS_AT_ONCE):
        rows = slice(row, row + _ROWS_AT_ONCE)
        grey[rows] = table[words[rows]]
    return grey


def _stored(image: ImagePixel) -> Values:
    """Every value that the bits stored can have."""
    values = np.arange(2**image.bits_stored, dtype=np.float64)
    if image.is_signed:
        values[len(values) // 2 :] -= len(values)
    return values


def _modality(dataset: Dataset, stored: Values) -> tuple[Values, float, float]:
    """Values after the modality transform (PS3.3 C.11.1), the lowest and the highest possible."""
    if luts := list(filter(_is_lut, items(dataset, "ModalityLUTSequence"))):
        try:
            entries, full = _lut(luts[0], stored)
        except _LutError as error:
            raise ImageError(Reason.CORRUPT, f"modality {error}") from None
        return entries, 0.0, full
    try:
        slope = _first(_numbers(dataset, "RescaleSlope"))
        intercept = _first(_numbers(dataset, "RescaleIntercept"))
    except ValueError:
        raise ImageError(Reason.CORRUPT, "rescale is no number") from None
    values = stored * (1.0 if slope is None else slope) + (intercept or 0.0)
    lowest, highest = float(values.min()), float(values.max())
    if slope == 0 or not np.isfinite(highest - lowest) or lowest == highest:
        raise ImageError(Reason.CORRUPT, "rescale slope or intercept")
    return values, lowest, highest


def _luts(dataset: Dataset, values: Values, lowest: float) -> Iterator[Way]:
    """Fractions of the display range by VOI LUTs (PS3.3 C.11.2), which go before windows."""

    def way(item: Dataset) -> Values:
        try:
            entries, full = _lut(item, values, lowest)
        except _LutError as error:
            raise ImageError(Reason.VOI_UNSUPPORTED, f"VOI {error}") from None
        return entries / full

    for item in filter(_is_lut, items(dataset, "VOILUTSequence")):
        yield partial(way, item)


def _windows(dataset: Dataset, values: Values) -> Iterator[Way]:
    """The same by windows, in their order; half a window or one of no width says nothing."""
    function = _code(dataset, "VOILUTFunction") or "LINEAR"
    for centre, width in _stated_windows(dataset):
        if centre is not None and width:
            yield partial(_window, function, values, centre, width)


def _stated_windows(dataset: Dataset) -> list[tuple[float | None, float | None]]:
    """Centres and widths, of which one may be missing."""
    try:
        centres, widths = _numbers(dataset, "WindowCenter"), _numbers(dataset, "WindowWidth")
    except ValueError:
        raise ImageError(Reason.VOI_UNSUPPORTED, "window is no number") from None
    return [pair for pair in itertools.zip_longest(centres, widths) if pair != (None, None)]


def _window(function: str, values: Values, centre: float, width: float) -> Values:
    """PS3.3 C.11.2.1.2.1 (LINEAR), C.11.2.1.3.1 (SIGMOID) and C.11.2.1.3.2 (LINEAR_EXACT)."""
    if not np.isfinite([centre, width]).all():
        raise ImageError(Reason.VOI_UNSUPPORTED, "window is not finite")
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


def _lut(
    item: Dataset, values: Values, lowest: float | None = None, name: str = "LUT"
) -> tuple[Values, float]:
    """Map values through a LUT (PS3.3 C.11.1.1, C.11.2.1.1 and C.7.6.3.1.5).

    Args:
        item: of a Modality or VOI LUT Sequence, or the header of a palette.
        values: what goes in; between two entries the nearest counts.
        lowest: of the values that can go in; below zero, the first value mapped is signed.
        name: that its two elements begin with.

    Returns:
        the entries, and the highest value that their bits allow.
    """
    descriptor = [int(word) for word in _raw_words(item, f"{name}Descriptor")]
    if len(descriptor) != 3 or not 8 <= descriptor[2] <= 16:
        raise _LutError("LUT descriptor")
    count, first, bits = descriptor[0] or 2**16, descriptor[1], descriptor[2]
    if first >= 2**15 and (values.min() if lowest is None else lowest) < 0:
        first -= 2**16
    entries = _raw_words(item, f"{name}Data")
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


def _numbers(dataset: Dataset, keyword: str) -> list[float | None]:
    """The values of a decimal string, a comma taken for a point; None for one that is empty.

    Raises:
        ValueError: some value is no number.
    """
    parts = texts(dataset, keyword)
    return [float(part.replace(",", ".")) if part else None for part in parts]


def _first(numbers: list[float | None]) -> float | None:
    return numbers[0] if numbers else None


def _code(dataset: Dataset, keyword: str) -> str:
    return "\\".join(texts(dataset, keyword)).upper()
