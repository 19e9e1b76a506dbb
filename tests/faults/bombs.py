"""Small files that claim or unfold to something huge, or lead a reader in circles."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np

from tests.images import dicoms
from tests.images.dicoms import film as dicom
from tests.images.dicoms import header, levels_of, with_code_stream, written
from tests.images.films import jpeg, png, png_chunk, raw_png, raw_tiff, scene, tiff

_MEGABYTES = 300  # unfolded
_LEVELS = levels_of(12)


@cache
def zeros(megabytes: int) -> bytes:
    """A zlib stream a thousand times smaller than what it holds."""
    packer = zlib.compressobj(9)
    megabyte = bytes(2**20)
    return b"".join(packer.compress(megabyte) for _ in range(megabytes)) + packer.flush()


def png_with(extra: bytes, width: int = 64, height: int = 48) -> bytes:
    """A PNG by hand, its pixels right for 64 x 48."""
    return raw_png(width, height, (8, 0), bytes(65 * 48), extra)


def png_of(side: int, depth: tuple[int, int], packed: bytes) -> bytes:
    """A square PNG around packed pixels."""
    frame = struct.pack(">IIBBBBB", side, side, *depth, 0, 0, 0)
    chunks = png_chunk(b"IHDR", frame) + png_chunk(b"IDAT", packed) + png_chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + chunks


def png_claiming(kind: bytes, length: int) -> bytes:
    """A chunk that says that it is longer than the file."""
    data = png()
    return data[:33] + struct.pack(">I", length) + kind + data[41:]


def ifd(entries: list[tuple[int, int, int, int]], following: int = 0) -> bytes:
    """A TIFF whose first directory is this: tag, type, count, value or offset."""
    body = b"".join(struct.pack("<HHII", *entry) for entry in sorted(entries))
    return b"II*\0" + struct.pack("<IH", 8, len(entries)) + body + struct.pack("<I", following)


def tiff_of(width: int, height: int, *more: tuple[int, int, int, int]) -> bytes:
    """A directory for an 8-bit grey film, with some entries replaced."""
    plain = {
        256: (256, 4, 1, width),
        257: (257, 4, 1, height),
        258: (258, 3, 1, 8),
        259: (259, 3, 1, 1),
        262: (262, 3, 1, 1),
        273: (273, 4, 1, 8),
        277: (277, 3, 1, 1),
        278: (278, 4, 1, height),
        279: (279, 4, 1, width * height % 2**32),
    }
    return ifd(list({**plain, **{entry[0]: entry for entry in more}}.values())) + bytes(4096)


def tiff_of_strips(count: int) -> bytes:
    """A strip for every row, all at the same place."""
    numbers = len(tiff_of(64, count))
    head = tiff_of(
        64, count, (273, 4, count, numbers), (278, 4, 1, 1), (279, 4, count, numbers + 4 * count)
    )
    return head + struct.pack("<I", 8) * count + struct.pack("<I", 64) * count


def tiff_of_tags(count: int) -> bytes:
    """A directory of as many private tags as its counter can say."""
    entries = [(0x8000 + number % 0x7000, 4, 1, 0) for number in range(count)]
    return ifd(entries) + bytes(64)


def tiff_loop(next_at: int) -> bytes:
    """A directory that names itself, or nonsense, as the next one."""
    data = raw_tiff(scene())
    return data[:-4] + struct.pack("<I", next_at)


def jpeg_claiming(height: int, width: int, marker: bytes = b"\xff\xc0", **options: Any) -> bytes:
    """Another size in the frame header."""
    data = jpeg(**options)
    at = data.index(marker) + 5
    return data[:at] + struct.pack(">HH", height, width) + data[at + 4 :]


def jpeg_with(marker: bytes, body: bytes, times: int) -> bytes:
    """Segments in front of everything else, over and over."""
    data = jpeg()
    return data[:2] + (marker + struct.pack(">H", len(body) + 2) + body) * times + data[2:]


def nested(depth: int, *, closed: bool = True) -> bytes:
    """Sequences within sequences of undefined length in front of the film."""
    data = dicom()
    start = data.index(b"\x08\x00\x16\x00UI")
    opening = b"\x08\x00\x10\x11SQ\0\0\xff\xff\xff\xff" + b"\xfe\xff\0\xe0\xff\xff\xff\xff"
    closing = b"\xfe\xff\x0d\xe0\0\0\0\0" + b"\xfe\xff\xdd\xe0\0\0\0\0"
    return data[:start] + opening * depth + closing * (depth * closed) + data[start:]


def fragments(*lengths: int, body: bytes = b"") -> bytes:
    """Encapsulated pixels whose fragments say these lengths."""
    data = dicom(syntax=dicoms.RLE)
    start = data.rindex(b"\xe0\x7f\x10\x00O") + 12
    items = b"".join(b"\xfe\xff\0\xe0" + struct.pack("<I", length) for length in lengths)
    return data[:start] + items + body


def empty_fragments(count: int) -> bytes:
    """So many items without a byte."""
    return fragments(*[0] * count) + b"\xfe\xff\xdd\xe0" + bytes(4)


def jpeg_2000(at: int, value: bytes, **elements: Any) -> bytes:
    """A code stream with other numbers in its SIZ segment."""
    stream = dicoms.jpeg_2000_stream({}, _LEVELS, 12)
    edited = stream[:at] + value + stream[at + len(value) :]
    return with_code_stream(edited, _LEVELS, 12, dicoms.J2K_LOSSLESS, **elements)


def inside(syntax: str, marker: bytes, rows: int, columns: int) -> bytes:
    """Header and frame header agree on a size that is not there."""
    stream = dicoms.ENCODERS[syntax](_LEVELS, 12)
    at = stream.index(marker) + 5
    edited = stream[:at] + struct.pack(">HH", rows, columns) + stream[at + 4 :]
    return with_code_stream(edited, _LEVELS, 12, syntax, Rows=rows, Columns=columns)


def _halvings_at() -> int:
    """Where a code stream says how often it is halved (ITU-T T.800 A.6.1)."""
    return dicoms.jpeg_2000_stream({}, _LEVELS, 12).index(b"\xff\x52") + 9


def halved_for_ever(rows: int, columns: int) -> bytes:
    """The same of a film that is large enough to be reduced."""
    stream = bytearray(dicoms.jpeg_2000_stream({}, _LEVELS, 12))
    stream[_SIZ_SIZE : _SIZ_SIZE + 8] = struct.pack(">II", columns, rows)
    stream[_halvings_at()] = 255
    return with_code_stream(
        bytes(stream), _LEVELS, 12, dicoms.J2K_LOSSLESS, Rows=rows, Columns=columns
    )


def rle_claiming(rows: int, columns: int, times: int = 1) -> bytes:
    """Runs of zeros for a film a hundred times the file, and for more than the film."""
    segment = b"\x81\0" * (rows * columns // 128 * times + 1)
    head = struct.pack("<16L", 2, 64, 64 + len(segment), *[0] * 13)
    stream = head + segment * 2
    return with_code_stream(stream, _LEVELS, 12, dicoms.RLE, Rows=rows, Columns=columns)


def huge_lut(count: int) -> bytes:
    """A VOI LUT that says it has so many entries."""
    return dicom(VOILUTSequence=[dicoms.lut([1] * count, 0, 8)])


def lut_claiming(count: int) -> bytes:
    """A VOI LUT that says it has more entries than there are."""
    dataset = header(_LEVELS, 12)
    item = dicoms.lut([1, 2], 0, 8)
    item.LUTDescriptor = [count % 2**16, 0, 16]
    dataset.VOILUTSequence = [item]
    dataset.PixelData = _LEVELS.tobytes()
    return written(dataset)


_SIZ_SIZE, _SIZ_TILE = 8, 24

BOMBS: dict[str, Callable[[], bytes]] = {
    "png 20,000 x 20,000": lambda: png_of(20_000, (8, 0), zeros(382)),
    "png 6,001 x 6,001": lambda: png_of(6_001, (8, 0), zeros(35)),
    "png 6,001 x 6,001, 16 bit": lambda: png_of(6_001, (16, 0), zeros(69)),
    "png 6,001 x 6,001 rgba": lambda: png_of(6_001, (8, 6), zeros(138)),
    "png 2^31 wide": lambda: png_with(b"", 2**31 - 1, 1),
    "png 2^31 x 2^31": lambda: png_with(b"", 2**31 - 1, 2**31 - 1),
    "png text": lambda: png_with(png_chunk(b"zTXt", b"key\0\0" + zeros(_MEGABYTES))),
    "png international text": lambda: png_with(
        png_chunk(b"iTXt", b"key\0\1\0\0\0" + zeros(_MEGABYTES))
    ),
    "png many texts": lambda: png_with(png_chunk(b"zTXt", b"key\0\0" + zeros(1)) * 2_000),
    "png colour profile": lambda: png_with(png_chunk(b"iCCP", b"p\0\0" + zeros(_MEGABYTES))),
    "png pixels behind the last row": lambda: png_of(6_500, (8, 0), zeros(_MEGABYTES)),
    "png chunk of 4 GB": lambda: png_claiming(b"IDAT", 2**32 - 1),
    "png header of 2 GB": lambda: png_claiming(b"IHDR", 2**31 - 1),
    "png animation of 2^31 frames": lambda: png_with(
        png_chunk(b"acTL", struct.pack(">II", 2**31 - 1, 0))
    ),
    "tiff 2^32 wide": lambda: tiff_of(2**32 - 1, 1),
    "tiff 2^32 x 2^32": lambda: tiff_of(2**32 - 1, 2**32 - 1),
    "tiff 6,001 x 6,001": lambda: tiff_of(6_001, 6_001),
    "tiff 5,999 x 5,999 of nothing": lambda: tiff_of(5_999, 5_999),
    "tiff deflate 6,001 x 6,001": lambda: tiff_of(6_001, 6_001, (259, 3, 1, 8)),
    "tiff a million strips": lambda: tiff_of_strips(1_000_000),
    "tiff 2^32 strips": lambda: tiff_of(64, 48, (273, 4, 2**32 - 1, 8), (279, 4, 2**32 - 1, 8)),
    "tiff one row a strip of 36 million": lambda: tiff_of(1, 36_000_001, (278, 4, 1, 1)),
    "tiff 65,535 tags": lambda: tiff_of_tags(65_535),
    "tiff tag of 4 GB": lambda: tiff_of(64, 48, (0x8769, 1, 2**32 - 1, 8)),
    "tiff EXIF directory that is its own": lambda: tiff_of(64, 48, (0x8769, 4, 1, 8)),
    "tiff next directory is nowhere": lambda: tiff_loop(2**32 - 2),
    "tiff 65,535 samples": lambda: tiff_of(6_000, 6_000, (277, 3, 1, 65_535)),
    "tiff tiles of 2^31": lambda: tiff_of(
        64, 48, (322, 4, 1, 2**31), (323, 4, 1, 2**31), (324, 4, 1, 8), (325, 4, 1, 64)
    ),
    "tiff lzw of nothing": lambda: tiff_of(5_999, 5_999, (259, 3, 1, 5)),
    "tiff cut in its directory": lambda: tiff(compression="tiff_lzw")[:60],
    "jpeg 65,500 x 65,500": lambda: jpeg_claiming(65_500, 65_500),
    "jpeg 6,001 x 6,001": lambda: jpeg_claiming(6_001, 6_001),
    "jpeg progressive 65,500 x 65,500": lambda: jpeg_claiming(
        65_500, 65_500, b"\xff\xc2", progressive=True
    ),
    "jpeg height 0": lambda: jpeg_claiming(0, 64),
    "dicom 65,535 x 65,535": lambda: dicom(Rows=65_535, Columns=65_535),
    "dicom 6,001 x 6,001": lambda: dicom(Rows=6_001, Columns=6_001),
    "dicom 6,000 x 6,000 of nothing": lambda: dicom(Rows=6_000, Columns=6_000),
    "dicom 2^31 frames": lambda: dicom(NumberOfFrames=2**31 - 1),
    "dicom deflated 1:1000": lambda: dicom(
        np.zeros((6_000, 6_000), np.uint16), syntax=dicoms.DEFLATED
    ),
    "dicom sequences nested 3,000 deep, open": lambda: nested(3_000, closed=False),
    "dicom sequences nested 100,000 deep, open": lambda: nested(100_000, closed=False),
    "dicom fragment of 4 GB": lambda: fragments(0, 2**32 - 2),
    "dicom fragment of undefined length": lambda: fragments(0, 2**32 - 1),
    "dicom fragments of odd lengths": lambda: fragments(0, 1, 3, 2**31, body=b"abc"),
    "dicom offset table of 4 GB": lambda: fragments(2**32 - 2),
    "dicom a million empty fragments": lambda: empty_fragments(1_000_000),
    "dicom jpeg 65,535 x 65,535": lambda: inside(
        dicoms.JPEG_LOSSLESS_SV1, b"\xff\xc3", 65_535, 65_535
    ),
    "dicom jpeg 6,000 x 6,000 of nothing": lambda: inside(
        dicoms.JPEG_LOSSLESS_SV1, b"\xff\xc3", 6_000, 6_000
    ),
    "dicom jpeg-ls 6,000 x 6,000 of nothing": lambda: inside(
        dicoms.JPEG_LS, b"\xff\xf7", 6_000, 6_000
    ),
    "dicom jpeg 2000 of 2^32": lambda: jpeg_2000(_SIZ_SIZE, b"\xff" * 8),
    "dicom jpeg 2000 6,000 x 6,000 of nothing": lambda: jpeg_2000(
        _SIZ_SIZE, struct.pack(">II", 6_000, 6_000), Rows=6_000, Columns=6_000
    ),
    "dicom jpeg 2000 tiles of 1 x 1": lambda: jpeg_2000(
        _SIZ_SIZE,
        struct.pack(">IIIIII", 6_000, 6_000, 0, 0, 1, 1),
        Rows=6_000,
        Columns=6_000,
    ),
    "dicom jpeg 2000 tiles of 0": lambda: jpeg_2000(_SIZ_TILE, bytes(8)),
    "dicom jpeg 2000 of 16,384 components": lambda: jpeg_2000(40, struct.pack(">H", 16_384)),
    "dicom jpeg 2000 of 255 halvings": lambda: jpeg_2000(_halvings_at(), b"\xff"),
    "dicom jpeg 2000 of 255 halvings, 6,000 x 6,000": lambda: halved_for_ever(6_000, 6_000),
    "dicom rle 8 times too long": lambda: rle_claiming(6_000, 6_000, 8),
    "dicom rle of too few bytes": lambda: rle_claiming(6_000, 6_000)[:20_000],
    "dicom rle with an offset behind the end": lambda: with_code_stream(
        struct.pack("<16L", 2, 64, 2**32 - 1, *[0] * 13), _LEVELS, 12, dicoms.RLE
    ),
    "dicom lut of fewer entries than it says": lambda: lut_claiming(65_536),
}


# Whole films with something silly beside the picture, which costs no more than the picture.
HARMLESS: dict[str, Callable[[], bytes]] = {
    "tiff next directory is itself": lambda: tiff_loop(8 + scene().size),
    "jpeg multi-picture loop": lambda: jpeg_with(b"\xff\xe2", b"MPF\0II*\0\x08\0\0\0" * 500, 10),
    "jpeg 10,000 comments": lambda: jpeg_with(b"\xff\xfe", b"x" * 100, 10_000),
    "dicom sequences nested 300 deep": lambda: nested(300),
    "dicom rle 200 times its size": lambda: rle_claiming(6_000, 6_000),
    "dicom lut of 65,535 entries": lambda: huge_lut(65_535),
}
