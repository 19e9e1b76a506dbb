"""Whole files that the faults are put into: made and real films in every format."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from tests.images import dicoms
from tests.images.dicoms import film as dicom
from tests.images.films import Levels, encode, jpeg, pages, png, raw_tiff, scene, tiff

Film = NDArray[np.uint8]

INCOMING = Path(__file__).parent.parent / "data/incoming"
_REAL = ("IM-0234-0001.jpeg", "person1139_bacteria_3082.jpeg")


@cache
def films() -> dict[str, Film]:
    """A made film, and real ones of both classes."""
    made = {"scene": scene(120, 160)}
    for name in _REAL:
        with Image.open(INCOMING / name) as image:
            made[name] = np.array(image.convert("L"))
    return made


def in_16(film: Film) -> NDArray[np.uint16]:
    """All 16 bits in use; level 0 stays 0."""
    return film.astype(np.uint16) * 257


def in_bits(film: Film, bits: int) -> Levels:
    """As a detector of so many bits stores it; level 0 stays 0."""
    levels = film.astype(np.int64) * (2**bits - 1) // 255
    stored: Levels = levels.astype(np.uint8 if bits == 8 else np.uint16)
    return stored


def _turned(film: Film) -> bytes:
    exif = Image.Exif()
    exif[0x0112] = 6
    return jpeg(film, exif=exif)


def _grey_alpha(film: Film) -> Image.Image:
    image = Image.fromarray(film)
    image.putalpha(255)
    return image


def _tiff_16(film: Film, **options: Any) -> bytes:
    return tiff(in_16(film), **options)


def compressed(film: Film) -> dict[str, bytes]:
    """One film in each format whose data tell when they are incomplete."""
    return {
        "jpeg": jpeg(film),
        "jpeg progressive": jpeg(film, progressive=True),
        "jpeg optimised": jpeg(film, optimize=True),
        "jpeg restart markers": jpeg(film, restart_marker_rows=1),
        "jpeg rgb": jpeg(Image.fromarray(film).convert("RGB")),
        "jpeg turned by EXIF": _turned(film),
        "png": png(film),
        "png 16 bit": png(in_16(film)),
        "png palette": png(Image.fromarray(film).convert("P")),
        "png opaque alpha": png(_grey_alpha(film)),
        "tiff lzw": tiff(film, compression="tiff_lzw"),
        "tiff deflate": tiff(film, compression="tiff_adobe_deflate"),
        "tiff packbits": tiff(film, compression="packbits"),
        "tiff jpeg": tiff(film, compression="jpeg"),
        "tiff 16 bit lzw": _tiff_16(film, compression="tiff_lzw"),
        "tiff 16 bit deflate": _tiff_16(film, compression="tiff_adobe_deflate"),
    }


def stored(film: Film) -> dict[str, bytes]:
    """One film in each format that stores its samples as they are."""
    return {
        "tiff": tiff(film),
        "tiff big": tiff(film, big_tiff=True),
        "tiff directory last": raw_tiff(film),
        "tiff white is zero": raw_tiff(255 - film, white_is_zero=True),
        "tiff 16 bit": _tiff_16(film),
        "tiff 16 bit big endian": raw_tiff(in_16(film), order=">"),
    }


def unscored(film: Film) -> dict[str, bytes]:
    """Whole files that are read far enough to be refused for what they are."""
    return {
        "jpeg cmyk": jpeg(Image.fromarray(film).convert("CMYK")),
        "jpeg multi-picture": pages("MPO"),
        "png animation": pages("PNG"),
        "png 1 bit": png(Image.fromarray(film).convert("1")),
        "tiff pages": pages("TIFF"),
        "tiff floats": tiff(film.astype(np.float32)),
        "gif": encode(film, "GIF"),
        "dicom deflated": dicom(syntax=dicoms.DEFLATED),
        "dicom frames": dicom(NumberOfFrames=2),
        "dicom colour": dicom(PhotometricInterpretation="RGB", SamplesPerPixel=3),
    }


# Name -> transfer syntax and bits stored. No encoder at hand writes HTJ2K: see `dicoms`.
_ENCAPSULATED = {
    "dicom rle": (dicoms.RLE, 12),
    "dicom rle 8 bit": (dicoms.RLE, 8),
    "dicom jpeg baseline": (dicoms.JPEG_BASELINE, 8),
    "dicom jpeg extended": (dicoms.JPEG_EXTENDED, 12),
    "dicom jpeg lossless": (dicoms.JPEG_LOSSLESS, 16),
    "dicom jpeg lossless sv1": (dicoms.JPEG_LOSSLESS_SV1, 12),
    "dicom jpeg-ls": (dicoms.JPEG_LS, 12),
    "dicom jpeg-ls near": (dicoms.JPEG_LS_NEAR, 8),
    "dicom jpeg 2000 lossless": (dicoms.J2K_LOSSLESS, 16),
    "dicom jpeg 2000": (dicoms.J2K, 8),
}
_HTJ2K = {
    "dicom htj2k lossless": (dicoms.HTJ2K_LOSSLESS, 16),
    "dicom htj2k rpcl": (dicoms.HTJ2K_RPCL, 8),
    "dicom htj2k": (dicoms.HTJ2K, 8),
}
_NATIVE = {
    "dicom implicit": (dicoms.IMPLICIT, 12),
    "dicom explicit": (dicoms.EXPLICIT, 16),
    "dicom explicit 8 bit": (dicoms.EXPLICIT, 8),
    "dicom big endian": (dicoms.BIG_ENDIAN, 12),
}


def encapsulated(film: Film) -> dict[str, bytes]:
    """One film as a DICOM object in each syntax that compresses it."""
    return {
        name: dicom(in_bits(film, bits), bits=bits, syntax=syntax)
        for name, (syntax, bits) in _ENCAPSULATED.items()
    }


@cache
def high_throughput() -> dict[str, bytes]:
    """The small made film in the syntaxes that cannot be written here."""
    return {name: dicom(bits=bits, syntax=syntax) for name, (syntax, bits) in _HTJ2K.items()}


def native(film: Film) -> dict[str, bytes]:
    """One film as a DICOM object in each way of storing samples as they are."""
    made = {
        name: dicom(in_bits(film, bits), bits=bits, syntax=syntax)
        for name, (syntax, bits) in _NATIVE.items()
    }
    negative = dicom(255 - film, bits=8, PhotometricInterpretation="MONOCHROME1")
    return {**made, "dicom monochrome 1": negative}


@cache
def seeds() -> dict[str, bytes]:
    """Small files of every kind, for faults whose number counts."""
    film = scene()
    made = compressed(film) | stored(film) | encapsulated(film) | high_throughput() | native(film)
    return made | unscored(film)
