"""Pixel Data to samples: the one frame is there from its first byte to its last, or refused."""

from __future__ import annotations

import math
import struct
from dataclasses import dataclass

import numpy as np

from cxr_edge.errors import ImageError
from cxr_edge.images.dicom_codecs import ImagePixel, Words
from cxr_edge.images.dicom_header import UNDEFINED_LENGTH, Header
from cxr_edge.images.tail import MAX_PARTS, check_tail
from cxr_edge.types import InputWarning, Reason

_ITEM = 0xE000FFFE  # as the two little-endian words of a tag read at once
_SEQUENCE_DELIMITER = 0xE0DDFFFE
_PADDING = 2  # bytes
_CODE_STREAM_STARTS = (b"\xff\xd8\xff", b"\xff\x4f\xff\x51")
_JP2 = b"\x00\x00\x00\x0cjP  "
_RLE_SEGMENTS, _RLE_FIRST = 15, 64
_PIXELS_AT_ONCE = 2**20  # they are widened while they are compared
_COLOUR_NOISE = 8  # levels of 8 bits: what conversion to YBR and lossy compression add


@dataclass(frozen=True)
class Samples:
    """The one frame.

    Attributes:
        words: unsigned [rows, columns], unused bits and all.
        warnings: what reading it noticed.
        reduction: how many samples of the film, each way, became one of these.
    """

    words: Words
    warnings: tuple[InputWarning, ...] = ()
    reduction: int = 1


def samples(data: bytes, header: Header, image: ImagePixel, reduction: int = 1) -> Samples:
    """Read the stored samples.

    Args:
        data: the whole file.
        header: its facts.
        image: those of its pixels.
        reduction: how many samples, each way, may become one; the damage in what is left out may
            not be seen.

    Raises:
        ImageError: cut off, damaged, coloured, or more than one frame.
    """
    syntax, by = header.syntax, 1
    if syntax.decode is None:
        return _native(data, header, image)
    if header.pixels_length != UNDEFINED_LENGTH:
        raise ImageError(Reason.CORRUPT, "compressed pixels that are not encapsulated")
    frame, odd = _frame(data, header.pixels_at)
    if frame.startswith(_JP2):  # the code stream in a file of its own
        frame, odd = frame[max(frame.find(_CODE_STREAM_STARTS[1]), 0) :], True
    if syntax.decode_reduced is not None and reduction > 1:
        words, by = syntax.decode_reduced(frame, image, reduction)
    else:
        words = syntax.decode(frame, image)
    if image.samples > 1:
        words = _grey(words, image, may_be_ybr=True)
    words = words.reshape(-(-image.rows // by), -(-image.columns // by))
    return Samples(words, (InputWarning.NONCONFORMING,) if odd else (), by)


def _grey(words: Words, image: ImagePixel, *, may_be_ybr: bool) -> Words:
    """The one channel of an image whose three are the same, or whose two for colour say of none.

    A decoder may give out planes, or YBR whatever the header says: neither matters to a grey image.
    Of a smooth film even neighbours are much the same; those that belong together are more so.
    """
    noise = _COLOUR_NOISE << (image.bits_stored - 8)
    neutrals = (None, 1 << (image.bits_stored - 1)) if may_be_ybr else (None,)
    readings = [
        (_colour(colours, neutral, noise), colours)
        for neutral in neutrals
        for colours in (words.reshape(-1, 3), words.reshape(3, -1).T)
    ]
    least, colours = min(readings, key=lambda reading: reading[0])
    if least == math.inf:
        raise ImageError(Reason.COLOUR_SPACE, "coloured")
    return np.ascontiguousarray(colours[:, 0])


def _colour(colours: Words, neutral: int | None, noise: int) -> float:
    """The sum by which two channels differ from the first one, or from neutral.

    Infinite where a pixel does by more than the noise.
    """
    total = 0
    for start in range(0, len(colours), _PIXELS_AT_ONCE):
        levels = colours[start : start + _PIXELS_AT_ONCE].astype(np.int32)
        differences = np.abs(levels[:, 1:] - (levels[:, :1] if neutral is None else neutral))
        if differences.max() > noise:
            return math.inf
        total += int(differences.sum())
    return total


def _native_grey(data: bytes, header: Header, image: ImagePixel) -> Samples:
    """The same of plain samples, which are as the header has them."""
    pixels, position = image.rows * image.columns, header.pixels_at
    kind = np.dtype(f"{'<' if header.syntax.is_little_endian else '>'}u{image.bits_allocated // 8}")
    halved = image.photometric == "YBRFULL422"
    count = pixels * (2 if halved else 3)
    if header.pixels_length == UNDEFINED_LENGTH or count % 4 * halved:
        raise ImageError(Reason.COLOUR_SPACE, "coloured")
    if not 0 <= header.pixels_length - count * kind.itemsize <= _PADDING:
        raise ImageError(Reason.COLOUR_SPACE, "not three samples a pixel")
    if position + header.pixels_length > len(data):
        raise ImageError(Reason.TRUNCATED, "the pixels are cut off")
    words = np.frombuffer(data, kind, count, position)
    if halved:
        pairs = words.reshape(-1, 4)  # two of brightness, then two for colour
        words = np.stack([pairs[:, :2].ravel(), *np.repeat(pairs[:, 2:], 2, axis=0).T])
    grey = _grey(words.ravel(), image, may_be_ybr=image.photometric != "RGB")
    levels = grey.reshape(image.rows, image.columns)
    return Samples(levels, _tail(levels, data, header))


def _tail(levels: Words, data: bytes, header: Header) -> tuple[InputWarning, ...]:
    """A warning where the film may end before its end; none where something stands behind it."""
    if data[header.pixels_at + header.pixels_length :].strip(b"\0"):
        return ()
    return check_tail(levels)


def _native(data: bytes, header: Header, image: ImagePixel) -> Samples:
    if image.samples > 1:
        return _native_grey(data, header, image)
    size = image.rows * image.columns * image.bits_allocated // 8
    if header.pixels_length == UNDEFINED_LENGTH:
        raise ImageError(Reason.CORRUPT, "fragments in a syntax without compression")
    if header.pixels_at + header.pixels_length > len(data):
        raise ImageError(Reason.TRUNCATED, "the pixels are cut off")
    padding = data[header.pixels_at + size : header.pixels_at + header.pixels_length]
    surplus = header.pixels_length - size
    # Some writers pad an even length as well, to whole words or blocks of their own (PS3.5 8.1.1).
    if surplus < 0 or (surplus != size % 2 and padding.strip(b"\0")):
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
    padded = (InputWarning.NONCONFORMING,) if surplus > _PADDING else ()
    return Samples(levels, (*padded, *_tail(levels, data, header)))


def _frame(data: bytes, position: int) -> tuple[bytes, bool]:
    """The fragments of the one frame put together (PS3.5 A.4).

    Returns:
        the frame, and whether the table before it has offsets of more.
    """
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
    if any(map(_begins_a_frame, rest)):
        raise ImageError(Reason.MULTI_FRAME, "more than one frame")
    return b"".join((first, *rest)) if rest else first, len(offsets) > 4


def _begins_a_frame(fragment: bytes) -> bool:
    """A code stream, or the header of RLE segments (PS3.5 annex G)."""
    if fragment.startswith(_CODE_STREAM_STARTS):
        return True
    if len(fragment) < _RLE_FIRST:
        return False
    count, first = struct.unpack_from("<LL", fragment)
    return bool(1 <= count <= _RLE_SEGMENTS and first == _RLE_FIRST)
