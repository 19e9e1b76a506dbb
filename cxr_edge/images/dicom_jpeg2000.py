"""JPEG 2000 and High-Throughput JPEG 2000 through the OpenJPEG that comes with Pillow.

Such a code stream holds the film several times, each half as wide and high as the next. A network
needs few pixels: what is finer than they are is left undecoded, which is most of the work.
"""

from __future__ import annotations

import io
import struct

import numpy as np
from PIL import ImageFile

from cxr_edge.errors import ImageError
from cxr_edge.images.dicom_codecs import (
    END,
    CodeStream,
    ImagePixel,
    Words,
    checked,
    words_of,
)
from cxr_edge.images.tail import MAX_PARTS
from cxr_edge.types import Reason

_SIZ = b"\xff\x4f\xff\x51"
_START_OF_TILE, _START_OF_DATA = b"\xff\x90", b"\xff\x93"
_CODING_STYLE = b"\xff\x52"
_OF_A_COMPONENT = b"\xff\x53"
_PARTS = 16  # of a step between two samples
_TILE_HEADER = 12  # bytes, its marker with them


class _CodeStreamFile(ImageFile.ImageFile):
    """A bare code stream to Pillow, whose own plugin errs in the size of some reduced films.

    It rounds a half down that the standard rounds up (ITU-T T.800 B.5).
    """

    format = "JPEG2000"

    def __init__(self, stream: bytes, frame: CodeStream, halvings: int) -> None:
        self._frame, self._halvings, self._length = frame, halvings, len(stream)
        super().__init__(io.BytesIO(stream))

    def _open(self) -> None:
        shrunk = 2**self._halvings
        self._size = (-(-self._frame.columns // shrunk), -(-self._frame.rows // shrunk))
        self._mode = "RGB" if self._frame.components == 3 else self._grey_mode()
        all_layers, no_file = 0, -1
        arguments = ("j2k", self._halvings, all_layers, no_file, self._length)
        self.tile = [ImageFile._Tile("jpeg2k", (0, 0, *self._size), 0, arguments)]

    def _grey_mode(self) -> str:
        return "L" if self._frame.precision <= 8 else "I;16"


def openjpeg(stream: bytes, image: ImagePixel, *, is_lossy: bool = False) -> Words:
    """All samples of the film."""
    words, _ = openjpeg_reduced(stream, image, 1, is_lossy=is_lossy)
    return words


def openjpeg_reduced(
    stream: bytes, image: ImagePixel, reduction: int, *, is_lossy: bool = False
) -> tuple[Words, int]:
    """The film as the stream has it at a half, a quarter or an eighth.

    Damage in what is finer than that is not seen, as far as marker and lengths are right.

    Args:
        stream: the frame.
        image: the header's facts.
        reduction: how many pixels, each way, may become one; a power of two.
        is_lossy: whether samples may swing over.

    Returns:
        flat samples, and by how much they are reduced, which may be less.
    """
    stream = _up_to_end(stream)
    frame = _frame(stream)
    precision = checked(frame, stream, image)
    halvings = _halvings(stream, reduction.bit_length() - 1)
    with _CodeStreamFile(stream, frame, halvings) as film:
        film.load()
        samples = np.asarray(film)
    words = _as_stored(_centred(samples, halvings).ravel(), frame)
    return words_of(words, precision, image, is_lossy=is_lossy), 2**halvings


def _centred(samples: Words, halvings: int) -> Words:
    """Samples where the middles of squares are.

    A stream keeps every other sample, filtered (ITU-T T.800 F.3), so that of a film at a quarter
    the first one stands for a place one and a half samples before the middle of the first square:
    an eighth of a pixel of the network's input, by which it would see the film shifted.
    """
    if halvings == 0:
        return samples
    further = _PARTS // 2 - _PARTS // 2 ** (1 + halvings)  # of a step
    levels = samples.astype(np.uint32)
    for _ in range(2):
        after = np.concatenate((levels[1:], levels[-1:]))
        levels = (levels * (_PARTS - further) + after * further).T
    # Down, because a lossless stream has rounded up: by half a level at each halving.
    return (levels // _PARTS**2).astype(samples.dtype)


def _as_stored(samples: Words, frame: CodeStream) -> Words:
    """Undo what Pillow does: it fills 8 or 16 bits from above, and counts from the lowest.

    Of colours it keeps eight bits, which is what a page has of them.
    """
    surplus = 8 * samples.itemsize - frame.precision
    if surplus < 0:
        words = samples.astype("<u2") << np.uint16(-surplus)
    else:
        words = samples >> samples.dtype.type(surplus)
    if frame.is_signed:
        words = words - words.dtype.type(2 ** (frame.precision - 1))
    return words


def _up_to_end(stream: bytes) -> bytes:
    """A stream without padding or what a maker put behind its end.

    Packets hold no marker (B.10.1). A last tile may have no length (A.4.2), and then goes up to
    there.
    """
    end = stream.rfind(END)
    return stream if end < 0 else stream[: end + len(END)]


def _frame(stream: bytes) -> CodeStream:
    """The SIZ segment (ITU-T T.800 A.5.1) of a bare code stream."""
    if not stream.startswith(_SIZ):
        raise ImageError(Reason.CORRUPT, "not a JPEG 2000 code stream")
    right, bottom, left, top = struct.unpack_from(">4L", stream, 8)
    components, depth = struct.unpack_from(">HB", stream, 40)
    steps = stream[42 : 42 + 3 * components]
    if steps[1::3].strip(b"\1") or steps[2::3].strip(b"\1"):
        raise ImageError(Reason.CORRUPT, "components of several sizes")
    signed = bool(depth & 0x80)
    return CodeStream(bottom - top, right - left, components, (depth & 0x7F) + 1, signed)


def _halvings(stream: bytes, most: int) -> int:
    """Number of times that all of the film can be halved, after a look at all of its tiles."""
    first, there = _main_header(stream)
    if not _check_tiles(stream, first) or struct.unpack_from(">2L", stream, 16) != (0, 0):
        return 0
    halvings = min(most, there)
    while halvings and not _is_in_every_tile(stream, halvings):
        halvings -= 1
    return halvings


def _is_in_every_tile(stream: bytes, halvings: int) -> bool:
    """Whether a sample is left of each: OpenJPEG takes a tile without any for a damaged one."""
    ends, sizes, starts = (struct.unpack_from(">2L", stream, at) for at in (8, 24, 32))
    for end, size, start in zip(ends, sizes, starts, strict=True):
        last = end - 1 - (end - 1 - start) % size
        if size < 2**halvings or -(-last >> halvings) == -(-end >> halvings):
            return False
    return True


def _main_header(stream: bytes) -> tuple[int, int]:
    """Offset of the first tile, and how often a tile is halved if it does not say otherwise."""
    position, halvings, is_usual = 2, 0, True
    while (marker := stream[position : position + 2]) != _START_OF_TILE:
        if marker == _CODING_STYLE:
            halvings = stream[position + 9]
        is_usual &= marker != _OF_A_COMPONENT
        position += 2 + struct.unpack_from(">H", stream, position + 2)[0]
    return position, halvings if is_usual else 0


def _check_tiles(stream: bytes, position: int) -> bool:
    """Every tile has its parts (ITU-T T.800 A.4.2): OpenJPEG leaves one without any black.

    Returns:
        whether none says anything of its own.
    """
    right, bottom, _, _, width, height, left, top = struct.unpack_from(">8L", stream, 8)
    tiles = -(-(right - left) // width) * -(-(bottom - top) // height)
    there: dict[int, int] = {}
    stated: dict[int, int] = {}
    is_usual = True
    for _ in range(MAX_PARTS + 1):
        if stream[position : position + 2] != _START_OF_TILE:
            break
        tile, length, _, count = struct.unpack_from(">HLBB", stream, position + 4)
        there[tile] = there.get(tile, 0) + 1
        stated[tile] = count or stated.get(tile, 0)  # 0: another part says it
        behind = position + _TILE_HEADER
        is_usual &= stream[behind : behind + 2] == _START_OF_DATA
        position += length or len(stream)  # 0: the last one, up to the end
    else:
        raise ImageError(Reason.TOO_LARGE, f"JPEG 2000 of more than {MAX_PARTS} parts")
    if len(there) != tiles:
        raise ImageError(Reason.TRUNCATED, f"{tiles - len(there)} tiles are missing")
    if any(there[tile] < count for tile, count in stated.items()):
        raise ImageError(Reason.TRUNCATED, "parts of a tile are missing")
    return is_usual
