"""Copies that stopped half-way, at 200 places in every format: none is scored on other pixels."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from cxr_edge.images import decode
from cxr_edge.types import InputWarning
from tests.faults.conftest import Figures
from tests.faults.corpus import (
    Film,
    compressed,
    encapsulated,
    films,
    high_throughput,
    native,
    stored,
)
from tests.faults.cuts import CUTS, NAMED, Whole, cut_short, damaged, zero_filled
from tests.faults.decoding import decoded, within_limits
from tests.faults.tiers import LONG, SEED, tier

# Thousands of cuts; images/test_dicom_damage and test_tail make some.
pytestmark = pytest.mark.slow

FLIPS = tier(300, 3_000)

# Of a row: the end of the last one, black, is no less likely a corner of the film than a cut.
CORNER = 0.02


def whole(film: str, levels: Film) -> list[Whole]:
    """One film in every format that is scored; the quick tier takes the real ones where the content

    decides: without a checksum or an end marker, a cut is told from a black border by its shape.
    """
    made = stored(levels) | native(levels)
    if LONG or film == "scene":
        made |= compressed(levels) | encapsulated(levels)
    if film == "scene":
        made |= high_throughput()
    return list(made.items())


def lost(cut: bytes, data: bytes) -> int:
    """Pixels that are not what they were."""
    return int((decode(cut, "film").pixels != decode(data, "film").pixels).sum())


@pytest.mark.parametrize("film", films())
def test_whole_files_are_accepted(film: str, tmp_path: Path) -> None:
    """What the cuts are made in: else a refused cut would prove nothing."""
    seen = decoded(whole(film, films()[film]), tmp_path)
    assert [(each.name, each.outcome) for each in seen if not each.accepted] == []


@pytest.mark.parametrize("film", films())
@pytest.mark.parametrize("damage", [cut_short, zero_filled], ids=lambda damage: damage.__name__)
def test_no_cut_is_scored_on_other_pixels(
    damage: Callable[[bytes, int], bytes], film: str, tmp_path: Path, figures: Figures
) -> None:
    wholes = whole(film, films()[film])
    cuts = dict(damaged(wholes, damage))
    seen = decoded(cuts.items(), tmp_path)
    # At the edge of a row the end of a copy looks as that of a collimated film: a doubt says so.
    doubted = [
        each.name for each in seen if InputWarning.CUT_SHORT in each.prepared.result.warnings
    ]
    accepted = [each.name for each in seen if each.accepted and each.name not in doubted]
    corner = CORNER * films()[film].shape[1]
    wrong = [
        name
        for name in accepted
        if lost(cuts[name], dict(wholes)[name.partition(" at ")[0]]) > corner
    ]
    figures(
        formats=len(wholes),
        cuts=len(cuts),
        outcomes=dict(Counter(each.outcome for each in seen)),
        accepted=accepted,
        doubted=doubted,
        slowest_seconds=round(max(each.computing for each in seen), 3),
    )
    assert len(seen) == len(cuts) > 0.9 * CUTS * len(wholes)
    assert wrong == []
    assert len(doubted) < len(cuts) / 4
    assert {each.outcome for each in seen} <= {"accepted", *NAMED}
    assert within_limits(seen)


def flipped(name: str, data: bytes) -> Iterator[tuple[str, bytes]]:
    """One bit each, anywhere in the file."""
    rng = random.Random(f"{SEED} {name}")
    for number in range(FLIPS):
        mutant = bytearray(data)
        mutant[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
        yield f"{number} {name}", bytes(mutant)


def test_single_flipped_bits(tmp_path: Path, figures: Figures) -> None:
    """What cannot be found out is measured, to be said: only PNG has checksums."""
    wholes = dict(whole("scene", films()["scene"]))
    mutants = [pair for name, data in wholes.items() for pair in flipped(name, data)]
    right = {each.name: each.picture for each in decoded(wholes.items(), tmp_path)}
    wrong = Counter[str]()
    for each in decoded(mutants, tmp_path):
        name = each.name.partition(" ")[2]
        wrong[name] += each.accepted and each.picture != right[name]
    share = {name: round(wrong[name] / FLIPS, 3) for name in wholes}
    figures(flips=FLIPS, scored_on_wrong_pixels=share)
    assert {name for name in share if name.startswith("png") and wrong[name]} == set()
    assert share["jpeg"] > 0.5  # else the manual promises too little
