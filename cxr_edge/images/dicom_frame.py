"""Pixel Data to samples: the one frame is there from its first byte to its last, or refused."""

from __future__ import annotations

import struct

import numpy as np

from cxr_edge.errors import ImageError
from cxr_edge.images.dicom_codecs import ImagePixel, Words
from cxr_edge.images.dicom_header import UNDEFINED_LENGTH, Header
from cxr_edge.images.tail import MAX_PARTS, check_tail
from cxr_edge.types import Reason

_ITEM = 0xE000FFFE  # as the two little-endian words of a tag read at once
_SEQUENCE_DELIMITER = 0xE0DDFFFE
_PADDING = 2  # bytes
_CODE_STREAM_STARTS = (b"\xff\xd8\xff", b"\xff\x4f\xff\x51")


def samples(data: bytes, header: Header, image: ImagePixel) -> Words:
    """The stored samples as unsigned words [rows, columns], unused bits and all.

    Raises:
        ImageError: cut off, damaged, or more than one frame.
    """
    if header.syntax.decode is None:
        return _native(data, header, image)
    if header.pixels_length != UNDEFINED_LENGTH:
        raise ImageError(Reason.CORRUPT, "compressed pixels that are not encapsulated")
    words = header.syntax.decode(_frame(data, header.pixels_at), image)
    return words.reshape(image.rows, image.columns)


def _native(data: bytes, header: Header, image: ImagePixel) -> Words:
    size = image.rows * image.columns * image.bits_allocated // 8
    if header.pixels_length == UNDEFINED_LENGTH:
        raise ImageError(Reason.CORRUPT, "fragments in a syntax without compression")
    if header.pixels_at + header.pixels_length > len(data):
        raise ImageError(Reason.TRUNCATED, "the pixels are cut off")
    padding = data[header.pixels_at + size : header.pixels_at + header.pixels_length]
    surplus = header.pixels_length - size
    # Some writers pad an even length as well, to whole words of their own.
    if surplus != size % 2 and (not 0 <= surplus <= _PADDING or any(padding)):
        raise ImageError(Reason.CORRUPT, f"{header.pixels_length} bytes of pixels, not {size}")
    order = "<" if header.syntax.is_little_endian else ">"
    if image.bits_allocated == 8 and order == ">" and header.pixels_vr == "OW":
        words = np.frombuffer(data, ">u2", (size + 1) // 2, header.pixels_at)
        words = words.astype("<u2").view("u1")[:size]
    else:
        words = np.frombuffer(
            data,
            f"{order}u{image.bits_allocated // 8}",
            image.rows * image.columns,
            header.pixels_at,
        )
    levels = words.reshape(image.rows, image.columns)
    check_tail(levels)
    return levels


def _frame(data: bytes, position: int) -> bytes:
    """The fragments of the one frame put together (PS3.5 A.4)."""
    fragments: list[bytes] = []
    while True:
        tag, length = struct.unpack_from("<LL", data, position)
        position += 8
        if tag == _SEQUENCE_DELIMITER:
            break
        if tag != _ITEM or length == UNDEFINED_LENGTH:
            reason = Reason.CORRUPT if tag else Reason.TRUNCATED
            raise ImageError(reason, "something else in place of a fragment")
        if position + length > len(data):
            raise ImageError(Reason.TRUNCATED, "a fragment is cut off")
        if len(fragments) > MAX_PARTS:
            raise ImageError(Reason.TOO_LARGE, f"more than {MAX_PARTS} fragments")
        fragments.append(data[position : position + length])
        position += length
    if len(fragments) < 2 or not fragments[1]:
        raise ImageError(Reason.NO_PIXEL_DATA, "no fragments")
    offsets, first, *rest = fragments
    if len(offsets) > 4 or any(item.startswith(_CODE_STREAM_STARTS) for item in rest):
        raise ImageError(Reason.MULTI_FRAME, "more than one frame")
    return b"".join((first, *rest)) if rest else first
