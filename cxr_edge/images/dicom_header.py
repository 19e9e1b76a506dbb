"""A DICOM file up to its pixels: what kind of object it is, and how its samples are stored."""

from __future__ import annotations

import io
import re
from collections.abc import Sequence
from dataclasses import dataclass

from cxr_edge.errors import ImageError
from cxr_edge.images import dicom_orientation, dicom_study
from cxr_edge.images.dicom_codecs import ImagePixel
from cxr_edge.images.dicom_library import UID, BaseTag, Dataset, Tag, read_dataset
from cxr_edge.images.dicom_study import has, items
from cxr_edge.images.dicom_syntax import SYNTAXES, Syntax
from cxr_edge.images.tail import MAX_PARTS
from cxr_edge.types import MAX_PIXELS, InputWarning, Reason

# What is read from a file; everything else in its header stays there.
KEYWORDS = (
    *("SOPClassUID", "PresentationIntentType"),
    *dicom_study.KEYWORDS,
    *dicom_orientation.KEYWORDS,
    *("Rows", "Columns", "SamplesPerPixel", "PhotometricInterpretation", "NumberOfFrames"),
    *("BitsAllocated", "BitsStored", "HighBit", "PixelRepresentation", "PlanarConfiguration"),
    *(f"{colour}PaletteColorLookupTableDescriptor" for colour in ("Red", "Green", "Blue")),
    *(f"{colour}PaletteColorLookupTableData" for colour in ("Red", "Green", "Blue")),
    *("ModalityLUTSequence", "RescaleSlope", "RescaleIntercept"),
    *("VOILUTSequence", "WindowCenter", "WindowWidth", "VOILUTFunction", "PresentationLUTShape"),
    *("SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence"),
)
# What newer objects put into groups of functions (PS3.3 C.7.6.16): macro, and its elements.
_MACROS = {
    "PixelValueTransformationSequence": ("RescaleSlope", "RescaleIntercept"),
    "FrameVOILUTSequence": ("WindowCenter", "WindowWidth", "VOILUTFunction"),
}
UNDEFINED_LENGTH = 0xFFFFFFFF

_TAGS = [Tag(dicom_study.tag_of(keyword)) for keyword in KEYWORDS]

_META_START = 132
_FIRST_GROUP = 0x0008
_PIXEL_DATA = 0x7FE00010
_PIXEL_DATA_BYTES = b"\xe0\x7f\x10\x00"
_RECORDS_BYTES = b"\x04\x00\x20\x12"  # of a directory: its sequence of records
_READS_PER_ELEMENT = 3
_FLOAT_PIXELS = (0x7FE00008, 0x7FE00009)
_UNREGISTERED = "unregistered UID"
# Of a film that does not say: implicit representations are told from explicit ones as they are met.
_NOT_STATED_SYNTAX = "1.2.840.10008.1.2.1"
_FOR_PROCESSING_CLASS = "1.2.840.10008.5.1.4.1.1.1.1.1"
RADIOGRAPHS = {
    "1.2.840.10008.5.1.4.1.1.1",  # Computed Radiography
    "1.2.840.10008.5.1.4.1.1.1.1",  # Digital X-Ray, for presentation
    _FOR_PROCESSING_CLASS,
}
_SECONDARY_CAPTURE = "1.2.840.10008.5.1.4.1.1.7"
_SECONDARY_CAPTURES = {
    _SECONDARY_CAPTURE,
    *(f"{_SECONDARY_CAPTURE}.{kind}" for kind in range(1, 5)),
}
_DIRECTORY = "DICOM directory"
# Words in the standard's names of classes that hold no picture, and what a list calls them.
_NO_FILMS = {
    "Directory": _DIRECTORY,
    " SR ": "DICOM report",
    "Document": "DICOM key object",
    "Presentation State": "DICOM presentation state",
    "Encapsulated": "DICOM document",
    "Waveform": "DICOM waveform",
    "Log": "DICOM log",
}
_STATED = {"CR", "DX"}
_MEANT = {"DR", "RX", "XR", "CRX", "RAD", "XRAY", "X-RAY"}  # by makers who mean one of the two
_NOT_STATED = {"", "OT", "RG"}  # other; film
_PHOTOMETRIC = {
    **{"MONOCHROME1": 1, "MONOCHROME2": 1, "PALETTECOLOR": 1},
    **{"RGB": 3, "YBRFULL": 3, "YBRFULL422": 3, "YBRICT": 3, "YBRRCT": 3},
}


@dataclass(frozen=True)
class Header:
    """A data set up to its pixels, and where these begin.

    Attributes:
        dataset: the elements of `KEYWORDS`, and those that were asked for.
        sop_class: UID, or empty where the file does not say.
        syntax: how the file is encoded.
        pixels_vr: value representation of Pixel Data; empty where it is implicit.
        pixels_at: offset of its value in the file.
        pixels_length: as the element says, bytes.
        is_odd: elements stand in front of the data set that do not belong there.
    """

    dataset: Dataset
    sop_class: str
    syntax: Syntax
    pixels_vr: str
    pixels_at: int
    pixels_length: int
    is_odd: bool = False


class _Bounded(io.BytesIO):
    """A file that is not read for minutes: an element takes a read or two, also inside another."""

    def __init__(self, data: bytes) -> None:
        super().__init__(data)
        self.size = len(data)  # asking for the buffer would copy it
        self._reads = 0

    def read(self, size: int | None = -1) -> bytes:
        """Count, then read."""
        self._reads += 1
        if self._reads > _READS_PER_ELEMENT * MAX_PARTS:
            raise ImageError(Reason.TOO_LARGE, f"a header of more than {MAX_PARTS} elements")
        return super().read(size)


class _UpTo:
    """Ends pydicom's reading where the pixels begin, and remembers that place."""

    def __init__(self, file: _Bounded, first: int, end: int) -> None:
        self.found: tuple[int, str, int, int] | None = None
        self.is_odd = False
        self._file = file
        self._first, self._end = first, end
        self._size = file.size

    def __call__(self, tag: BaseTag, vr: str | None, length: int) -> bool:
        position = self._file.tell()
        if not self._first <= int(tag) < self._end:
            self.found = (int(tag), vr or "", position, length)
            return True
        self.is_odd |= int(tag) >> 16 < _FIRST_GROUP
        if length != UNDEFINED_LENGTH and position + length > self._size:
            raise ImageError(Reason.TRUNCATED, "the header is cut off")
        return False


def read_header(data: bytes, extra: Sequence[str] = ()) -> Header:
    """Read a file up to its pixels; nothing is inflated, no other object is opened.

    Args:
        data: the whole file.
        extra: keywords of elements to read besides those of `KEYWORDS`.

    Raises:
        ImageError: not an image, another modality by its class, a transfer syntax that is not in
            `SYNTAXES`, no pixels, cut off.
    """
    file = _Bounded(data)
    file.seek(_META_START)
    stop = _UpTo(file, 0x00020000, 0x00030000)
    meta = read_dataset(file, False, True, stop_when=stop)
    _check_class(str(meta.get("MediaStorageSOPClassUID", "")), data)
    if stop.found is None or stop.found[0] == 0:
        raise ImageError(Reason.TRUNCATED, "the file meta information is cut off")
    stated = str(meta.get("TransferSyntaxUID", ""))
    uid = stated or _NOT_STATED_SYNTAX
    if uid not in SYNTAXES:
        raise ImageError(Reason.TRANSFER_SYNTAX, _name(uid))
    syntax = SYNTAXES[uid]
    # Some makers put elements of groups 1 to 7, which have no place in a file, in front.
    stop = _UpTo(file, 0x00010000, min(_FLOAT_PIXELS))
    tags: list[BaseTag | int] = [*_TAGS, *map(dicom_study.tag_of, extra)]
    dataset = read_dataset(
        file, syntax.is_implicit_vr, syntax.is_little_endian, stop_when=stop, specific_tags=tags
    )
    sop_class = str(dataset.get("SOPClassUID", "") or meta.get("MediaStorageSOPClassUID", ""))
    _check_class(sop_class, data)
    vr, position, length = _pixels(stop)
    if not stated and length == UNDEFINED_LENGTH:
        raise ImageError(Reason.TRANSFER_SYNTAX, "not stated")
    is_odd = stop.is_odd or not stated or dataset.original_encoding[0] != syntax.is_implicit_vr
    is_odd |= _take_out_of_groups(dataset)
    return Header(dataset, sop_class, syntax, vr, position, length, is_odd)


def _take_out_of_groups(dataset: Dataset) -> bool:
    """Put what groups of functions say of the one frame beside the rest; whether they say any."""
    found = [
        (macro, keyword)
        for groups in ("SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence")
        for group in items(dataset, groups)
        for name, keywords in _MACROS.items()
        for macro in items(group, name)
        for keyword in keywords
        if has(macro, keyword) and not has(dataset, keyword)
    ]
    for macro, keyword in found:
        dataset[dicom_study.tag_of(keyword)] = macro.get_item(keyword)
    return bool(found)


def read_elements(data: bytes, elements: Sequence[str]) -> Dataset:
    """Elements of any DICOM file in front of its pixels, whatever kind of object it is.

    Args:
        data: the whole file.
        elements: their keywords.

    Raises:
        Exception: pydicom raises anything.
    """
    file = _Bounded(data)
    file.seek(_META_START)
    meta = read_dataset(file, False, True, stop_when=_UpTo(file, 0x00020000, 0x00030000))
    uid = UID(str(meta.get("TransferSyntaxUID", "")))
    known = uid.is_transfer_syntax
    is_implicit, is_little = (uid.is_implicit_VR, uid.is_little_endian) if known else (False, True)
    if known and uid.is_deflated:
        raise ImageError(Reason.TRANSFER_SYNTAX, _name(uid))
    tags: list[BaseTag | int] = [*map(dicom_study.tag_of, elements)]
    stop = _UpTo(file, 0x00010000, min(_FLOAT_PIXELS))
    return read_dataset(file, is_implicit, is_little, stop_when=stop, specific_tags=tags)


def check_image(header: Header, modality: str) -> ImagePixel:
    """Refuse a film by its header alone, before a pixel is decoded."""
    if modality not in _NOT_STATED and not _modalities(modality) <= _STATED | _MEANT:
        raise ImageError(Reason.MODALITY, "not CR or DX")
    if (header.dataset.get("NumberOfFrames") or 1) != 1:
        raise ImageError(Reason.MULTI_FRAME, "more than one frame")
    photometric = _photometric(header)
    samples = header.dataset.get("SamplesPerPixel", 1)
    if samples != _PHOTOMETRIC.get(photometric):
        raise ImageError(Reason.COLOUR_SPACE, f"{samples} samples per pixel of another kind")
    image = ImagePixel(
        rows=_whole(header, "Rows"),
        columns=_whole(header, "Columns"),
        bits_allocated=_whole(header, "BitsAllocated"),
        bits_stored=_whole(header, "BitsStored"),
        high_bit=_high_bit(header),
        is_signed=_whole(header, "PixelRepresentation") == 1,
        photometric=photometric,
        samples=samples,
    )
    _check_samples(image)
    return image


def is_radiograph(header: Header, modality: str) -> bool:
    """Whether both class and modality say so: no secondary capture, no other or unstated one."""
    return modality not in _NOT_STATED and header.sop_class in RADIOGRAPHS


def oddities(header: Header, modality: str, image: ImagePixel) -> list[InputWarning]:
    """A note where the header is against the standard, but leaves no doubt of what was meant."""
    odd = (
        header.is_odd
        or modality not in _STATED | _NOT_STATED
        or image.photometric not in ("MONOCHROME1", "MONOCHROME2")
        or str(header.dataset.get("PhotometricInterpretation")) != image.photometric
        or header.dataset.get("HighBit") is None
    )
    return [InputWarning.NONCONFORMING] if odd else []


def _modalities(text: str) -> set[str]:
    """One, or several where a writer could not decide: CR and DX, with whatever between them."""
    return set(re.findall("[A-Z][A-Z-]*", text)) or {text}


def _photometric(header: Header) -> str:
    """Without the spaces and underscores that writers put where the standard has others."""
    stated = str(header.dataset.get("PhotometricInterpretation", ""))
    return re.sub("[ _-]", "", stated.upper())


def is_for_processing(header: Header) -> bool:
    """Whether it is not for display: without the maker's contrast and edge enhancement."""
    intent = str(header.dataset.get("PresentationIntentType", "")).upper()
    return intent == "FOR PROCESSING" or header.sop_class == _FOR_PROCESSING_CLASS


def _check_class(uid: str, data: bytes) -> None:
    """Refuse a registered SOP class that is no radiograph; an unregistered one has a modality."""
    if not uid or uid in RADIOGRAPHS | _SECONDARY_CAPTURES:
        return
    name = _name(uid)
    if "Image Storage" in name:
        raise ImageError(Reason.MODALITY, name)
    if name == _UNREGISTERED:
        return
    kind = next((kind for word, kind in _NO_FILMS.items() if word in name), "")
    # One that holds pixels all the same may be a film under a wrong class; a directory has icons.
    has_icons = kind == _DIRECTORY and _RECORDS_BYTES in data
    if kind and (has_icons or _PIXEL_DATA_BYTES not in data):
        raise ImageError(Reason.NO_FILM, name, format=kind)
    raise ImageError(Reason.NOT_AN_IMAGE, name, format="DICOM")


def _name(uid: str) -> str:
    """The standard's name for it, never the file's own text."""
    name = UID(uid).name if uid else "not stated"
    return _UNREGISTERED if name == uid else name


def _pixels(stop: _UpTo) -> tuple[str, int, int]:
    """Value representation, position and length of Pixel Data."""
    if stop.found is None:
        raise ImageError(Reason.NO_PIXEL_DATA, "the file ends before any")
    tag, vr, position, length = stop.found
    if tag == 0:
        raise ImageError(Reason.TRUNCATED, "zeros in place of the header")
    if tag in _FLOAT_PIXELS:
        raise ImageError(Reason.PIXEL_TYPE, "floating point samples")
    if tag < _PIXEL_DATA:
        raise ImageError(Reason.CORRUPT, "elements out of order")
    if tag != _PIXEL_DATA:
        raise ImageError(Reason.NO_PIXEL_DATA)
    return vr, position, length


def _whole(header: Header, keyword: str) -> int:
    value = header.dataset.get(keyword)
    if not isinstance(value, int):
        raise ImageError(Reason.CORRUPT, f"{keyword} is missing")
    return value


def _high_bit(header: Header) -> int:
    """High bit of the header, or that of samples that begin at bit 0."""
    if header.dataset.get("HighBit") is None:
        return _whole(header, "BitsStored") - 1
    return _whole(header, "HighBit")


def _check_samples(image: ImagePixel) -> None:
    if image.rows * image.columns == 0:
        raise ImageError(Reason.CORRUPT, "no rows or no columns")
    if image.rows * image.columns > MAX_PIXELS:
        raise ImageError(Reason.TOO_LARGE, f"{image.columns} x {image.rows} pixels")
    if image.bits_allocated not in (8, 16) or not 8 <= image.bits_stored <= image.bits_allocated:
        detail = f"{image.bits_stored} bits stored in {image.bits_allocated}"
        raise ImageError(Reason.PIXEL_TYPE, detail)
    if not image.bits_stored <= image.high_bit + 1 <= image.bits_allocated:
        raise ImageError(Reason.PIXEL_TYPE, f"high bit {image.high_bit}")
