"""RLE segments: each unpacks to as many bytes as the film has, and nothing is left over."""

from __future__ import annotations

import random
import struct

import numpy as np
import pytest

from cxr_edge.errors import ImageError
from cxr_edge.images import dicom_codecs
from cxr_edge.images.dicom_codecs import ImagePixel, rle
from cxr_edge.types import Reason
from tests.images import dicoms

IMAGE = ImagePixel(5, 100, 8, 8, 7, False, "MONOCHROME2")
SIZE = IMAGE.rows * IMAGE.columns


def frame(segment: bytes) -> bytes:
    return struct.pack("<16L", 1, 64, *[0] * 14) + segment


def literal(values: bytes) -> bytes:
    return bytes((len(values) - 1,)) + values


def run(value: int, count: int) -> bytes:
    return bytes((257 - count, value))


def commands(rng: random.Random, size: int) -> tuple[bytes, bytes]:
    """A segment that unpacks to so many bytes, and these; now and then with a command for none."""
    segment, unpacked = b"", b""
    while len(unpacked) < size:
        count = min(rng.randint(2, 128), size - len(unpacked))
        if rng.random() < 0.5 or count == 1:
            values = bytes(rng.choices(range(256), k=count))
            segment += literal(values)
        else:
            values = bytes((rng.randrange(256),)) * count
            segment += run(values[0], count)
        unpacked += values
        segment += b"\x80" * (rng.random() < 0.1)
    return segment, unpacked


@pytest.mark.parametrize("padding", [b"", b"\0", b"\0\0", b"\0" * 300, b"\x80", b"\0\x80"])
def test_a_segment_and_its_padding(padding: bytes) -> None:
    rng = random.Random(7)
    for _ in range(50):
        segment, unpacked = commands(rng, SIZE)
        assert rle(frame(segment + padding), IMAGE).tobytes() == unpacked


SURPLUS = {
    "one more, in the last run": lambda: literal(bytes(100)) * 4 + run(3, 101),
    "one more, in the last literal": lambda: run(3, 100) * 4 + literal(bytes(101)),
    "a whole row more": lambda: run(3, 100) * 6,
    "as much as a run more": lambda: run(3, 100) * 5 + run(3, 128),
    # What is put behind a segment to measure it, already in it.
    "its own measure": lambda: run(3, 100) * 5 + dicom_codecs._LAST_RUN,
    "its own measure and more": lambda: run(3, 100) * 5 + dicom_codecs._LAST_RUN + run(3, 128),
    "one less": lambda: run(3, 100) * 4 + run(3, 99),
    "a literal that is cut off": lambda: run(3, 100) * 4 + literal(bytes(100))[:-1],
    "a run that is cut off": lambda: run(3, 100) * 4 + run(3, 100)[:-1],
    "other bytes behind it": lambda: run(3, 100) * 5 + b"\1",
    "nothing": lambda: b"",
}


@pytest.mark.parametrize("name", SURPLUS)
def test_a_segment_of_another_size(name: str) -> None:
    with pytest.raises(ImageError) as caught:
        rle(frame(SURPLUS[name]()), IMAGE)
    assert caught.value.reason is Reason.CORRUPT


def test_a_segment_that_ends_in_its_own_measure() -> None:
    segment = run(3, 93) * 4 + dicom_codecs._LAST_RUN
    assert rle(frame(segment), IMAGE).tobytes() == b"\3" * 372 + bytes(range(128))


def outcome(unpack: object, segment: bytes) -> bytes | Reason:
    try:
        return bytes(unpack(segment, SIZE))  # type: ignore[operator]
    except ImageError as error:
        return error.reason


def test_damage_is_told_as_by_a_walk() -> None:
    """The quick way and the walk over every command agree on each of 5,000 mutants."""
    rng = random.Random(11)
    for _ in range(5000):
        segment, _ = commands(rng, SIZE + rng.choice((0, 0, 0, 1, -1, 128, 200)))
        mutant = bytearray(segment + b"\0" * rng.randint(0, 2))
        if rng.random() < 0.7:
            mutant[rng.randrange(len(mutant))] ^= 1 << rng.randrange(8)
        found = outcome(dicom_codecs._unpack_bits, bytes(mutant))
        assert found == outcome(dicom_codecs._unpacked_after_walk, bytes(mutant))


def test_an_ordinary_film_takes_no_walk(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dicom_codecs, "_unpacked_after_walk", None)
    levels = dicoms.levels_of(12)
    rows, columns = levels.shape
    image = ImagePixel(rows, columns, 16, 12, 11, False, "MONOCHROME2")
    words = rle(dicoms.rle_stream(levels, 12), image).reshape(rows, columns)
    assert np.array_equal(words, levels)
