"""The films whose decoding, preprocessing and warnings are pinned.

Lossless files give the same pixels with every codec; what a JPEG gives depends on the build of
libjpeg by a grey level here and there, so those are compared by mean levels.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from pydicom.dataset import Dataset

from cxr_edge.intake.prepared import IntakeSettings, Scope
from cxr_edge.model.self_test import golden_image
from cxr_edge.preprocess import Extent
from tests.images import dicoms
from tests.images.dicoms import film, levels_of, lut
from tests.images.films import (
    encode,
    in_16_bits,
    jpeg,
    oriented,
    pages,
    palette_image,
    png,
    raw_tiff,
    scene,
    tiff,
    with_alpha,
    with_preview,
    with_transparent_level,
)
from tests.images.odd_dicoms import colours, palette, with_offsets

Pixels = NDArray[np.uint8]

INCOMING = Path(__file__).parents[1] / "data" / "incoming"
_ANYONE = Scope((0.0, 120.0), ("not stated",))
_RAMP = np.arange(4096)


@dataclass(frozen=True)
class File:
    """A file as a night meets it.

    Attributes:
        lossy: the codec's build may change its pixels by a grey level.
    """

    data: bytes
    name: str = "film"
    settings: IntakeSettings = field(default=IntakeSettings(50, _ANYONE))
    lossy: bool = False


def files() -> dict[str, File]:
    """Every file whose decoding is pinned, by what is special about it."""
    return {**_incoming(), **_large_jpegs(), **_rasters(), **_refused(), **_dicoms()}


def _incoming() -> dict[str, File]:
    paths = sorted(INCOMING.iterdir())
    return {path.name: File(path.read_bytes(), path.name, lossy=True) for path in paths}


def _large_jpegs() -> dict[str, File]:
    """A size on both sides of each decision about the scale."""
    return {
        f"jpeg {height} x {width} for a network of {size}": File(
            jpeg(scene(height, width)), "a.jpg", IntakeSettings(size, _ANYONE), lossy=True
        )
        for height, width, size in (
            *((767, 900, 50), (768, 900, 50), (1601, 1537, 128), (3100, 3075, 50)),
            *((1343, 1400, 224), (1344, 1400, 224)),
        )
    } | {
        "jpeg whose border hides that it is small": File(
            jpeg(np.pad(scene(760, 760), 200)), "a.jpg", lossy=True
        ),
        "jpeg whose border leaves enough": File(
            jpeg(np.pad(scene(780, 780), 200)), "a.jpg", lossy=True
        ),
    }


def _rasters() -> dict[str, File]:
    rgb = Image.fromarray(scene()).convert("RGB")
    orange = Image.merge("RGB", [Image.fromarray(scene() // part) for part in (1, 2, 4)])
    lossless = {
        "png": png(),
        "lossless jpeg": dicoms.lossless_jpeg_by_hand(levels_of(8), 8),
        "tiff with a thumbnail": with_preview("TIFF"),
        "png rgb": png(rgb),
        "png coloured": png(orange),
        "png palette": png(palette_image()),
        "png opaque alpha": png(with_alpha("LA", 255)),
        "png unused transparent level": with_transparent_level(png(), 1),
        **{f"png of {bits} bits in 16": png(in_16_bits(bits)) for bits in (8, 10, 12, 14, 16)},
        "tiff": tiff(),
        "tiff lzw": tiff(compression="tiff_lzw"),
        "tiff of 12 bits in 16": tiff(in_16_bits(12)),
        "tiff white is zero": raw_tiff(255 - scene(), white_is_zero=True),
        "tiff white is zero, 16 bits": raw_tiff(0xFFFF - in_16_bits(), white_is_zero=True),
        "tiff big-endian, 16 bits": raw_tiff(in_16_bits(), order=">"),
        **{f"png orientation {turn}": oriented("PNG", turn) for turn in (0, 3, 6, 7)},
    }
    return {name: File(data) for name, data in lossless.items()} | {
        "png under the name of a jpeg": File(png(), "film.jpg"),
        "jpeg orientation 6": File(oriented("JPEG", 6), lossy=True),
        "jpeg with a preview": File(with_preview("MPO"), lossy=True),
        "jpeg rgb": File(jpeg(rgb), lossy=True),
        "jpeg coloured": File(jpeg(orange), lossy=True),
    }


def _refused() -> dict[str, File]:
    rgb = Image.fromarray(scene()).convert("RGB")
    data = {
        "jpeg cut": jpeg()[:-2],
        "jpeg cmyk": jpeg(rgb.convert("CMYK")),
        "png cut": png()[:-20],
        "png with a hole": png(with_alpha("LA", 254)),
        "png with a transparent level": with_transparent_level(png(), 100),
        "png of 1 bit": png(Image.fromarray(scene()).convert("1")),
        "tiff pages": pages("TIFF"),
        "tiff floats": tiff(scene().astype(np.float32)),
        "gif": encode(scene(), "GIF"),
        "archive": b"PK\x03\x04" + bytes(50),
        "jpeg-ls": dicoms.jpeg_ls_stream(0, levels_of(8), 8),
        "two films in a jpeg": pages("MPO"),
        "zeros": bytes(5000),
        "dicom of a CT": film(Modality="CT"),
        "dicom of two samples": film(SamplesPerPixel=2),
        "dicom cut": film()[:-40],
    }
    return {name: File(each) for name, each in data.items()}


_GREY: dict[str, dict[str, Any]] = {
    "window": {},
    "narrow window": {"WindowCenter": 1500, "WindowWidth": 700},
    "window of one": {"WindowCenter": int(levels_of(12)[24, 32]), "WindowWidth": 1},
    "two windows": {"WindowCenter": [1500, 9], "WindowWidth": [700, 9]},
    "exact window": {
        "VOILUTFunction": "LINEAR_EXACT",
        "WindowCenter": 1500,
        "WindowWidth": 700,
    },
    "sigmoid": {"VOILUTFunction": "SIGMOID", "WindowCenter": 1500, "WindowWidth": 700},
    "no window": {"WindowCenter": None, "WindowWidth": None},
    "rescaled": {"RescaleSlope": 2, "RescaleIntercept": -1000, "WindowWidth": 6000},
    "negative slope": {"RescaleSlope": -1, "RescaleIntercept": 4095},
    "modality LUT": {"ModalityLUTSequence": [lut(_RAMP * 16, 0, 16)], "WindowWidth": 60000},
    "VOI LUT": {"VOILUTSequence": [lut(_RAMP**2 // 4096, 0, 12)]},
    "VOI LUT of 8 bits": {"VOILUTSequence": [lut(_RAMP // 16, 0, 8)]},
    "MONOCHROME1": {"PhotometricInterpretation": "MONOCHROME1"},
    "inverse shape": {"PresentationLUTShape": "INVERSE"},
    "for processing": {"PresentationIntentType": "FOR PROCESSING"},
    "modality MG": {"Modality": "MG"},
    "modality not said": {"Modality": None},
    "study": {"BodyPartExamined": "CHEST", "ViewPosition": "AP", "PatientAge": "018M"},
    "age of two dates": {"PatientBirthDate": "20170302", "StudyDate": "20230301"},
    "upside down": {"PatientOrientation": ["R", "H"]},
    "on its side": {"PatientOrientation": ["F", "L"]},
    "front along a row": {"PatientOrientation": ["A", "F"]},
    "no orientation": {"PatientOrientation": ["X", "Y"]},
    "second of two windows": {"WindowCenter": [6000, 2048], "WindowWidth": [5000, 4096]},
    "empty LUT": {"VOILUTSequence": [Dataset()]},
    "modality DR": {"Modality": "DR"},
    "no high bit": {"HighBit": None},
    "MONOCHROME 2": {"PhotometricInterpretation": "MONOCHROME 2"},
    "age without a number": {"PatientAge": "999Y"},
    "dog": {"PatientSpeciesDescription": "DOG"},
    "bone image": {"ImageType": ["DERIVED", "PRIMARY", "BONE"]},
    "quality control": {"QualityControlImage": "YES"},
    "side by its texts": {"ImageLaterality": "L", "SeriesDescription": "Thorax seitlich"},
}


def _dicoms() -> dict[str, File]:
    lossless = {
        "implicit": dicoms.IMPLICIT,
        "big-endian": dicoms.BIG_ENDIAN,
        "deflated": dicoms.DEFLATED,
        "RLE": dicoms.RLE,
        "JPEG lossless": dicoms.JPEG_LOSSLESS_SV1,
        "JPEG-LS": dicoms.JPEG_LS,
        "JPEG 2000 lossless": dicoms.J2K_LOSSLESS,
    }
    tagged = IntakeSettings(50, _ANYONE, identity_fields=("AccessionNumber",))
    signed = film(levels_of(12, signed=True))
    large = scene(801, 1001).astype(np.uint16) * 16
    return {
        "dicom of twice the pixels": File(film(large)),
        "dicom JPEG 2000 of twice the pixels": File(film(large, syntax=dicoms.J2K_LOSSLESS)),
        **{f"dicom {name}": File(film(syntax=syntax)) for name, syntax in lossless.items()},
        **{f"dicom {name}": File(film(**elements)) for name, elements in _GREY.items()},
        "dicom signed": File(signed),
        "dicom grey as RGB": File(colours("RGB")),
        "dicom grey as YBR": File(colours("YBR_FULL_422")),
        "dicom in colours": File(colours("RGB", tint=40)),
        "dicom palette": File(palette(np.arange(256))),
        "dicom collimated": File(film(np.pad(levels_of(12)[:36], ((0, 12), (6, 6))))),
        "dicom two offsets": File(with_offsets(2)),
        "dicom of 8 bits": File(film(levels_of(8), bits=8)),
        "dicom of 16 bits": File(film(levels_of(16), bits=16)),
        "dicom identifier": File(film(AccessionNumber=" A-17 "), settings=tagged),
        "dicom under the name of a png": File(film(), "film.png"),
        "dicom behind a program": File(b"MZ" + film()[2:]),
        "dicom JPEG baseline": File(
            film(levels_of(8), bits=8, syntax=dicoms.JPEG_BASELINE), lossy=True
        ),
    }


def planes() -> dict[str, tuple[Pixels, Extent | None]]:
    """Grey levels whose preprocessing is pinned, with the extent of the film in them."""
    plain = scene(480, 641)
    shuttered = np.pad(plain, ((20, 20), (30, 30)))
    films = {
        "scene": plain,
        "rings": golden_image("rings", 385)[:, :, 0],
        "as large as a view": golden_image("cloudy", 384)[:, :, 0],
        "large": golden_image("cloudy", 1000)[:700, :, 0],
        "narrow": scene(200, 3),
        "one pixel": np.full((1, 1), 77, np.uint8),
        "of one level": np.full((60, 90), 77, np.uint8),
        "white border": np.pad(plain, 25, constant_values=255),
        "grey border": np.pad(plain, ((30, 8), (80, 61)), constant_values=97),
        "border that is just even enough": _uneven(plain, 8),
        "border that is too uneven": _uneven(plain, 9),
        "border in a border": np.pad(shuttered, 25, constant_values=255),
        "border of 1 %": np.pad(scene(490, 641), ((5, 5), (30, 30))),
        "border of less than 1 %": np.pad(scene(490, 641), ((5, 6), (30, 30))),
        "margins on three sides": np.pad(plain, ((0, 20), (30, 30))),
    }
    return {
        **{name: (pixels, None) for name, pixels in films.items()},
        "edge inside the last pixels": (plain, (640.5, 479.25)),
        "border, edge inside it": (np.pad(plain, 9), (658.5, 497.5)),
    }


def _uneven(inside: Pixels, levels: int) -> Pixels:
    """A border whose darkest and brightest pixels are so many levels apart."""
    bordered = np.pad(inside, 20, constant_values=240)
    bordered[0, 0] += levels
    return bordered
