"""Code streams that are legal and unusual."""

from __future__ import annotations

import struct

import gdcm
import numpy as np
import pytest
from numpy.typing import NDArray

from cxr_edge.errors import ImageError
from cxr_edge.images import decode, dicom_codecs
from cxr_edge.images.dicom_syntax import SYNTAXES
from cxr_edge.types import Reason
from tests.images import dicoms
from tests.images.dicoms import ENCODERS, film, levels_of, with_code_stream
from tests.images.films import Levels

pytestmark = pytest.mark.filterwarnings(r"ignore::Warning:pydicom\.")


def checkerboard(bits: int) -> Levels:
    """Black and white side by side: lossy compression swings over."""
    fields = np.indices((48, 64)).sum(axis=0) // 9 % 2
    return (fields * (2**bits - 1)).astype(np.uint16)


SWINGS = {  # bits stored, bits of precision of the code stream
    "JPEG 2000": (dicoms.J2K, 12, 16),
    "JPEG extended": (dicoms.JPEG_EXTENDED, 10, 12),
}


@pytest.mark.parametrize(("syntax", "stored", "coded"), SWINGS.values(), ids=SWINGS)
def test_overshoot_of_lossy_compression_is_clipped(syntax: str, stored: int, coded: int) -> None:
    levels = checkerboard(stored)
    stream = ENCODERS[syntax](levels, coded)
    pixels = decode(with_code_stream(stream, levels, stored, syntax), "film.dcm").pixels
    # Not wrapped to the other end; the rest is what the compression lost.
    assert np.abs(pixels - np.where(levels > 0, 255.0, 0.0)).max() < 64


def test_overshoot_of_signed_samples_is_clipped() -> None:
    levels = (checkerboard(12).astype(np.int32) - 2048).astype(np.int16)
    stream = ENCODERS[dicoms.J2K](levels, 16)
    pixels = decode(with_code_stream(stream, levels, 12, dicoms.J2K), "film.dcm").pixels
    assert np.abs(pixels - np.where(levels > 0, 255.0, 0.0)).max() < 64


BEYOND = {  # levels that the bits stored cannot hold
    "lossless, by one": (dicoms.JPEG_LS, 4096),
    "lossy, by half the range": (dicoms.JPEG_LS_NEAR, 6144),
}


@pytest.mark.parametrize(("syntax", "highest"), BEYOND.values(), ids=BEYOND)
def test_what_no_overshoot_explains(syntax: str, highest: int) -> None:
    levels = levels_of(12).copy()
    levels[10:20, 10:20] = highest
    stream = ENCODERS[syntax](levels, 16)
    with pytest.raises(ImageError) as caught:
        decode(with_code_stream(stream, levels, 12, syntax), "film.dcm")
    assert caught.value.reason is Reason.CORRUPT


def filled(stream: bytes, count: int) -> bytes:
    """Fill bytes before every marker outside the entropy-coded data (ITU-T T.81 B.1.1.2)."""
    position, made, fill = 2, stream[:2], b"\xff" * count
    while stream[position + 1] != 0xDA:
        (length,) = struct.unpack_from(">H", stream, position + 2)
        made += fill + stream[position : position + 2 + length]
        position += 2 + length
    return made + fill + stream[position:-2] + fill + stream[-2:]


JPEGS = {
    (dicoms.JPEG_BASELINE, 8),
    (dicoms.JPEG_EXTENDED, 12),
    (dicoms.JPEG_LOSSLESS, 8),
    (dicoms.JPEG_LOSSLESS_SV1, 16),
    (dicoms.JPEG_LS, 12),
    (dicoms.JPEG_LS_NEAR, 12),
}


def pixels_of(data: bytes) -> NDArray[np.uint8]:
    return decode(data, "film.dcm").pixels


@pytest.mark.parametrize("count", [1, 2, 7])
@pytest.mark.parametrize(
    ("syntax", "bits"),
    sorted(JPEGS),
    ids=lambda key: SYNTAXES[key].name if isinstance(key, str) else str(key),
)
def test_fill_bytes_before_markers(syntax: str, bits: int, count: int) -> None:
    levels = levels_of(bits)
    stream = filled(ENCODERS[syntax](levels, bits), count)
    made = with_code_stream(stream, levels, bits, syntax)
    assert np.array_equal(pixels_of(made), pixels_of(film(bits=bits, syntax=syntax)))


def element_of(content: bytes) -> gdcm.DataElement:
    element = gdcm.DataElement(gdcm.Tag(0x7FE0, 0x0010))
    element.SetByteStringValue(content)
    return element


@pytest.mark.parametrize(("content", "size"), [(b"\xc3\0\xff\x80", 4), (b"\xff\xfe\xfd\0", 3)])
def test_bytes_of_a_decoded_element(content: bytes, size: int) -> None:
    assert dicom_codecs._content(element_of(content), size).tobytes() == content[:size]


@pytest.mark.parametrize("size", [1, 2, 5, 6])
def test_a_decoded_element_of_another_size(size: int) -> None:
    with pytest.raises(ImageError) as caught:
        dicom_codecs._content(element_of(b"abcd"), size)
    assert caught.value.reason is Reason.CORRUPT


def test_a_decoded_element_of_nothing() -> None:
    with pytest.raises(ImageError):
        dicom_codecs._content(gdcm.DataElement(gdcm.Tag(0x7FE0, 0x0010)), 1)
