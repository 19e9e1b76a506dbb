"""Results of this product, told from films whoever sends them back.

An archive that forwards what it stores sends results where films are expected; a result that was
scored would get results of its own. An object of the classes Computed Radiography and Digital X-Ray
is a film whatever it bears: no result is of these, and an archive may sort a film into a series of
ours. Of three marks any other object must bear two, because an archive may change any one of them,
and none is proof alone:

1. Manufacturer is `cxr-edge`.
2. SOP Instance UID or Series Instance UID is one that `own_uid` made: `2.25.` and a UUID of version
   8 whose last 32 bits are a hash of its first 96. An archive that compresses an image with loss
   gives it another SOP Instance UID, and leaves it in its series.
3. Series Description begins with `cxr-edge: `.
"""

from __future__ import annotations

import contextlib
import hashlib
import re

from cxr_edge.types import OWN_NAME

KIND = "cxr-edge result"
SERIES_PREFIX = f"{OWN_NAME}: "
_ROOT = "2.25."
_UID = re.compile(r"2\.25\.(0|[1-9]\d{0,38})")
_HASHED_BYTES = 12
# The marks stand in front of everything that can be long.
_LOOKED_AT = 64 * 1024
_MARKS = ("Manufacturer", "SOPInstanceUID", "SeriesInstanceUID", "SeriesDescription")
_CLASS = "SOPClassUID"
_MARKS_NEEDED = 2


def own_uid(*facts: str) -> str:
    """A UID that follows from facts alone and can be told from those of others.

    Args:
        facts: whatever makes the object what it is, the same for the same object.
    """
    head = bytearray(hashlib.sha256("\0".join(facts).encode()).digest()[:_HASHED_BYTES])
    head[6] = 0x80 | head[6] & 0x0F  # version and variant, as RFC 9562 has them
    head[8] = 0x80 | head[8] & 0x3F
    return f"{_ROOT}{int.from_bytes(head + _check(bytes(head)))}"


def is_own_uid(uid: str) -> bool:
    """Whether `own_uid` made it; of other UUIDs one in four thousand million looks like it."""
    found = _UID.fullmatch(uid)
    if found is None or (number := int(found[1])) >= 1 << 128:
        return False
    whole = number.to_bytes(16)
    head, check = whole[:_HASHED_BYTES], whole[_HASHED_BYTES:]
    return whole[6] >> 4 == 8 and check == _check(head)


def is_own_result(data: bytes) -> bool:
    """Whether a DICOM file is a result of this product.

    Args:
        data: the whole file.
    """
    if OWN_NAME.encode() not in data[:_LOOKED_AT]:  # as every film: nothing more is read
        return False
    from cxr_edge.images import dicom_header, dicom_study

    with contextlib.suppress(Exception):  # pydicom raises anything
        dataset = dicom_header.read_elements(data, (_CLASS, *_MARKS))
        if dicom_study.text(dataset, _CLASS) in dicom_header.RADIOGRAPHS:
            return False
        manufacturer, *uids, series = (dicom_study.text(dataset, each) for each in _MARKS)
        return (
            (manufacturer == OWN_NAME)
            + any(map(is_own_uid, uids))
            + series.startswith(SERIES_PREFIX)
        ) >= _MARKS_NEEDED
    return False


def _check(head: bytes) -> bytes:
    return hashlib.sha256(b"cxr-edge result" + head).digest()[:4]
