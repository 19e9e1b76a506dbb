"""Thousands of damaged films through a real decoder process: a row for each, and nothing else."""

from __future__ import annotations

import itertools
import random
import struct
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.faults.conftest import Figures
from tests.faults.corpus import seeds
from tests.faults.decoding import DEATHS, Seen, decoded, within_limits
from tests.faults.tiers import SEED, tier

Mutation = Callable[[bytearray, random.Random], None]

_HEADER = 256
_EXTREMES = [
    struct.pack(order + kind, value)
    for order in "<>"
    for kind, bits in (("H", 16), ("I", 32), ("Q", 64))
    for value in (0, 1, 2 ** (bits - 1) - 1, 2 ** (bits - 1), 2**bits - 2, 2**bits - 1)
]


def flip_bits(data: bytearray, rng: random.Random) -> None:
    for _ in range(rng.randint(1, 8)):
        data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)


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


def deaths_without_a_row(seen: list[Seen]) -> int:
    """How often another process answers than the time before, and no film was blamed."""
    processes = [each.process for each in seen]
    rows = [each.prepared.result.reason in DEATHS for each in seen]
    changed = [now != before for before, now in itertools.pairwise(processes)]
    return sum(c and not row for c, row in zip(changed, rows[1:], strict=True))


def keep(seen: list[Seen], folder: Path) -> list[str]:
    """The mutants that killed a decoder or met a defect, for whoever looks into it."""
    unwanted = {*DEATHS, "internal_error"}
    names = [each.name for each in seen if each.outcome in unwanted]
    for name in names:
        (folder / f"{SEED}-{name}").write_bytes(mutant(int(name)))
    return names


def test_every_mutant_has_its_row(
    tmp_path: Path, figures: Figures, caplog: pytest.LogCaptureFixture
) -> None:
    count = tier(5_000, 50_000)
    seen = decoded(mutants(count), tmp_path)
    outcomes = Counter(each.outcome for each in seen)
    figures(
        mutants=count,
        outcomes=dict(outcomes.most_common()),
        kept=keep(seen, tmp_path),
        kept_in=str(tmp_path),
        slowest_seconds=round(max(each.computing for each in seen), 3),
        most_resident_mb=round(max(each.resident for each in seen) / 1e6),
    )
    assert [each.name for each in seen] == [str(number) for number in range(count)]
    assert outcomes["internal_error"] == 0, caplog.text
    assert deaths_without_a_row(seen) == 0
    assert within_limits(seen)
    # Neither all nor nothing: else the mutants would not get to the decoders, or not be damaged.
    assert 0.05 * count < outcomes["accepted"] < 0.5 * count
