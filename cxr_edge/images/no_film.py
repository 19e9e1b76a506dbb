"""Names for files that are certainly no films, told by what they hold and never by their names.

A wrong answer here puts a film to the end of the list, so a kind is named only where its own
format leaves no doubt; everything else stays unknown.
"""

from __future__ import annotations

import codecs
import struct
import unicodedata

TEXT = "text"  # the kind
# The largest text: beyond it, lines of digits or base64 may be a film.
_MOST_TEXT = 1024 * 1024
_FEWEST_BYTES = 4  # fewer may be the beginning of a film: of TIFF, three are letters
_FEWEST_ASCII = 0.8  # of a text in an 8-bit code, as words of European languages have it
_TEXT_CONTROLS = frozenset("\t\n\r\f\x1a")  # DOS ended a text with the last
_PICTURES_IN_TEXT = ("P1", "P2", "P3", "/* XPM", "#define ")
_SHORTCUT = b"\x4c\0\0\0\x01\x14\x02\0\0\0\0\0\xc0\0\0\0\0\0\0\x46"
_COMPOUND = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_CATALOG = "Catalog".encode("utf-16-le")  # the stream that lists what thumbs.db holds
_MACH_O = (b"\xfe\xed\xfa\xce", b"\xfe\xed\xfa\xcf", b"\xce\xfa\xed\xfe", b"\xcf\xfa\xed\xfe")
_JAVA_VERSIONS = range(45, 100)
_ICON = struct.Struct("<HHH")
_ICON_ENTRY = struct.Struct("<8xII")


def kind_of(data: bytes) -> str:
    """Kind of a file, in words for a list; empty where it may be a film for all that is known.

    Args:
        data: the whole file.
    """
    return _program(data) or _index(data) or _text(data)


def _program(data: bytes) -> str:
    if data.startswith(b"MZ"):
        at = int.from_bytes(data[60:64], "little")
        return "program" if data[at : at + 4] == b"PE\0\0" else ""
    if data.startswith(b"\x7fELF") or data.startswith(_MACH_O) or data.startswith(_SHORTCUT):
        return "program"
    is_java = data.startswith(b"\xca\xfe\xba\xbe")
    return "program" if is_java and int.from_bytes(data[6:8]) in _JAVA_VERSIONS else ""


def _index(data: bytes) -> str:
    """Leftovers of file managers: databases of thumbnails, folder settings, icons."""
    if data.startswith(_COMPOUND) and _CATALOG in data:
        return "thumbnails"
    if data.startswith(b"CMMM"):
        return "thumbnails"
    if data.startswith(b"\0\0\0\x01Bud1"):
        return "folder settings"
    return "icon" if _is_icon(data) else ""


def _is_icon(data: bytes) -> bool:
    """Small pictures behind a table that points at each of them."""
    if len(data) < _ICON.size:
        return False
    reserved, kind, number = _ICON.unpack_from(data)
    if (reserved, kind) != (0, 1) or not 1 <= number <= 64:
        return False
    first = _ICON.size + number * 16
    if len(data) < first:
        return False
    places = [_ICON_ENTRY.unpack_from(data, _ICON.size + 16 * each) for each in range(number)]
    return all(size and first <= at and at + size <= len(data) for size, at in places)


def _text(data: bytes) -> str:
    """Lines of text in UTF-8, UTF-16 or an 8-bit code, without any byte that texts do not have."""
    if not _FEWEST_BYTES <= len(data) <= _MOST_TEXT:
        return ""
    text = _decoded(data)
    if not text.strip() or text.startswith(_PICTURES_IN_TEXT):
        return ""
    return TEXT if all(map(_is_of_text, text)) else ""


def _decoded(data: bytes) -> str:
    code = "utf-8-sig"
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        code = "utf-16"
    try:
        return data.decode(code)
    except UnicodeDecodeError:
        ascii_bytes = sum(each < 0x80 for each in data)
        is_likely = code == "utf-8-sig" and ascii_bytes >= _FEWEST_ASCII * len(data)
        return data.decode("latin-1") if is_likely else ""


def _is_of_text(letter: str) -> bool:
    return letter in _TEXT_CONTROLS or unicodedata.category(letter) not in ("Cc", "Cn", "Co", "Cs")
