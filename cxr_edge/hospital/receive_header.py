"""The one thing that is read of a film on its way into the spool: its study, by a plain scan.

No decoder and no DICOM library sees the bytes here; what cannot be followed has no study.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

from cxr_edge.hospital.peers import checked_uid

HEAD = 65536  # bytes of a data set in which its study must be found

_IMPLICIT = "1.2.840.10008.1.2"
_BIG_ENDIAN = "1.2.840.10008.1.2.2"
_DEFLATED = ("1.2.840.10008.1.2.1.99", "1.2.840.10008.1.2.4.95", "1.2.840.10008.1.2.8.1")
_STUDY = 0x0020000D
_ITEM, _ITEM_END, _SEQUENCE_END = 0xFFFEE000, 0xFFFEE00D, 0xFFFEE0DD
_UNDEFINED = 0xFFFFFFFF
# Explicit VRs with a length of 32 bits behind two bytes that mean nothing.
_LONG = frozenset(b"OB OD OF OL OV OW SQ SV UC UN UR UT UV".split())


@dataclass(frozen=True)
class _Element:
    tag: int
    start: int
    length: int


def study_of(head: bytes, syntax: str) -> str:
    """The Study Instance UID of a data set; empty where it cannot be found.

    Args:
        head: its first bytes.
        syntax: UID of its transfer syntax.
    """
    if syntax in _DEFLATED:
        return ""
    position, depth = 0, 0
    try:
        while True:
            element = _element(head, position, syntax)
            if not depth and element.tag >= _STUDY:
                return _value(head, element) if element.tag == _STUDY else ""
            depth += _deeper(element)
            position = element.start + (0 if _is_entered(element) else element.length)
    except (struct.error, UnicodeDecodeError):
        return ""


def _element(head: bytes, position: int, syntax: str) -> _Element:
    order = ">" if syntax == _BIG_ENDIAN else "<"
    group, number = struct.unpack_from(f"{order}HH", head, position)
    tag = group << 16 | number
    if tag in (_ITEM, _ITEM_END, _SEQUENCE_END) or syntax == _IMPLICIT:
        (length,) = struct.unpack_from(f"{order}I", head, position + 4)
        return _Element(tag, position + 8, length)
    if head[position + 4 : position + 6] in _LONG:
        (length,) = struct.unpack_from(f"{order}I", head, position + 8)
        return _Element(tag, position + 12, length)
    (length,) = struct.unpack_from(f"{order}H", head, position + 6)
    return _Element(tag, position + 8, length)


def _deeper(element: _Element) -> int:
    """Levels by which the next element lies deeper in sequences without a length."""
    if element.tag == _SEQUENCE_END:
        return -1
    return int(element.length == _UNDEFINED and element.tag != _ITEM)


def _is_entered(element: _Element) -> bool:
    return element.tag == _ITEM or element.length == _UNDEFINED


def _value(head: bytes, element: _Element) -> str:
    value = head[element.start : element.start + element.length]
    return checked_uid(value.decode("ascii")) if len(value) == element.length else ""
