"""Films of real size and entropy, made anew from the small ones at hand, each with its own bytes.

The films at hand are squashed to 224 pixels, and blown up they are too smooth: they compress too
well. What a detector would have added is put back as a field with a known spectrum: detail that
falls with 1/f above what 224 pixels hold, and quantum noise through the blur of a screen. Its
strength is set so that a JPEG comes out at the 236 kB of the originals.
"""

from __future__ import annotations

import functools
import json
import os
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from cxr_edge.images import decode
from tests.images import dicoms
from tests.images.films import Levels, encode

ROOT = Path(__file__).resolve().parents[2]
_INCOMING = ROOT / "tests" / "data" / "incoming"
_TRAIN = ROOT.parent / "shared" / "data" / "kermany224" / "train"
_BASES = 200  # of the training films, evenly spread
_SEED = 5
_WIDTH, _HEIGHT, _SPREAD = 1328, 971, 0.25  # each side up to so much smaller or larger
_TINY = 64
_DETECTOR = (2048, 2500)  # pixels, width and height
_FIELD = 2048  # pixels a side; every film takes its grain from another corner
_DETAIL, _GRAIN = 3.0, 4.0  # standard deviations in grey levels of 255
_FILM_LIMIT, _DETAIL_BLUR, _GRAIN_BLUR = 0.06, 0.12, 0.25  # cycles per pixel
_QUALITY = 90
_SETTLE_SECONDS = 12  # `score` watches younger files, and its ledger trusts no stamp of now


@dataclass(frozen=True)
class Kind:
    """A file format of the corpus.

    Attributes:
        suffix: of its files.
        bits: stored per pixel.
        encode: levels -> the file.
        tiny: whether its films are only there to be many.
        of_a_pacs: whether they have the pixels of a digital detector.
    """

    suffix: str
    bits: int
    encode: Callable[[Levels], bytes]
    tiny: bool = False
    of_a_pacs: bool = False


def _dicom(syntax: str, *, of_a_pacs: bool = False) -> Kind:
    encoded = functools.partial(dicoms.film, bits=12, syntax=syntax)
    return Kind(".dcm", 12, encoded, of_a_pacs=of_a_pacs)


def _encoded(image_format: str, **options: Any) -> Callable[[Levels], bytes]:
    return lambda levels: encode(levels, image_format, **options)


KINDS = {
    "jpeg": Kind(".jpeg", 8, _encoded("JPEG", quality=_QUALITY)),
    "png16": Kind(".png", 16, _encoded("PNG")),
    "dicom": _dicom(dicoms.EXPLICIT),
    "dicom_jpeg_lossless": _dicom(dicoms.JPEG_LOSSLESS_SV1),
    "dicom_jpeg2000": _dicom(dicoms.J2K_LOSSLESS),
    "dicom_rle": _dicom(dicoms.RLE),
    "pacs": _dicom(dicoms.EXPLICIT, of_a_pacs=True),
    "pacs_jpeg2000": _dicom(dicoms.J2K_LOSSLESS, of_a_pacs=True),
    "pacs_jpeg_lossless": _dicom(dicoms.JPEG_LOSSLESS_SV1, of_a_pacs=True),
    "pacs_rle": _dicom(dicoms.RLE, of_a_pacs=True),
    "tiny": Kind(".png", 8, _encoded("PNG", compress_level=1), tiny=True),
}


def main(cache: str, *wanted: str) -> None:
    """Make folders such as `jpeg:600`; where they are and what is in them, to stdout as JSON."""
    folders, about = {}, {}
    for each in sorted(wanted, key=lambda each: int(each.partition(":")[2])):
        kind, _, count = each.partition(":")
        folders[each] = str(corpus(Path(cache), kind, int(count)))
        about[kind] = describe(Path(folders[each]))  # of the largest, in the end
    time.sleep(_SETTLE_SECONDS)
    sys.stdout.write(json.dumps([folders, about]))


def corpus(cache: Path, kind: str, count: int) -> Path:
    """A folder with the first `count` films of a kind; what is there already is not made again.

    Returns:
        The folder. The films lie one folder further down, as Keras wants them.
    """
    made = cache / f"{kind}-{len(_bases())}"
    films = cache / f"{kind}-{len(_bases())}-{count}" / "films"
    for folder in (made, films):
        folder.mkdir(parents=True, exist_ok=True)
    for index in range(count):
        name = f"{index:06d}{KINDS[kind].suffix}"
        if not (made / name).exists():
            _write(made / name, KINDS[kind].encode(levels(KINDS[kind], index)))
        if not (films / name).exists():
            os.link(made / name, films / name)
    return films.parent


def levels(kind: Kind, index: int) -> Levels:
    """One film before encoding: a crop of a small one, blown up, with grain of its own."""
    chance = np.random.default_rng([_SEED, index])
    base = _bases()[chance.integers(len(_bases()))]
    scale = chance.uniform(1 - _SPREAD, 1 + _SPREAD)
    size = (_TINY, _TINY) if kind.tiny else (round(_WIDTH * scale), round(_HEIGHT * scale))
    size = _DETECTOR if kind.of_a_pacs else size
    left, top, right, bottom = chance.uniform(0, 0.06, 4) * base.width
    box = (left, top, base.width - right, base.height - bottom)
    blown_up = base.resize(size, Image.Resampling.BICUBIC, box=box)
    film: NDArray[np.float32] = np.asarray(blown_up).astype(np.float32)
    y, x = chance.integers(0, np.maximum(_FIELD - np.array(film.shape), 1))
    grain = _field().take(range(y, y + film.shape[0]), 0, mode="wrap")  # it goes on at its edges
    grain = grain.take(range(x, x + film.shape[1]), 1, mode="wrap")
    # Quantum noise grows with exposure; a detector's own noise is there in the dark as well.
    film += grain * (0.4 + film / 255)
    full = 2**kind.bits - 1
    stored: NDArray[np.float32] = np.clip(film * (full / 255) + 0.5, 0, full)
    return stored.astype(np.uint8) if kind.bits == 8 else stored.astype(np.uint16)


def describe(folder: Path, sample: int = 20) -> dict[str, float]:
    """What the films of a folder are like: mean size of all, the rest from the first few."""
    paths = sorted(folder.rglob("*.*"))
    pixels = [decode(path.read_bytes(), path.name).pixels for path in paths[:sample]]
    steps = [np.diff(film.astype(np.int16), axis=1) for film in pixels]
    return {
        "films": len(paths),
        "small films they are made of": len(_bases()),
        "kB": sum(path.stat().st_size for path in paths) / len(paths) / 1000,
        "megapixels": float(np.mean([film.size for film in pixels])) / 1e6,
        "entropy of grey levels, bits": float(np.mean([entropy(film) for film in pixels])),
        "entropy of steps between neighbours, bits": float(np.mean([entropy(s) for s in steps])),
    }


def entropy(values: NDArray[Any]) -> float:
    """Shannon's, of first order, in bits per value."""
    counts = np.bincount((values - values.min()).ravel())
    shares = counts[counts > 0] / values.size
    return float(-(shares * np.log2(shares)).sum())


@functools.cache
def _bases() -> list[Image.Image]:
    """The films at hand, 224 pixels a side, grey; the damaged ones stay out."""
    paths = [*_INCOMING.glob("person*"), *_INCOMING.glob("*IM-*")]
    spread = sorted(_TRAIN.rglob("*.jpeg"))
    paths += spread[:: max(1, len(spread) // _BASES)]
    return [Image.open(path).convert("L") for path in sorted(paths)]


@functools.cache
def _field() -> NDArray[np.float32]:
    """Float32 [F, F]: detail and grain by their spectra."""
    white = np.random.default_rng(_SEED).standard_normal((_FIELD, _FIELD))
    spectrum = np.fft.rfft2(white)
    f = np.hypot(np.fft.fftfreq(_FIELD)[:, np.newaxis], np.fft.rfftfreq(_FIELD))
    detail = np.exp(-((f / _DETAIL_BLUR) ** 2)) * (f > _FILM_LIMIT) / np.maximum(f, _FILM_LIMIT)
    grain = np.exp(-((f / _GRAIN_BLUR) ** 2))
    field = np.zeros((_FIELD, _FIELD), np.float32)
    for shape, deviation in ((detail, _DETAIL), (grain, _GRAIN)):
        part = np.fft.irfft2(spectrum * shape)
        field += part * (deviation / part.std())
    return field


def _write(path: Path, content: bytes) -> None:
    """Whole or not at all, should somebody lose patience."""
    unfinished = path.with_suffix(".part")
    unfinished.write_bytes(content)
    unfinished.replace(path)


if __name__ == "__main__":
    main(*sys.argv[1:])
