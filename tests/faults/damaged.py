"""Damaged films, as many as are wanted: the same for the same seed and number."""

from __future__ import annotations

import random
import struct
from collections.abc import Callable, Iterator

from tests.faults.corpus import seeds
from tests.faults.tiers import SEED
from tests.images.damage import flip_bits

Mutation = Callable[[bytearray, random.Random], None]
_HEADER = 256
_EXTREMES = [
    struct.pack(order + kind, value)
    for order in "<>"
    for kind, bits in (("H", 16), ("I", 32), ("Q", 64))
    for value in (0, 1, 2 ** (bits - 1) - 1, 2 ** (bits - 1), 2**bits - 2, 2**bits - 1)
]


def splice(data: bytearray, rng: random.Random) -> None:
    """The head of one file and the tail of another."""
    other = rng.choice(list(seeds().values()))
    data[rng.randrange(len(data)) :] = other[rng.randrange(len(other)) :]


def cut_off(data: bytearray, rng: random.Random) -> None:
    del data[rng.randrange(len(data)) :]


def zero_run(data: bytearray, rng: random.Random) -> None:
    start = rng.randrange(len(data))
    length = min(rng.choice((4, 64, 1024)), len(data) - start)
    data[start : start + length] = bytes(length)


def edit_header(data: bytearray, rng: random.Random) -> None:
    for _ in range(rng.randint(1, 4)):
        data[rng.randrange(min(_HEADER, len(data)))] = rng.randrange(256)


def extreme_number(data: bytearray, rng: random.Random) -> None:
    """A length, size, count or offset, in the header more often than behind it."""
    value = rng.choice(_EXTREMES)
    start = rng.randrange(rng.choice((min(_HEADER, len(data)), len(data))))
    data[start : start + len(value)] = value


def double_chunk(data: bytearray, rng: random.Random) -> None:
    start, length = rng.randrange(len(data)), rng.randint(1, 512)
    where = rng.choice((start, rng.randrange(len(data))))
    data[where:where] = bytes(data[start : start + length]) * rng.choice((1, 1, 40))


MUTATIONS: tuple[Mutation, ...] = (
    *(flip_bits, splice, cut_off, zero_run),
    *(edit_header, extreme_number, double_chunk),
)


def mutant(number: int) -> bytes:
    """The same bytes for the same seed and number."""
    rng = random.Random(f"{SEED} {number}")
    data = bytearray(rng.choice(list(seeds().values())))
    for mutate in rng.choices(MUTATIONS, k=rng.choice((1, 1, 2, 3))):
        if data:
            mutate(data, rng)
    return bytes(data)


def mutants(count: int) -> Iterator[tuple[str, bytes]]:
    return ((str(number), mutant(number)) for number in range(count))
