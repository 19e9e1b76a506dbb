"""Large DICOM films, which are decoded to fewer pixels: cuts, mutants, and what is not seen so."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from cxr_edge.images import decode
from tests.faults.conftest import Figures
from tests.faults.cuts import CUTS, NAMED, cut_short, damaged, zero_filled
from tests.faults.decoding import SETTINGS, deaths_without_a_row, decoded, within_limits
from tests.faults.tiers import SEED, tier
from tests.images import dicoms
from tests.images.damage import MUTATIONS, outcome
from tests.images.dicoms import film as dicom
from tests.images.dicoms import with_code_stream
from tests.images.films import Levels, encode, scene

# Hundreds of films of a megapixel.
pytestmark = pytest.mark.slow

MUTANTS = tier(300, 3_000)
FLIPS = tier(12, 300)
_SHAPE = (900, 1_150)  # decoded at a half


@cache
def detector(bits: int = 12) -> Levels:
    """The made film with grain, so that it compresses as films do."""
    grain = np.random.default_rng(SEED).normal(0, 2, _SHAPE)
    levels = (scene(*_SHAPE) + grain).clip(0, 255) * ((2**bits - 1) / 255)
    stored: Levels = levels.astype(np.uint8 if bits == 8 else np.uint16)
    return stored


def tiled() -> bytes:
    """JPEG 2000 in tiles."""
    stream = encode(detector(16), "JPEG2000", no_jp2=True, tile_size=(256, 256))
    return with_code_stream(stream, detector(16), 16, dicoms.J2K_LOSSLESS)


@cache
def films() -> dict[str, bytes]:
    """One film in each syntax that is reduced on the way or as soon as it is there."""
    made = {
        "plain": dicom(detector()),
        "big endian": dicom(detector(), syntax=dicoms.BIG_ENDIAN),
        "rle": dicom(detector(), syntax=dicoms.RLE),
        "rle 8 bit": dicom(detector(8), bits=8, syntax=dicoms.RLE),
        "jpeg lossless": dicom(detector(), syntax=dicoms.JPEG_LOSSLESS_SV1),
        "jpeg 2000 lossless": dicom(detector(), syntax=dicoms.J2K_LOSSLESS),
        "jpeg 2000": dicom(detector(), syntax=dicoms.J2K),
    }
    return {**made, "jpeg 2000 in tiles": tiled()}


def test_the_films_are_reduced() -> None:
    reductions = {
        name: decode(data, "", at_least=SETTINGS.at_least).reduction
        for name, data in films().items()
    }
    assert reductions == dict.fromkeys(films(), 2)


def test_no_copy_that_stopped_is_scored(tmp_path: Path, figures: Figures) -> None:
    cuts = dict(damaged(list(films().items()), cut_short))
    seen = decoded(cuts.items(), tmp_path)
    accepted = [each.name for each in seen if each.accepted]
    figures(cuts=len(cuts), outcomes=dict(Counter(e.outcome for e in seen)), accepted=accepted)
    assert len(seen) > 0.9 * CUTS * len(films())
    assert accepted == []
    assert {each.outcome for each in seen} <= NAMED
    assert within_limits(seen)


def test_no_zero_filled_copy_of_a_code_stream_is_scored(tmp_path: Path, figures: Figures) -> None:
    plain = ("plain", "big endian")
    streams = [(name, data) for name, data in films().items() if name not in plain]
    copies = dict(damaged(streams, zero_filled))
    seen = decoded(copies.items(), tmp_path)
    accepted = [each.name for each in seen if each.accepted]
    figures(copies=len(copies), accepted=accepted)
    assert accepted == []
    assert within_limits(seen)


def mutated(count: int) -> Iterator[tuple[str, bytes]]:
    """Films with one to three kinds of damage each, in turn."""
    names = list(films())
    for number in range(count):
        rng = random.Random(f"{SEED} {number}")
        data = bytearray(films()[names[number % len(names)]])
        for damage in rng.choices(MUTATIONS, k=rng.randint(1, 3)):
            damage(data, rng)
        yield f"{number} {names[number % len(names)]}", bytes(data)


def test_every_mutant_has_its_row(tmp_path: Path, figures: Figures) -> None:
    seen = decoded(mutated(MUTANTS), tmp_path)
    outcomes = Counter(each.outcome for each in seen)
    figures(
        mutants=len(seen),
        outcomes=dict(outcomes.most_common()),
        slowest_seconds=round(max(each.computing for each in seen), 3),
        most_resident_mb=round(max(each.resident for each in seen) / 1e6),
    )
    assert len(seen) == MUTANTS
    assert outcomes["internal_error"] == 0
    assert deaths_without_a_row(seen) == 0
    assert within_limits(seen)


def test_flipped_bits_that_a_reduced_decode_does_not_see(figures: Figures) -> None:
    """Measured, to be said; what is refused whole and scored reduced lies in what is left out."""
    measured: dict[str, dict[str, float]] = {}
    for name, data in films().items():
        rng = random.Random(f"{SEED} {name}")
        counts = Counter[str]()
        right = decode(data, "", at_least=SETTINGS.at_least).pixels
        for _ in range(FLIPS):
            mutant = bytearray(data)
            mutant[rng.randrange(len(data) // 100, len(data))] ^= 1 << rng.randrange(8)
            whole = outcome(bytes(mutant))
            fewer = outcome(bytes(mutant), SETTINGS.at_least)
            counts["refused whole"] += isinstance(whole, str)
            counts["refused reduced"] += isinstance(fewer, str)
            counts["refused whole alone"] += isinstance(whole, str) > isinstance(fewer, str)
            if not isinstance(fewer, str):
                is_changed = not np.array_equal(fewer.pixels, right)
                counts["scored on other pixels"] += is_changed
        measured[name] = {kind: round(count / FLIPS, 3) for kind, count in counts.items()}
    figures(flips=FLIPS, shares=measured)
    alone = {name for name, shares in measured.items() if shares["refused whole alone"] > 0}
    assert alone <= {name for name in films() if name.startswith("jpeg 2000")}
