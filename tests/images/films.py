"""Made films in every format and pixel type, and the tools to write what Pillow cannot."""

from __future__ import annotations

import io
import struct
import zlib
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Levels = NDArray[np.integer[Any]]


def scene(height: int = 48, width: int = 64) -> NDArray[np.uint8]:
    """A smooth field with a dark and a bright ellipse; no symmetry, levels 10 to 245."""
    y, x = np.mgrid[0:height, 0:width] / np.array([height, width]).reshape(2, 1, 1)
    field = 60 + 90 * x + 40 * y
    field = np.where((y - 0.4) ** 2 * 4 + (x - 0.3) ** 2 * 9 < 0.3, 10 + 60 * y, field)
    field = np.where((y - 0.7) ** 2 * 9 + (x - 0.8) ** 2 * 16 < 0.3, 245 - 30 * x, field)
    return field.round().astype(np.uint8)


def encode(source: Image.Image | Levels, image_format: str, **options: Any) -> bytes:
    """The bytes that Pillow writes."""
    image = source if isinstance(source, Image.Image) else Image.fromarray(source)
    stream = io.BytesIO()
    image.save(stream, image_format, **options)
    return stream.getvalue()


def jpeg(source: Image.Image | Levels | None = None, **options: Any) -> bytes:
    """A JPEG of high quality."""
    return encode(scene() if source is None else source, "JPEG", quality=95, **options)


def png(source: Image.Image | Levels | None = None, **options: Any) -> bytes:
    """A PNG."""
    return encode(scene() if source is None else source, "PNG", **options)


def tiff(source: Image.Image | Levels | None = None, **options: Any) -> bytes:
    """A TIFF, uncompressed unless told otherwise."""
    return encode(scene() if source is None else source, "TIFF", **options)


def png_chunk(kind: bytes, body: bytes) -> bytes:
    """Length, kind, body and checksum."""
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def raw_png(
    width: int, height: int, colour: tuple[int, int], lines: bytes, extra: bytes = b""
) -> bytes:
    """A PNG by hand.

    Args:
        width: columns.
        height: rows.
        colour: bit depth and colour type.
        lines: pixel data, each row behind its filter byte.
        extra: chunks in front of the pixel data.
    """
    header = struct.pack(">IIBBBBB", width, height, *colour, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + png_chunk(b"IHDR", header)
        + extra
        + png_chunk(b"IDAT", zlib.compress(lines))
        + png_chunk(b"IEND", b"")
    )


def unfiltered(samples: Levels) -> bytes:
    """Rows of big-endian samples, each behind filter byte 0."""
    big_endian = samples.astype(samples.dtype.newbyteorder(">"))
    return b"".join(b"\0" + row.tobytes() for row in big_endian)


def with_transparent_level(image: bytes, level: int) -> bytes:
    """A grey PNG that names one level as transparent."""
    position = image.index(b"IDAT") - 4
    return image[:position] + png_chunk(b"tRNS", struct.pack(">H", level)) + image[position:]


def raw_tiff(levels: Levels, *, white_is_zero: bool = False, order: str = "<") -> bytes:
    """An uncompressed grey TIFF of one strip, by hand.

    Args:
        levels: uint8 or uint16 [H, W], stored as they are.
        white_is_zero: what its photometric interpretation says.
        order: `<` or `>`.
    """
    height, width = levels.shape
    bits = levels.dtype.itemsize * 8
    data = levels.astype(levels.dtype.newbyteorder(order)).tobytes()  # type: ignore[arg-type]
    entries = [
        (256, width),
        (257, height),
        (258, bits),
        (259, 1),
        (262, 0 if white_is_zero else 1),
        (273, 8),
        (277, 1),
        (278, height),
        (279, len(data)),
    ]
    directory = struct.pack(f"{order}H", len(entries))
    for tag, value in entries:
        directory += struct.pack(f"{order}HHII", tag, 4, 1, value)
    header = (b"II" if order == "<" else b"MM") + struct.pack(f"{order}HI", 42, 8 + len(data))
    return header + data + directory + struct.pack(f"{order}I", 0)


def tiff_by_hand(
    tags: dict[int, int | tuple[int, ...]], strips: list[bytes], order: str = "<"
) -> bytes:
    """A TIFF with its directory in front, as a copy leaves it whole: every value is a LONG.

    Args:
        tags: tag -> its value or values; what they leave out (size, strips) is as in `scene()`.
        strips: one behind the other.
        order: `<` or `>`.
    """
    counts = tuple(len(strip) for strip in strips)
    height, width = scene().shape
    known = {256: width, 257: height, 258: 8, 259: 1, 262: 1, 273: counts, 277: 1, 279: counts}
    values = {tag: value if isinstance(value, tuple) else (value,) for tag, value in known.items()}
    values |= {tag: value if isinstance(value, tuple) else (value,) for tag, value in tags.items()}
    outside = 8 + 2 + 12 * len(values) + 4
    start = outside + 4 * sum(len(value) for value in values.values() if len(value) > 1)
    if 273 not in tags:
        values[273] = tuple(start + sum(counts[:index]) for index in range(len(counts)))
    directory, arrays = struct.pack(f"{order}H", len(values)), b""
    for tag, value in sorted(values.items()):
        inline = value[0] if len(value) == 1 else outside + len(arrays)
        directory += struct.pack(f"{order}HHII", tag, 4, len(value), inline)
        arrays += struct.pack(f"{order}{len(value)}I", *value) if len(value) > 1 else b""
    header = (b"II" if order == "<" else b"MM") + struct.pack(f"{order}HI", 42, 8)
    return header + directory + bytes(4) + arrays + b"".join(strips)


def oriented(image_format: str, orientation: int) -> bytes:
    """The scene with an EXIF orientation."""
    exif = Image.Exif()
    exif[0x0112] = orientation
    options = {"quality": 95} if image_format == "JPEG" else {}
    return encode(scene(), image_format, exif=exif, **options)


def pages(image_format: str, count: int = 2) -> bytes:
    """A file with several frames."""
    frames = [Image.fromarray(np.roll(scene(), 3 * index)) for index in range(count)]
    return encode(frames[0], image_format, save_all=True, append_images=frames[1:])


def with_preview(image_format: str, film: Levels | None = None, previews: int = 1) -> bytes:
    """A file whose first page is the film, and whose others are small."""
    large = scene(200, 240) if film is None else film
    small = [Image.fromarray(scene(50, 60)) for _ in range(previews)]
    return encode(large, image_format, save_all=True, append_images=small, quality=95)


def palette_image() -> Image.Image:
    """The scene through a palette that runs backwards, so that indices are not levels."""
    image = Image.fromarray(255 - scene()).convert("P")
    image.putpalette([level for index in range(256) for level in (255 - index,) * 3])
    return image


def with_alpha(mode: str, alpha: int) -> Image.Image:
    """The scene in `LA` or `RGBA`, equally opaque everywhere but in one pixel."""
    image = Image.fromarray(scene()).convert(mode)
    mask = Image.new("L", image.size, 255)
    mask.putpixel((5, 5), alpha)
    image.putalpha(mask)
    return image


def in_16_bits(bits: int = 16) -> NDArray[np.uint16]:
    """The scene as a detector of so many bits stores it."""
    full = 2**bits - 1
    return ((scene().astype(np.uint32) * full + 127) // 255).astype(np.uint16)
