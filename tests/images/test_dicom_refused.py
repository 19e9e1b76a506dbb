"""Each refusal, by its reason; bombs cost nothing."""

from __future__ import annotations

import struct
import time
import tracemalloc
import zlib
from typing import Any, NoReturn

import numpy as np
import pytest
from pydicom.dataset import Dataset

from cxr_edge.errors import ImageError
from cxr_edge.images import decode, dicom_frame
from cxr_edge.types import InputWarning, Reason
from tests.images import dicoms
from tests.images.dicoms import ENCODERS, film, levels_of, with_code_stream, with_fragments, written

pytestmark = pytest.mark.filterwarnings(r"ignore::Warning:pydicom\.")


def reason_of(data: bytes) -> Reason:
    with pytest.raises(ImageError) as caught:
        decode(data, "film.dcm")
    return caught.value.reason


EMPTY = {"basic text report", "DICOMDIR"}  # classes that are certainly no film without pixels
CLASSES = {
    "CT": ("1.2.840.10008.5.1.4.1.1.2", Reason.MODALITY),
    "ultrasound": ("1.2.840.10008.5.1.4.1.1.6.1", Reason.MODALITY),
    "mammography": ("1.2.840.10008.5.1.4.1.1.1.2", Reason.MODALITY),
    "radiotherapy image": ("1.2.840.10008.5.1.4.1.1.481.1", Reason.MODALITY),
    "basic text report": ("1.2.840.10008.5.1.4.1.1.88.11", Reason.NOT_AN_IMAGE),
    "raw data": ("1.2.840.10008.5.1.4.1.1.66", Reason.NOT_AN_IMAGE),
    "DICOMDIR": ("1.2.840.10008.1.3.10", Reason.NOT_AN_IMAGE),
}


@pytest.mark.parametrize("pixels", [True, False], ids=["with pixels", "without"])
@pytest.mark.parametrize("name", CLASSES)
def test_other_objects(name: str, pixels: bool) -> None:
    uid, reason = CLASSES[name]
    more: dict[str, Any] = {} if pixels else {"PixelData": None}
    expected = Reason.NO_FILM if name in EMPTY and not pixels else reason
    assert reason_of(film(SOPClassUID=uid, **more)) is expected


def test_a_directory_is_left_alone() -> None:
    """Whatever stands behind its file meta information is not even read."""
    directory = film(SOPClassUID="1.2.840.10008.1.3.10")
    assert reason_of(directory[: directory.index(b"\x08\x00\x16\x00UI")]) is Reason.NO_FILM


@pytest.mark.parametrize("modality", ["CT", "MR", "US", "MG", "XA", "RF", "PX", "SR", "nonsense"])
def test_other_modalities(modality: str) -> None:
    assert reason_of(film(Modality=modality)) is Reason.MODALITY


SYNTAXES = {
    "deflated": dicoms.DEFLATED,
    "MPEG-4": "1.2.840.10008.1.2.4.102",
    "JPEG XL": "1.2.840.10008.1.2.4.110",
    "a maker's own": "1.2.840.113619.5.2",
}


def with_syntax(uid: str) -> bytes:
    """A file that claims a transfer syntax."""
    old = struct.pack("<HH2sH", 2, 16, b"UI", 20) + b"1.2.840.10008.1.2.1\0"
    value = uid.encode() + b"\0" * (len(uid) % 2)
    new = struct.pack("<HH2sH", 2, 16, b"UI", len(value)) + value
    data = film()
    assert data.count(old) == 1
    return data.replace(old, new)


@pytest.mark.parametrize("uid", SYNTAXES.values(), ids=SYNTAXES)
def test_other_transfer_syntaxes(uid: str) -> None:
    assert reason_of(with_syntax(uid)) is Reason.TRANSFER_SYNTAX


HEADERS: dict[str, tuple[dict[str, Any], Reason]] = {
    "no pixels": ({"PixelData": None}, Reason.NO_PIXEL_DATA),
    "two frames": ({"NumberOfFrames": 2}, Reason.MULTI_FRAME),
    "negative frames": ({"NumberOfFrames": -1}, Reason.MULTI_FRAME),
    "RGB": ({"PhotometricInterpretation": "RGB", "SamplesPerPixel": 3}, Reason.COLOUR_SPACE),
    "palette": ({"PhotometricInterpretation": "PALETTE COLOR"}, Reason.COLOUR_SPACE),
    "no polarity": ({"PhotometricInterpretation": None}, Reason.COLOUR_SPACE),
    "three samples": ({"SamplesPerPixel": 3}, Reason.COLOUR_SPACE),
    "1 bit": ({"BitsAllocated": 1, "BitsStored": 1, "HighBit": 0}, Reason.PIXEL_TYPE),
    "32 bits": ({"BitsAllocated": 32, "BitsStored": 32, "HighBit": 31}, Reason.PIXEL_TYPE),
    "more stored than allocated": ({"BitsStored": 17}, Reason.PIXEL_TYPE),
    "high bit too low": ({"HighBit": 10}, Reason.PIXEL_TYPE),
    "high bit too high": ({"HighBit": 16}, Reason.PIXEL_TYPE),
    "0 rows": ({"Rows": 0}, Reason.CORRUPT),
    "two values for rows": ({"Rows": [48, 48]}, Reason.CORRUPT),
    "65,535 rows and columns": ({"Rows": 65535, "Columns": 65535}, Reason.TOO_LARGE),
    "a row too many": ({"Rows": 49}, Reason.CORRUPT),
}


@pytest.mark.parametrize(("elements", "reason"), HEADERS.values(), ids=HEADERS)
def test_headers(elements: dict[str, Any], reason: Reason) -> None:
    assert reason_of(film(**elements)) is reason


@pytest.mark.parametrize("surplus", [b"\0\1", b"\1\0", bytes(126) + b"\0\1"], ids=len)
def test_more_than_zeros_behind_plain_pixels(surplus: bytes) -> None:
    assert reason_of(with_surplus(surplus)) is Reason.CORRUPT


@pytest.mark.parametrize("surplus", [bytes(4), bytes(128), bytes(10**6)], ids=len)
def test_zeros_behind_plain_pixels_are_padding(surplus: bytes) -> None:
    """PS3.5 8.1.1 asks receivers to take them."""
    image = decode(with_surplus(surplus), "film.dcm")
    assert image.warnings == (InputWarning.NONCONFORMING,)
    assert np.array_equal(image.pixels, decode(film(), "film.dcm").pixels)


def with_surplus(surplus: bytes) -> bytes:
    """A film whose pixels are so much longer, by their stated length as well."""
    plain, size = film(), LEVELS.nbytes
    at = plain.rindex(struct.pack("<L", size))
    return plain[:at] + struct.pack("<L", size + len(surplus)) + plain[at + 4 :] + surplus


@pytest.mark.parametrize("syntax", ENCODERS)
def test_code_stream_of_another_size(syntax: str) -> None:
    for rows, columns in ((24, 32), (24, 64), (48, 63), (49, 64), (96, 64)):
        data = film(bits=8, syntax=syntax, Rows=rows, Columns=columns)
        assert reason_of(data) is Reason.CORRUPT


def test_float_samples() -> None:
    dataset = Dataset()
    dataset.SOPClassUID, dataset.Modality = dicoms.DX, "DX"
    dataset.FloatPixelData = b"\0" * 16
    assert reason_of(written(dataset)) is Reason.PIXEL_TYPE


LEVELS = levels_of(12)
STREAM = ENCODERS[dicoms.J2K_LOSSLESS](LEVELS, 12)
JPEG = ENCODERS[dicoms.JPEG_LOSSLESS_SV1](LEVELS, 12)
RLE = ENCODERS[dicoms.RLE](LEVELS, 12)


def wrapped(syntax: str, *parts: bytes) -> bytes:
    return with_fragments(list(parts), LEVELS, 12, syntax)


BROKEN = {
    "two code streams": (wrapped(dicoms.J2K_LOSSLESS, STREAM, STREAM), Reason.MULTI_FRAME),
    "no end marker": (wrapped(dicoms.J2K_LOSSLESS, STREAM[:-2]), Reason.TRUNCATED),
    "one syntax for another": (wrapped(dicoms.J2K_LOSSLESS, JPEG), Reason.CORRUPT),
    "JPEG of random bytes": (wrapped(dicoms.JPEG_BASELINE, bytes(range(256))), Reason.CORRUPT),
    "RLE of three segments": (
        wrapped(dicoms.RLE, struct.pack("<L", 3) + RLE[4:]),
        Reason.CORRUPT,
    ),
    "RLE segment outside": (
        wrapped(dicoms.RLE, RLE[:8] + struct.pack("<L", 10**6) + RLE[12:]),
        Reason.CORRUPT,
    ),
    "RLE header cut off": (wrapped(dicoms.RLE, RLE[:40]), Reason.TRUNCATED),
    "lossy JPEG of 16 bits": (
        with_code_stream(
            dicoms.gdcm_stream(dicoms.LOSSY_16, LEVELS, 12), LEVELS, 12, dicoms.JPEG_EXTENDED
        ),
        Reason.PIXEL_TYPE,
    ),
}


@pytest.mark.parametrize(("data", "reason"), BROKEN.values(), ids=BROKEN)
def test_broken_frames(data: bytes, reason: Reason) -> None:
    assert reason_of(data) is reason


SIGNS = {
    "signed JPEG 2000, unsigned header": (dicoms.J2K_LOSSLESS, 12, True),
    "unsigned HTJ2K, signed header": (dicoms.HTJ2K_LOSSLESS, 16, False),
}


@pytest.mark.parametrize(("syntax", "bits", "signed"), SIGNS.values(), ids=SIGNS)
def test_code_stream_of_another_sign(syntax: str, bits: int, signed: bool) -> None:
    """Taken for the other, half of the levels would change places with the other half."""
    data = film(levels_of(bits, signed=signed), bits=bits, syntax=syntax)
    decode(data, "film.dcm")
    of_the_header = int(not signed)
    other = film(
        levels_of(bits, signed=signed),
        bits=bits,
        syntax=syntax,
        PixelRepresentation=of_the_header,
    )
    assert reason_of(other) is Reason.PIXEL_TYPE


def test_compressed_syntax_around_plain_pixels() -> None:
    plain = film()
    uid = b"1.2.840.10008.1.2.1\0"
    data = plain.replace(b"UI\x14\0" + uid, b"UI\x16\0" + dicoms.J2K_LOSSLESS.encode())
    assert reason_of(data) is Reason.CORRUPT


def test_fragments_around_plain_syntax() -> None:
    uid = b"1.2.840.10008.1.2.1\0"
    packed = film(bits=8, syntax=dicoms.J2K_LOSSLESS)
    data = packed.replace(b"UI\x16\0" + dicoms.J2K_LOSSLESS.encode(), b"UI\x14\0" + uid)
    assert reason_of(data) is Reason.CORRUPT


RAISED = {
    "memory": (MemoryError("PLANTED"), Reason.TOO_LARGE),
    "end of file": (EOFError("PLANTED"), Reason.TRUNCATED),
    "anything": (KeyError("PLANTED"), Reason.CORRUPT),
}


@pytest.mark.parametrize(("error", "reason"), RAISED.values(), ids=RAISED)
def test_whatever_pydicom_raises(
    error: Exception, reason: Reason, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any) -> NoReturn:
        raise error

    monkeypatch.setattr(dicom_frame, "samples", fail)
    with pytest.raises(ImageError) as caught:
        decode(film(), "film.dcm")
    assert caught.value.reason is reason
    assert "PLANTED" not in str(caught.value)


def deflate_bomb() -> bytes:
    """A gigabyte of zeros in a megabyte."""
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    packed = b"".join(packer.compress(bytes(2**20)) for _ in range(1000)) + packer.flush()
    start = with_syntax(dicoms.DEFLATED)
    return start[: start.index(b"\x08\x00\x16\x00UI")] + packed


def nested_sequences(depth: int) -> bytes:
    """Undefined length inside undefined length."""
    item = struct.pack("<HHL", 0xFFFE, 0xE000, 0xFFFFFFFF)
    sequence = struct.pack("<HH2sHL", 0x0008, 0x1140, b"SQ", 0, 0xFFFFFFFF)
    data = film()
    at = data.index(b"\x10\x00\x10\x00PN")
    return data[:at] + (sequence + item) * depth + data[at:]


def test_deflate_bomb_is_not_inflated() -> None:
    data = deflate_bomb()
    decode(film(), "film.dcm")  # imports are not the bomb's
    tracemalloc.start()
    began = time.monotonic()
    assert reason_of(data) is Reason.TRANSFER_SYNTAX
    assert time.monotonic() - began < 1
    assert tracemalloc.get_traced_memory()[1] < 10e6
    tracemalloc.stop()


@pytest.mark.parametrize("depth", [300, 5000])
def test_nested_sequences(depth: int) -> None:
    began = time.monotonic()
    assert reason_of(nested_sequences(depth)) in (Reason.CORRUPT, Reason.TRUNCATED)
    assert time.monotonic() - began < 5
