"""Markers of a JPEG or JPEG-LS stream (ITU-T T.81 annex B, T.87 annex C)."""

from __future__ import annotations

import re

LOSSLESS, JPEG_LS = 0xC3, 0xF7

_START, _END, _SCAN, _FILL = 0xD8, 0xD9, 0xDA, 0xFF
_FRAMES = {*range(0xC0, 0xD0), JPEG_LS} - {0xC4, 0xC8, 0xCC}  # less tables, and one kept back
# Behind a scan: no stuffed byte of either, and no restart.
_MARKER = re.compile(rb"\xff+([\x80-\xcf\xd8-\xfe])")


def frame_kind(data: bytes) -> tuple[int, int]:
    """Marker and bits of precision of the first frame; zeros where there is none before a scan."""
    position = 2
    while position + 5 <= len(data) and data[position] == _FILL:
        marker = data[position + 1]
        if marker in _FRAMES:
            return marker, data[position + 4]
        if marker in (_SCAN, _END):
            break
        position += 1 if marker == _FILL else 2 + _length(data, position)
    return 0, 0


def end_of_image(data: bytes) -> int:
    """Bytes up to the end of the first whole image, whatever stands behind it; 0 without one."""
    if data[:2] != bytes((_FILL, _START)):
        return 0
    position = 2
    while position + 2 <= len(data) and data[position] == _FILL:
        marker = data[position + 1]
        if marker == _END:
            return position + 2
        if marker == _FILL:
            position += 1
            continue
        position += 2 + _length(data, position)
        if marker == _SCAN:
            found = _MARKER.search(data, position)
            position = found.start(1) - 1 if found else len(data)
    return 0


def _length(data: bytes, position: int) -> int:
    """Length of the segment at a marker, without the marker."""
    return int.from_bytes(data[position + 2 : position + 4])
