"""Bytes to grey levels. `decode` is the one place that knows which reader a format needs."""

from __future__ import annotations

from cxr_edge.errors import ImageError
from cxr_edge.images import raster
from cxr_edge.types import DecodedImage, Reason

__all__ = ["decode"]

_READERS = {**raster.SIGNATURES}


def decode(data: bytes, name: str) -> DecodedImage:
    """Decode one film by what its bytes are, whatever its name says.

    Args:
        data: the whole file.
        name: its name; only a wrong extension is read from it.

    Raises:
        ImageError: with the reason, for anything that cannot be turned into grey levels safely.
    """
    if not data:
        raise ImageError(Reason.EMPTY)
    for signature, read in _READERS.items():
        if data.startswith(signature):
            return read(data, name)
    raise ImageError(_unknown(data))


def _unknown(data: bytes) -> Reason:
    """Tell a foreign image format from bytes that are no image at all."""
    foreign = (b"GIF8", b"BM", b"RIFF", b"8BPS", b"\x00\x00\x00\x0cjP", b"\xff\x4f\xff\x51")
    if data.startswith(foreign) or data[128:132] == b"DICM":
        return Reason.UNSUPPORTED_FORMAT
    return Reason.UNRECOGNISED
