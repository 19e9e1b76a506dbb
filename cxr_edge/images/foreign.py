"""Names for files that are not read, by their signatures, so that a list can say what they are."""

from __future__ import annotations

from cxr_edge.errors import ImageError
from cxr_edge.images import no_film
from cxr_edge.images.names import promises_film
from cxr_edge.types import Reason

_IMAGES = {
    b"GIF8": "GIF",
    b"BM": "BMP",
    b"8BPS": "Photoshop",
    b"\x00\x00\x00\x0cjP": "JPEG 2000",
    b"\xff\x4f\xff\x51": "JPEG 2000",
    b"\x00\x00\x00\x0cJXL ": "JPEG XL",
    b"\xff\x0a": "JPEG XL",
    b"II\xbc\x01": "JPEG XR",
    b"\x76\x2f\x31\x01": "OpenEXR",
    b"NRRD": "NRRD",
    b"%PDF": "PDF",
    b"RIFF": "RIFF",
}
_ARCHIVES = {
    b"PK\x03\x04": "ZIP",
    b"PK\x05\x06": "ZIP",
    b"\x1f\x8b": "gzip",
    b"BZh": "bzip2",
    b"\xfd7zXZ\x00": "xz",
    b"7z\xbc\xaf\x27\x1c": "7-Zip",
    b"Rar!\x1a\x07": "RAR",
    b"\x28\xb5\x2f\xfd": "Zstandard",
}
# ISO base media files: the brand behind `ftyp` (ISO/IEC 14496-12).
_BRANDS = {
    **dict.fromkeys((b"avif", b"avis"), "AVIF"),
    **dict.fromkeys((b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx"), "HEIC"),
    **dict.fromkeys((b"mif1", b"msf1"), "HEIF"),
}
_TAR_AT = 257


def refusal(data: bytes, name: str) -> ImageError:
    """The reason for bytes that no reader takes, with the name of what they are.

    Args:
        data: the whole file.
        name: of the file; it never makes less of a file than its bytes do.
    """
    for signature, packed in _ARCHIVES.items():
        if data.startswith(signature):
            return ImageError(Reason.ARCHIVE, packed, format=packed)
    if data[_TAR_AT : _TAR_AT + 5] == b"ustar":
        return ImageError(Reason.ARCHIVE, "tar", format="tar")
    image = _image_name(data)
    if image:
        return ImageError(Reason.UNSUPPORTED_FORMAT, image, format=image)
    kind = no_film.kind_of(data)
    # A text under a film's name stands where a film should: a saved error page, for example.
    if not kind or (kind == no_film.TEXT and promises_film(name)):
        return ImageError(Reason.UNRECOGNISED, kind, format=kind)
    return ImageError(Reason.NO_FILM, kind, format=kind)


def _image_name(data: bytes) -> str:
    if data[4:8] == b"ftyp":
        return _BRANDS.get(data[8:12]) or _compatible(data) or "MP4"
    if data.startswith(b"RIFF") and data[8:12] == b"WEBP":
        return "WebP"
    return next((name for start, name in _IMAGES.items() if data.startswith(start)), "")


def _compatible(data: bytes) -> str:
    """A format among the brands that an ISO base media file is compatible with."""
    size = min(int.from_bytes(data[:4]), 256)
    brands = (data[start : start + 4] for start in range(16, size, 4))
    return next((_BRANDS[brand] for brand in brands if brand in _BRANDS), "")
