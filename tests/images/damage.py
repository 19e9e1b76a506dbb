"""Damage to a film's bytes, and the outcome of decoding them."""

from __future__ import annotations

import random

import numpy as np

from cxr_edge.errors import ImageError
from cxr_edge.images import decode
from cxr_edge.types import DecodedImage, Reason


def cuts(data: bytes, count: int = 60) -> list[int]:
    """Lengths from nothing to all but the last byte."""
    return sorted({*np.linspace(1, len(data) - 1, count).astype(int).tolist(), len(data) - 2})


def outcome(data: bytes, at_least: int = 0) -> DecodedImage | Reason:
    """What decoding gives; anything but an `ImageError` is the test's failure."""
    try:
        return decode(data, "film", at_least=at_least)
    except ImageError as error:
        return error.reason


def flip_bits(data: bytearray, rng: random.Random) -> None:
    for _ in range(rng.randint(1, 8)):
        data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)


def damage_header(data: bytearray, rng: random.Random) -> None:
    start = rng.randrange(min(200, len(data)))
    data[start : start + 4] = rng.choice((b"\0\0\0\0", b"\xff\xff\xff\xff", rng.randbytes(4)))


def cut_out(data: bytearray, rng: random.Random) -> None:
    start = rng.randrange(len(data))
    del data[start : start + rng.randint(1, 64)]


def insert(data: bytearray, rng: random.Random) -> None:
    start = rng.randrange(len(data))
    data[start:start] = rng.randbytes(rng.randint(1, 64))


def zero_out(data: bytearray, rng: random.Random) -> None:
    start = rng.randrange(len(data))
    length = min(rng.randint(1, 256), len(data) - start)
    data[start : start + length] = bytes(length)


MUTATIONS = (flip_bits, damage_header, cut_out, insert, zero_out)
