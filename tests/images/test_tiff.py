"""TIFFs whose strips are not all there, or not all written."""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cxr_edge.errors import ImageError
from cxr_edge.images import decode
from cxr_edge.types import InputWarning, Reason
from tests.images.films import Levels, in_16_bits, scene, tiff, tiff_by_hand

HEIGHT, WIDTH = scene().shape
SIZE = scene().size
INCOMING = Path(__file__).parents[1] / "data" / "incoming"
FILMS = [np.asarray(Image.open(path).convert("L")) for path in sorted(INCOMING.glob("IM-*.jpeg"))]


def strips(levels: Levels, rows: int) -> list[bytes]:
    return [levels[start : start + rows].tobytes() for start in range(0, len(levels), rows)]


def in_planes() -> bytes:
    """The scene in RGB, plane below plane, each in three strips."""
    tags = {258: (8, 8, 8), 262: 2, 277: 3, 278: 20, 284: 2}
    return tiff_by_hand(tags, strips(scene(), 20) * 3)


def upside_down_in_file() -> bytes:
    """The last strip comes first in the file."""
    data = strips(scene(), 24)
    front = tiff_by_hand({278: 24}, data)
    start = len(front) - SIZE
    return tiff_by_hand({278: 24, 273: (start + SIZE // 2, start)}, data[::-1])


def zero_from(data: bytes, cut: int) -> bytes:
    return data[:cut].ljust(len(data), b"\0")


WHOLE = {
    "one strip": tiff_by_hand({}, [scene().tobytes()]),
    "several strips": tiff_by_hand({278: 20}, strips(scene(), 20)),
    "big endian": tiff_by_hand({}, [scene().tobytes()], ">"),
    "16 bit": tiff_by_hand({258: 16}, [in_16_bits().tobytes()]),
    "planes": in_planes(),
    "last strip first": upside_down_in_file(),
    "white is zero": tiff_by_hand({262: 0}, [(255 - scene()).tobytes()]),
}


@pytest.mark.parametrize("data", WHOLE.values(), ids=WHOLE)
def test_whole_file_gives_the_scene(data: bytes) -> None:
    assert np.array_equal(decode(data, "film").pixels, scene())


@pytest.mark.parametrize("data", WHOLE.values(), ids=WHOLE)
def test_zero_filled_tail_of_an_uncompressed_tiff_is_refused_or_doubted(data: bytes) -> None:
    rng = random.Random(20261122)
    for _ in range(200):
        cut = rng.randrange(16, len(data) - 8)
        assert is_noticed(zero_from(data, cut)), cut


def is_noticed(data: bytes) -> bool:
    try:
        return InputWarning.CUT_SHORT in decode(data, "film").warnings
    except ImageError:
        return True


@pytest.mark.parametrize("bits", [8, 16])
def test_zero_filled_tail_of_a_real_film_is_refused_or_doubted(bits: int) -> None:
    rng = random.Random(20261122)
    assert len(FILMS) == 6
    for number in range(200):
        film = FILMS[number % len(FILMS)]
        data = tiff(film if bits == 8 else film.astype(np.uint16) * 16)
        cut = rng.randrange(len(data) - film.size * bits // 8, len(data) - 8)
        assert is_noticed(zero_from(data, cut)), cut


COMPRESSED = {
    "packbits in strips": {"compression": "packbits", "strip_size": 640},
    "deflate in strips": {"compression": "tiff_adobe_deflate", "strip_size": 640},
    "jpeg": {"compression": "jpeg", "quality": 95},
}


@pytest.mark.parametrize("options", COMPRESSED.values(), ids=COMPRESSED)
def test_zero_filled_tail_of_a_compressed_tiff_never_gives_other_pixels(
    options: dict[str, object],
) -> None:
    data = tiff(**options)
    whole = decode(data, "film").pixels
    rng = random.Random(20261122)
    refused = 0
    for _ in range(200):
        try:
            made = decode(zero_from(data, rng.randrange(16, len(data) - 1)), "film").pixels
        except ImageError:
            refused += 1
        else:
            assert np.array_equal(made, whole)
    assert refused > 150


JPEG_STRIP = b"\xff\xd8 \xff\xda \xff\xd9"

REFUSED = {
    "JPEG strip without an end": (tiff_by_hand({259: 7}, [JPEG_STRIP[:-2]]), Reason.TRUNCATED),
    "a strip outside the file": (tiff_by_hand({273: 10**6}, [scene().tobytes()]), Reason.TRUNCATED),
    "a strip at 0": (tiff_by_hand({273: 0}, [scene().tobytes()]), Reason.TRUNCATED),
    "fewer strips than rows": (
        tiff_by_hand({278: 20}, strips(scene(), 20)[:2]),
        Reason.TRUNCATED,
    ),
    "no rows in a strip": (tiff_by_hand({278: 0}, [scene().tobytes()]), Reason.CORRUPT),
    "compressed strip outside the file": (
        tiff_by_hand({259: 32773, 273: 10**6}, [bytes(100)]),
        Reason.TRUNCATED,
    ),
    "compression without an end": (
        tiff_by_hand({259: 34925}, [bytes(100)]),
        Reason.UNSUPPORTED_FORMAT,
    ),
    "uncompressed tiles": (
        tiff_by_hand({322: WIDTH, 323: HEIGHT, 324: 200, 325: SIZE}, [scene().tobytes()]),
        Reason.UNSUPPORTED_FORMAT,
    ),
}


@pytest.mark.parametrize(("data", "reason"), REFUSED.values(), ids=REFUSED)
def test_refused(data: bytes, reason: Reason) -> None:
    with pytest.raises(ImageError) as caught:
        decode(data, "film")
    assert caught.value.reason is reason
