"""One compressed frame to samples. A code stream must state the size that the header states.

Samples come back as unsigned words: two's complement where they are signed.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import struct
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from cxr_edge.errors import ImageError
from cxr_edge.images.jpeg import end_of_image
from cxr_edge.images.tail import MAX_PARTS, check_effort
from cxr_edge.types import Reason

Words = NDArray[np.unsignedinteger[Any]]

END = b"\xff\xd9"  # EOI of JPEG and JPEG-LS, EOC of JPEG 2000
_START_OF_SCAN = b"\xff\xda"
_LOSSY_FRAME = {0xC0, 0xC1, 0xC2}  # baseline, extended, progressive
_START_OF_FRAME = _LOSSY_FRAME | {0xC3, 0xF7}  # lossless, JPEG-LS
# Tables, restart interval, JPEG-LS parameters, applications, comment.
_SEGMENTS = _START_OF_FRAME | {0xC4, 0xDB, 0xDD, 0xF8, *range(0xE0, 0xF0), 0xFE}
_RLE_HEADER = 64
_LONGEST_RUN = 128  # bytes that one command of RLE unpacks to
_LAST_RUN = bytes((_LONGEST_RUN - 1, *range(_LONGEST_RUN)))  # as they stand, no two alike
# GDCM tries its 16-bit decoder first, then decodes correctly (python-gdcm issue 35).
_NO_COMPLAINT = b"Unsupported JPEG data precision 12\n"
_SWING = 4  # a quarter of the range: checkerboards of 12 bits at a poor 26 dB take a fifth
_CODECS = threading.Lock()


@dataclass(frozen=True)
class ImagePixel:
    """The Image Pixel module (PS3.3 C.7.6.3).

    Attributes:
        photometric: without its spaces and underscores.
        samples: per pixel; 3 of a grey image that is stored as colours.
    """

    rows: int
    columns: int
    bits_allocated: int
    bits_stored: int
    high_bit: int
    is_signed: bool
    photometric: str
    samples: int = 1


@dataclass(frozen=True)
class CodeStream:
    """Facts from a code stream's own header; JPEG and JPEG-LS say nothing of a sign."""

    rows: int
    columns: int
    components: int
    precision: int
    is_signed: bool | None = None


def gdcm_jpeg(stream: bytes, image: ImagePixel, *, is_lossy: bool = False) -> Words:
    """JPEG of 8 to 16 bits, lossy and lossless, through GDCM.

    pydicom's own plugin for GDCM refuses 12-bit lossy JPEG, which GDCM decodes.
    """
    import gdcm

    stream = _without_surplus(stream)
    precision = checked(_jpeg_frame(stream), stream, image)
    fragment = gdcm.Fragment()
    fragment.SetByteStringValue(stream)
    fragments = gdcm.SequenceOfFragments.New()  # to be kept while its element is in use
    fragments.AddFragment(fragment)
    element = gdcm.DataElement(gdcm.Tag(0x7FE0, 0x0010))
    element.SetValue(fragments.__ref__())
    decoded = gdcm.DataElement(gdcm.Tag(0x7FE0, 0x0010))
    codec = _gdcm_codec(precision, image)
    with _heeding_complaints():
        is_decoded = codec.Decode(element, decoded)
    if not is_decoded:
        raise ImageError(Reason.CORRUPT, "JPEG cannot be decoded")
    size = image.rows * image.columns * image.samples * (1 if precision <= 8 else 2)
    return words_of(_content(decoded, size), precision, image, is_lossy=is_lossy)


def _gdcm_codec(precision: int, image: ImagePixel) -> Any:
    """GDCM's decoder, told what the header says."""
    import gdcm

    kinds = gdcm.PhotometricInterpretation
    kind = kinds.MONOCHROME2 if image.samples == 1 else kinds.RGB
    bits = 8 if precision <= 8 else 16
    pixel = gdcm.PixelFormat(image.samples, bits, precision, precision - 1, image.is_signed)
    codec = gdcm.JPEGCodec()
    codec.SetNumberOfDimensions(2)
    codec.SetDimensions((image.columns, image.rows, 1))
    codec.SetPlanarConfiguration(0)
    codec.SetPhotometricInterpretation(kinds(kind))
    codec.SetPixelFormat(pixel)
    return codec


def _content(element: Any, size: int) -> NDArray[np.uint8]:
    """A copy of the bytes of an element of GDCM, which may be padded to an even number.

    From where they lie: GDCM's wrapper would give them out as a text, of which some letters are
    bytes, and that takes longer than to decode most films.
    """
    value = element.GetByteValue()
    length = 0 if value is None else int(str(value.GetLength()))
    if length not in (size, size + size % 2):
        raise ImageError(Reason.CORRUPT, "JPEG of another size than the header")
    return np.array(_Memory(int(value.GetVoidPointer()), size))


class _Memory:
    """Bytes at an address, to be copied while their owner lives."""

    def __init__(self, address: int, size: int) -> None:
        self.__array_interface__ = {
            "data": (address, True),
            "shape": (size,),
            "typestr": "|u1",
            "version": 3,
        }


def charls(stream: bytes, image: ImagePixel, *, is_lossy: bool = False) -> Words:
    """JPEG-LS, lossless and near-lossless, through CharLS."""
    import jpeg_ls

    stream = _without_surplus(stream)
    precision = checked(_jpeg_frame(stream), stream, image)
    with _heeding_complaints():
        decoded, _ = jpeg_ls.decode_pixel_data(stream)
    return words_of(decoded, precision, image, is_lossy=is_lossy)


def rle(stream: bytes, image: ImagePixel) -> Words:
    """RLE (PS3.5 annex G): a segment a byte of the samples, the most significant one first.

    pydicom's decoder cuts off what is too much for the header's size; here nothing may be left.
    """
    size, count = image.rows * image.columns, image.samples * image.bits_allocated // 8
    header = struct.unpack_from("<16L", stream)
    offsets = [*header[1 : 1 + count], len(stream)]
    if header[0] != count or offsets[0] != _RLE_HEADER or offsets != sorted(set(offsets)):
        raise ImageError(Reason.CORRUPT, "RLE header")
    planes = np.empty((size, count), np.uint8)
    for plane, (start, end) in enumerate(itertools.pairwise(offsets)):
        planes[:, plane] = _unpack_bits(stream[start:end], size)
    return planes.view(f">u{image.bits_allocated // 8}")


def _unpack_bits(segment: bytes, size: int) -> NDArray[np.uint8]:
    """Unpack `size` bytes of a segment, after which it holds nothing but padding."""
    if len(segment) > 2 * size + MAX_PARTS:  # two for each byte are the most that is of use
        raise ImageError(Reason.TOO_LARGE, "RLE that unpacks to next to nothing")
    unpacked = _unpacked_at_once(segment, size)
    return _unpacked_after_walk(segment, size) if unpacked is None else unpacked


def _unpacked_at_once(segment: bytes, size: int) -> NDArray[np.uint8] | None:
    """The same for a segment that has at most one byte of padding; None for any other.

    Pillow's decoder does not say what it drops at the end of a row. So its row is longer, by as
    much as a run can be, and the segment must leave room for exactly one run that is put behind.
    """
    row = Image.new("L", (size + _LONGEST_RUN, 1), None)  # written whole, or not looked at
    decoder = Image._getdecoder("L", "packbits", ("L",))
    decoder.setimage(row.im, (0, 0, *row.size))
    read, _ = decoder.decode(segment)
    is_at_end = read == len(segment) or (read == len(segment) - 1 and segment.endswith(b"\0"))
    # A negative number of bytes says that the row is full.
    if not is_at_end or decoder.decode(_LAST_RUN)[0] >= 0:
        return None
    unpacked = np.asarray(row, np.uint8).ravel()
    return unpacked[:size] if unpacked[size:].tobytes() == _LAST_RUN[1:] else None


def _unpacked_after_walk(segment: bytes, size: int) -> NDArray[np.uint8]:
    """The same for any segment, which takes ten times as long."""
    unpacked, position, nothings = 0, 0, 0
    length = len(segment)
    while unpacked < size and position < length:
        control = segment[position]
        if control < 128:
            unpacked += control + 1
            position += 2 + control
        elif control > 128:
            unpacked += 257 - control
            position += 2
        else:  # nothing
            position += 1
            nothings += 1
            if nothings > MAX_PARTS:
                raise ImageError(Reason.TOO_LARGE, "RLE that unpacks to next to nothing")
    if unpacked != size or position > length or segment[position:].strip(b"\0\x80"):
        raise ImageError(Reason.CORRUPT, "an RLE segment of another size than the header")
    unpacked_row = Image.frombytes("L", (size, 1), segment, "packbits", "L")
    return np.asarray(unpacked_row, np.uint8).ravel()


def checked(frame: CodeStream, stream: bytes, image: ImagePixel) -> int:
    """Bits of precision of a code stream that is whole and of the size that the header states.

    Often they are those allocated, not those stored. Signed samples of any other precision would
    need their sign extended, and what the writer meant is not known.
    """
    if not has_end(stream):
        raise ImageError(Reason.TRUNCATED, "no end marker")
    if (frame.rows, frame.columns, frame.components) != (image.rows, image.columns, image.samples):
        raise ImageError(Reason.CORRUPT, "the code stream has another size than the header")
    if image.high_bit != image.bits_stored - 1:
        raise ImageError(Reason.PIXEL_TYPE, f"high bit {image.high_bit} of compressed samples")
    if frame.is_signed not in (None, image.is_signed):
        raise ImageError(Reason.PIXEL_TYPE, "the code stream has another sign than the header")
    expected = (image.bits_stored, image.bits_allocated)
    if frame.precision > image.bits_allocated or (
        image.is_signed and frame.precision not in expected
    ):
        raise ImageError(Reason.PIXEL_TYPE, f"code stream of {frame.precision} bits")
    return frame.precision


def has_end(stream: bytes) -> bool:
    """Whether a stream ends in its end marker, padded to an even length."""
    return stream[-16:].rstrip(b"\0\xff").endswith(END)


def _without_surplus(stream: bytes) -> bytes:
    """A JPEG without what a maker put behind its end."""
    return stream if has_end(stream) else stream[: end_of_image(stream) or None]


def _jpeg_frame(stream: bytes) -> CodeStream:
    """The frame header of JPEG (ITU-T T.81 B.2.2) or JPEG-LS (ITU-T T.87 C.2.2).

    Anything but well-formed segments up to the first scan is refused: GDCM would end the process.
    """
    check_effort(stream)
    position, frame = 2, None
    while stream[position : position + 2] != _START_OF_SCAN:
        start, marker, length = struct.unpack_from(">BBH", stream, position)
        if start == marker == 0xFF:  # a fill byte (B.1.1.2)
            position += 1
            continue
        if start != 0xFF or marker not in _SEGMENTS:
            raise ImageError(Reason.CORRUPT, "JPEG header")
        if marker in _START_OF_FRAME:
            precision, rows, columns, count = struct.unpack_from(">BHHB", stream, position + 4)
            frame = CodeStream(rows, columns, count, precision)
            if marker in _LOSSY_FRAME and precision not in (8, 12):  # GDCM writes 16, and errs
                raise ImageError(Reason.PIXEL_TYPE, f"lossy JPEG of {precision} bits")
        position += 2 + length
    if frame is None:
        raise ImageError(Reason.CORRUPT, "JPEG without a frame header")
    return frame


def words_of(
    decoded: bytes | bytearray | Words, precision: int, image: ImagePixel, *, is_lossy: bool
) -> Words:
    """Flat samples, none of them outside what the header says is stored.

    Lossy compression swings over at an edge between black and white: clipped, as its decoders do
    at the bits of the code stream. More than that is a header that is wrong.
    """
    words = np.frombuffer(decoded, "u1" if precision <= 8 else "<u2")
    if precision == image.bits_stored:
        return words
    lowest, highest = 0, 2**image.bits_stored - 1
    if image.is_signed:
        lowest, highest = -(2 ** (image.bits_stored - 1)), 2 ** (image.bits_stored - 1) - 1
    samples = words.view(f"i{words.itemsize}") if image.is_signed else words
    least, most = int(samples.min()), int(samples.max())
    if lowest <= least <= most <= highest:
        return words
    swing = (highest - lowest) // _SWING if is_lossy else 0
    if least < lowest - swing or most > highest + swing:
        raise ImageError(Reason.CORRUPT, f"a sample of more than {image.bits_stored} bits")
    return samples.clip(lowest, highest).view(words.dtype)


@contextlib.contextmanager
def _heeding_complaints() -> Iterator[None]:
    """Refuse what a codec complains about: C libraries print on standard error and go on.

    One frame at a time, for file descriptor 2 belongs to the whole process. Into a pipe: a decoder
    process may not write a file, and what a pipe does not hold is not needed.
    """
    with _CODECS:
        listen, write = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        kept = os.dup(2)
        os.dup2(write, 2)
        try:
            yield
        finally:
            os.dup2(kept, 2)
            os.close(kept)
            os.close(write)
            with os.fdopen(listen, "rb") as stream:
                complaint = stream.read()
        if complaint.replace(_NO_COMPLAINT, b""):
            raise ImageError(Reason.CORRUPT, "the code stream is damaged")
