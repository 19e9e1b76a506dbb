"""Bytes to grey levels. `decode` is the one place that knows which reader a format needs."""

from __future__ import annotations

from cxr_edge.errors import ImageError
from cxr_edge.images import foreign
from cxr_edge.types import DecodedImage, Reason

__all__ = ["DECODING_VERSION", "decode", "decoder_versions", "is_id_tag"]

DECODING_VERSION = 4  # raised when decoding changes a pixel

_DECODERS = ("pillow", "pydicom", "python-gdcm", "pylibjpeg-openjpeg", "pyjpegls")


def decode(data: bytes, name: str, id_tag: str = "", at_least: int = 0) -> DecodedImage:
    """Decode one film by what its bytes are, whatever its name says.

    Args:
        data: the whole file.
        name: its name; only a wrong extension is read from it.
        id_tag: keyword of the DICOM element whose text becomes `Study.identifier`.
        at_least: pixels that suffice on the shorter side, so that a JPEG may be decoded at a half,
            a quarter or an eighth; 0 for all there are.

    Raises:
        ImageError: with the reason, for anything that cannot be turned into grey levels safely.
    """
    if not data:
        raise ImageError(Reason.EMPTY)
    if data[128:132] == b"DICM":  # first: the 128 bytes before it may pose as something else
        from cxr_edge.images import dicom

        return dicom.read(data, name, id_tag)
    from cxr_edge.images import raster

    for signature, read in raster.SIGNATURES.items():
        if data.startswith(signature):
            return read(data, name, at_least)
    raise foreign.refusal(data)


def decoder_versions() -> dict[str, str]:
    """Versions of the packages that decode; none of them is imported."""
    from importlib.metadata import version  # decoder processes never ask

    return {package: version(package) for package in _DECODERS}


def is_id_tag(keyword: str) -> bool:
    """Check that `decode` can read a film's identifier from the DICOM element of this keyword."""
    from cxr_edge.images import dicom_study

    return dicom_study.is_id_tag(keyword)
