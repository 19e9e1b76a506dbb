"""The transfer syntaxes that are read, each with the one decoder that reads it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from cxr_edge.images.dicom_codecs import ImagePixel, Words, charls, gdcm_jpeg, rle
from cxr_edge.images.dicom_jpeg2000 import openjpeg, openjpeg_reduced

Decode = Callable[[bytes, ImagePixel], Words]
DecodeReduced = Callable[[bytes, ImagePixel, int], tuple[Words, int]]


@dataclass(frozen=True)
class Syntax:
    """One transfer syntax (PS3.5 section 10).

    Attributes:
        name: as in PS3.6 annex A, shortened.
        package: the distribution that decodes it.
        decode: None where samples are stored as they are.
        decode_reduced: for a decoder that makes fewer samples in less time: its third argument says
            how many may become one, each way, and so does its second result for what it did.
    """

    name: str
    package: str
    decode: Decode | None = None
    is_implicit_vr: bool = False
    is_little_endian: bool = True
    decode_reduced: DecodeReduced | None = None


def _jpeg(uid: str, name: str, *, is_lossy: bool = False) -> dict[str, Syntax]:
    return {uid: Syntax(name, "python-gdcm", partial(gdcm_jpeg, is_lossy=is_lossy))}


def _jpeg2000(uid: str, name: str, *, is_lossy: bool = False) -> dict[str, Syntax]:
    whole = partial(openjpeg, is_lossy=is_lossy)
    reduced = partial(openjpeg_reduced, is_lossy=is_lossy)
    return {uid: Syntax(name, "pillow", whole, decode_reduced=reduced)}


# Deflated ones are left out on purpose: a megabyte can hold a gigabyte.
SYNTAXES: dict[str, Syntax] = {
    "1.2.840.10008.1.2": Syntax("Implicit VR Little Endian", "numpy", is_implicit_vr=True),
    "1.2.840.10008.1.2.1": Syntax("Explicit VR Little Endian", "numpy"),
    "1.2.840.10008.1.2.2": Syntax("Explicit VR Big Endian", "numpy", is_little_endian=False),
    "1.2.840.10008.1.2.5": Syntax("RLE Lossless", "pillow", rle),
    **_jpeg("1.2.840.10008.1.2.4.50", "JPEG Baseline, 8 bit", is_lossy=True),
    **_jpeg("1.2.840.10008.1.2.4.51", "JPEG Extended, 8 and 12 bit", is_lossy=True),
    **_jpeg("1.2.840.10008.1.2.4.57", "JPEG Lossless"),
    **_jpeg("1.2.840.10008.1.2.4.70", "JPEG Lossless, selection value 1"),
    "1.2.840.10008.1.2.4.80": Syntax("JPEG-LS Lossless", "pyjpegls", charls),
    "1.2.840.10008.1.2.4.81": Syntax(
        "JPEG-LS Near-Lossless", "pyjpegls", partial(charls, is_lossy=True)
    ),
    **_jpeg2000("1.2.840.10008.1.2.4.90", "JPEG 2000 Lossless"),
    **_jpeg2000("1.2.840.10008.1.2.4.91", "JPEG 2000", is_lossy=True),
    **_jpeg2000("1.2.840.10008.1.2.4.201", "HTJ2K Lossless"),
    **_jpeg2000("1.2.840.10008.1.2.4.202", "HTJ2K Lossless RPCL"),
    **_jpeg2000("1.2.840.10008.1.2.4.203", "HTJ2K", is_lossy=True),
}
