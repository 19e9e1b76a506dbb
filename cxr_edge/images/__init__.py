"""Bytes to grey levels. `decode` is the one place that knows which reader a format needs."""

from __future__ import annotations

from collections.abc import Sequence

from cxr_edge.errors import ImageError
from cxr_edge.images import foreign
from cxr_edge.types import DecodedImage, Reason

__all__ = [
    "DECODING_VERSION",
    "decode",
    "decoder_versions",
    "identity_of",
    "is_id_tag",
    "source_of",
]

DECODING_VERSION = 5  # raised when decoding changes a pixel

_DECODERS = ("pillow", "pydicom", "python-gdcm", "pyjpegls")


def decode(data: bytes, name: str, fields: Sequence[str] = (), at_least: int = 0) -> DecodedImage:
    """Decode one film by what its bytes are, whatever its name says.

    Args:
        data: the whole file.
        name: its name; only its extension is looked at, where it does not fit the bytes.
        fields: of a header that says whom the film is of, see `types.IDENTITY_FIELDS`.
        at_least: pixels that suffice on the shorter side, so that a JPEG or DICOM may be
            decoded at a half, a quarter or an eighth; 0 for all there are.

    Raises:
        ImageError: with the reason, for anything that cannot be turned into grey levels safely.
    """
    if not data:
        raise ImageError(Reason.EMPTY)
    if is_dicom(data):  # first: the 128 bytes before it may pose as something else
        from cxr_edge.images import dicom

        return dicom.read(data, name, fields, at_least)
    from cxr_edge.images import raster

    for signature, read in raster.SIGNATURES.items():
        if data.startswith(signature):
            return read(data, name, at_least)
    raise foreign.refusal(data, name)


def is_dicom(data: bytes) -> bool:
    """Whether a file says that it is DICOM."""
    return data[128:132] == b"DICM"


def identity_of(data: bytes, fields: Sequence[str]) -> dict[str, str]:
    """Identity of a film, decodable or not; values are empty where the header has none.

    Args:
        data: the whole file.
        fields: as in `decode`.
    """
    if not (fields and is_dicom(data)):
        return dict.fromkeys(fields, "")
    from cxr_edge.images import dicom_identity

    return dicom_identity.identity_of(data, fields)


def source_of(data: bytes) -> dict[str, str]:
    """Header fields that results repeat, see `dicom_source.source_of`; none for other files.

    Args:
        data: the whole file.
    """
    if not is_dicom(data):
        return {}
    from cxr_edge.images import dicom_source

    return dicom_source.source_of(data)


def decoder_versions() -> dict[str, str]:
    """Versions of the packages that decode; none of them is imported."""
    from importlib.metadata import version  # decoder processes never ask

    return {package: version(package) for package in _DECODERS}


def is_id_tag(keyword: str) -> bool:
    """Check that a film's header can be asked for the text of the DICOM element of this keyword."""
    from cxr_edge.images import dicom_study

    return dicom_study.is_id_tag(keyword)
