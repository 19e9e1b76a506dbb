"""DICOM objects that are against the standard, or store greys in a roundabout way."""

from __future__ import annotations

import struct
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate

from tests.images import dicoms
from tests.images.dicoms import film, header, levels_of, written
from tests.images.films import Levels, scene


def colours(photometric: str, *, planar: int = 0, tint: int = 0) -> bytes:
    """The scene in three equal channels, or in brightness and two for no colour."""
    grey = scene()
    other = np.full_like(grey, 128) if "YBR" in photometric else grey
    pixels = np.stack([grey, other, other + np.uint8(tint)], axis=0 if planar else -1)
    if photometric == "YBR_FULL_422":
        pairs = grey.reshape(-1, 2)
        pixels = np.concatenate([pairs, np.full_like(pairs, 128)], axis=1)
    dataset = of_colours(photometric)
    dataset.PlanarConfiguration = planar
    dataset.PixelData = pixels.tobytes()
    dataset["PixelData"].VR = "OB"
    return written(dataset)


def of_noise(levels: Levels, noise: int) -> bytes:
    """The same three channels, with noise of so many levels in each."""
    made = np.random.default_rng(4).integers(-noise, noise + 1, (*levels.shape, 3))
    dataset = of_colours("RGB")
    dataset.PixelData = (levels[..., np.newaxis] + made).astype(np.uint8).tobytes()
    dataset["PixelData"].VR = "OB"
    return written(dataset)


def smooth_in_planes() -> tuple[bytes, Levels]:
    """A film whose neighbours are nearly the same, and its levels; plane by plane."""
    grey = np.add.outer(np.arange(200), np.arange(300)).astype(np.uint16) // 2
    levels = np.clip(grey, 0, 255).astype(np.uint8)
    dataset = header(levels, 8)
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 3, "RGB"
    dataset.PlanarConfiguration = 1
    dataset.PixelData = np.stack([levels] * 3).tobytes()
    dataset["PixelData"].VR = "OB"
    return written(dataset), levels


def without_syntax(data: bytes) -> bytes:
    """The same film without its Transfer Syntax UID."""
    start = data.index(b"\x02\0\x10\0UI")
    return data[:start] + data[start + 8 + data[start + 6] :]


def said_to_be(data: bytes, uid: bytes) -> bytes:
    """The same film with another Transfer Syntax UID."""
    start = data.index(b"\x02\0\x10\0UI")
    padded = uid + bytes(len(uid) % 2)
    stated = struct.pack("<HH2sH", 0x0002, 0x0010, b"UI", len(padded)) + padded
    return data[:start] + stated + data[start + 8 + data[start + 6] :]


def of_colours(photometric: str) -> Dataset:
    dataset = header(levels_of(8), 8)
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 3, photometric
    dataset.PlanarConfiguration = 0
    return dataset


def packed(photometric: str, syntax: str, stream: bytes = b"") -> bytes:
    dataset = of_colours(photometric)
    dataset.PixelData = encapsulate([stream or rle_of_colours()])
    dataset["PixelData"].VR = "OB"
    return written(dataset, syntax)


def rle_of_colours() -> bytes:
    """Three segments that are the one of a grey film."""
    grey = dicoms.rle_stream(levels_of(8), 8)[64:]
    starts = [64 + len(grey) * number for number in range(3)]
    return struct.pack("<16L", 3, *starts, *[0] * 12) + grey * 3


def palette(
    entries: NDArray[Any], levels: Levels | None = None, *, bits: int = 8, tint: int = 0
) -> bytes:
    dataset = header(levels_of(8) if levels is None else levels, 8)
    dataset.PhotometricInterpretation = "PALETTE COLOR"
    for colour in ("Red", "Green", "Blue"):
        values = entries + (tint if colour == "Blue" else 0)
        name = f"{colour}PaletteColorLookupTable"
        setattr(dataset, f"{name}Descriptor", [len(entries), 0, bits])
        setattr(dataset, f"{name}Data", values.astype("<u2" if bits == 16 else "u1").tobytes())
    dataset.PixelData = (levels_of(8) if levels is None else levels).tobytes()
    dataset["PixelData"].VR = "OB"
    return written(dataset)


def with_offsets(count: int) -> bytes:
    """A basic offset table that is too long."""
    data = film(syntax=dicoms.JPEG_LS)
    item = struct.pack("<HHL", 0xFFFE, 0xE000, 4) + bytes(4)
    assert data.count(item) == 1
    longer = struct.pack("<HHL", 0xFFFE, 0xE000, 4 * count) + bytes(4 * count)
    return data.replace(item, longer)
