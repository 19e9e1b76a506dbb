"""Files of a few megabytes that would take minutes: refused at once, with a reason."""

from __future__ import annotations

import struct
import time
from collections.abc import Callable

import pytest

from cxr_edge.errors import ImageError
from cxr_edge.images import decode
from cxr_edge.types import Reason
from tests.images import dicoms
from tests.images.dicoms import ENCODERS, film, levels_of, with_code_stream, with_fragments
from tests.images.films import jpeg, png, png_chunk

LEVELS = levels_of(12)
SECONDS = 10  # a decoder has sixty; none of these takes two on a machine that is idle


def scans_of(data: bytes, count: int) -> bytes:
    """A progressive JPEG whose last scan comes again and again."""
    last, end = data.rindex(b"\xff\xda"), data.rindex(b"\xff\xd9")
    return data[:end] + data[last:end] * count + data[end:]


def begun_by(data: bytes, prefix: bytes) -> bytes:
    """A JPEG with something behind its first marker."""
    return data[:2] + prefix + data[2:]


def elements(count: int) -> bytes:
    """A film with so many private elements before its pixels."""
    data = film(bits=12)
    pixels = data.index(struct.pack("<HH", 0x7FE0, 0x0010))
    many = b"".join(
        struct.pack("<HH2sH", 0x0029 + 2 * (number >> 16), number & 0xFFFF, b"LO", 0)
        for number in range(count)
    )
    return data[:pixels] + many + data[pixels:]


def nested_elements(count: int) -> bytes:
    """The same, inside an item of a private sequence of undefined length."""
    data = film(bits=12)
    pixels = data.index(struct.pack("<HH", 0x7FE0, 0x0010))
    undefined = 0xFFFFFFFF
    many = struct.pack("<HH2sH", 0x0029, 0x1001, b"LO", 0) * count
    item = struct.pack("<HHL", 0xFFFE, 0xE000, undefined) + many
    item += struct.pack("<HHL", 0xFFFE, 0xE00D, 0) + struct.pack("<HHL", 0xFFFE, 0xE0DD, 0)
    sequence = struct.pack("<HH2sHL", 0x0029, 0x1000, b"SQ", 0, undefined) + item
    return data[:pixels] + sequence + data[pixels:]


def rle_of_nothing(size: int) -> bytes:
    stream = ENCODERS[dicoms.RLE](LEVELS, 12)
    offset = struct.unpack_from("<L", stream, 8)[0] + size
    head = stream[:8] + struct.pack("<L", offset) + stream[12:64]
    return with_code_stream(head + b"\x80" * size + stream[64:], LEVELS, 12, dicoms.RLE)


def lossless(prefix: bytes) -> bytes:
    stream = begun_by(ENCODERS[dicoms.JPEG_LOSSLESS_SV1](LEVELS, 12), prefix)
    return with_code_stream(stream, LEVELS, 12, dicoms.JPEG_LOSSLESS_SV1)


COMMENT = b"\xff\xfe\0\2"
LONG: dict[str, Callable[[], bytes]] = {
    "JPEG of 20,000 scans": lambda: scans_of(jpeg(progressive=True), 20_000),
    "JPEG of fill bytes": lambda: begun_by(jpeg(), b"\xff" * 10_000_000),
    "JPEG of empty comments": lambda: begun_by(jpeg(), COMMENT * 2_000_000),
    "PNG of empty chunks": lambda: png()[:33] + png_chunk(b"teXt", b"") * 1_000_000 + png()[33:],
    "DICOM of 3 million elements": lambda: elements(3_000_000),
    "DICOM of 3 million elements in an item": lambda: nested_elements(3_000_000),
    "DICOM of tiny fragments": lambda: with_fragments(
        [b"xx"] * 150_000, LEVELS, 12, dicoms.JPEG_LS
    ),
    "RLE of 24 million times nothing": lambda: rle_of_nothing(24_000_000),
    "JPEG lossless of scans": lambda: lossless(b"\xff\xda" * 101),
}


@pytest.mark.parametrize("make", LONG.values(), ids=LONG)
def test_what_would_take_minutes_is_refused_at_once(make: Callable[[], bytes]) -> None:
    data = make()
    began = time.process_time()
    with pytest.raises(ImageError) as caught:
        decode(data, "")
    assert caught.value.reason is Reason.TOO_LARGE
    assert time.process_time() - began < SECONDS


ENOUGH: dict[str, Callable[[], bytes]] = {
    "JPEG of 80 scans": lambda: scans_of(jpeg(progressive=True), 70),
    "JPEG of 1,000 comments": lambda: begun_by(jpeg(), COMMENT * 1000),
    "PNG of 10,000 chunks": lambda: png()[:33] + png_chunk(b"teXt", b"") * 10_000 + png()[33:],
    "DICOM of 20,000 elements": lambda: elements(20_000),
    "RLE of 10,000 times nothing": lambda: rle_of_nothing(10_000),
}


@pytest.mark.parametrize("make", ENOUGH.values(), ids=ENOUGH)
def test_what_a_film_may_have_is_decoded(make: Callable[[], bytes]) -> None:
    assert decode(make(), "").pixels.size
