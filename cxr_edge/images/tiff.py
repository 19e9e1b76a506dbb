"""Checks that a TIFF file holds everything that its directory promises.

Pillow takes an uncompressed strip as it comes, leaves rows that no strip holds black, and hides
what a JPEG strip lacks.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import TiffImagePlugin as tiff_tags

from cxr_edge.errors import ImageError
from cxr_edge.images.tail import check_tail, has_jpeg_end
from cxr_edge.types import InputWarning, Reason

_RAW, _JPEG = 1, 7
# LZW, deflate and PackBits give too few samples, and so an error, where their bytes are missing.
_COMPRESSIONS = (_RAW, 5, _JPEG, 8, 32773, 32946)
_SEPARATE_PLANES = 2
_SIGNED = 2

# The one 16-bit white-is-zero layout that Pillow does not know; `raster` turns the levels round.
tiff_tags.OPEN_INFO.setdefault((tiff_tags.MM, 0, (1,), 1, (16,), ()), ("I;16B", "I;16B"))


def check_complete(image: tiff_tags.TiffImageFile, data: bytes) -> tuple[InputWarning, ...]:
    """Compare the strips with the file, before a pixel is decoded.

    Args:
        image: the opened TIFF.
        data: the whole file.

    Returns:
        a warning, where the end of the film and that of a copy would look alike.

    Raises:
        ImageError: `truncated` where strips are missing, outside the file or zero from the middle
            of a row on; `unsupported_format` for a layout whose completeness cannot be told.
    """
    tags = image.tag_v2
    compression = tags.get(tiff_tags.COMPRESSION, _RAW)
    tiled = tiff_tags.TILEOFFSETS in tags
    if compression not in _COMPRESSIONS or (tiled and compression == _RAW):
        raise ImageError(Reason.UNSUPPORTED_FORMAT, f"compression {compression}, tiled: {tiled}")
    if compression == _RAW:
        return _check_plain(tags, data)
    if tags.prefix == tiff_tags.MM and tags.get(tiff_tags.SAMPLEFORMAT, (1,))[0] == _SIGNED:
        # Pillow exchanges the bytes of samples that libtiff has exchanged already.
        raise ImageError(Reason.UNSUPPORTED_FORMAT, "signed samples, big-endian, compressed")
    keys = (
        (tiff_tags.TILEOFFSETS, tiff_tags.TILEBYTECOUNTS)
        if tiled
        else (tiff_tags.STRIPOFFSETS, tiff_tags.STRIPBYTECOUNTS)
    )
    parts = [_part(data, *place) for place in zip(*(tags[key] for key in keys), strict=True)]
    if compression == _JPEG and not all(map(has_jpeg_end, [*parts, *_tables(tags)])):
        raise ImageError(Reason.TRUNCATED, "JPEG strip or tables without end-of-image marker")
    return ()


def _check_plain(tags: Any, data: bytes) -> tuple[InputWarning, ...]:
    """Check what stands behind the samples; the directory, perhaps, was copied after them."""
    samples = _stored_samples(tags, data)
    ends = zip(tags[tiff_tags.STRIPOFFSETS], tags.get(tiff_tags.STRIPBYTECOUNTS, ()), strict=False)
    end = max((start + count for start, count in ends), default=len(data))
    return () if data[end:].strip(b"\0") else check_tail(samples)


def _tables(tags: Any) -> list[bytes]:
    """Quantisation and Huffman tables that the strips share, where they do."""
    return [tags[tiff_tags.JPEGTABLES]] if tiff_tags.JPEGTABLES in tags else []


def _part(data: bytes, start: int, count: int) -> bytes:
    if start <= 0 or count <= 0 or start + count > len(data):
        raise ImageError(Reason.TRUNCATED, f"{count} bytes at {start} of {len(data)}")
    return data[start : start + count]


def _stored_samples(tags: Any, data: bytes) -> NDArray[np.generic]:
    """Unsigned integers [rows, samples] in the order of the file, plane below plane."""
    height, bits = int(tags[tiff_tags.IMAGELENGTH]), tags.get(tiff_tags.BITSPERSAMPLE, (1,))[0]
    channels = tags.get(tiff_tags.SAMPLESPERPIXEL, 1)
    planes = channels if tags.get(tiff_tags.PLANAR_CONFIGURATION) == _SEPARATE_PLANES else 1
    row_bytes = math.ceil(tags[tiff_tags.IMAGEWIDTH] * bits * channels / planes / 8)
    rows_per_strip = min(tags.get(tiff_tags.ROWSPERSTRIP, height), height)
    starts = tags.get(tiff_tags.STRIPOFFSETS, ())
    if len(starts) != planes * math.ceil(height / rows_per_strip):
        raise ImageError(Reason.TRUNCATED, f"{len(starts)} strips")
    firsts = [*range(0, height, rows_per_strip)] * planes
    parts = [
        _part(data, start, min(rows_per_strip, height - first) * row_bytes)
        for start, first in sorted(zip(starts, firsts, strict=True))
    ]
    order = "<" if tags.prefix == tiff_tags.II else ">"
    kind = f"{order}u{bits // 8}" if bits in (8, 16, 32) else "u1"
    return np.frombuffer(b"".join(parts), kind).reshape(planes * height, -1)
