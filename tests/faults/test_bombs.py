"""Hostile files through a real decoder process: refused, each soon and in little memory."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.faults.bombs import BOMBS, HARMLESS
from tests.faults.conftest import Figures
from tests.faults.decoding import Seen, decoded, within_limits


def worst(seen: list[Seen]) -> dict[str, object]:
    slowest = max(seen, key=lambda each: each.computing)
    return {
        "slowest": slowest.name,
        "slowest_seconds": round(slowest.computing, 3),
        "most_resident_mb": round(max(each.resident for each in seen) / 1e6),
        "outcomes": {each.name: each.outcome for each in seen},
    }


@pytest.mark.slow
def test_bombs_are_not_scored(tmp_path: Path, figures: Figures) -> None:
    seen = decoded([(name, make()) for name, make in BOMBS.items()], tmp_path)
    figures(bombs=len(seen), **worst(seen))
    assert [each.name for each in seen] == list(BOMBS)
    assert [each.name for each in seen if each.accepted] == []
    unwanted = {"internal_error", "decoder_crashed", "timeout"}
    assert {each.name for each in seen if each.outcome in unwanted} == set()
    assert within_limits(seen)


def test_films_with_something_silly_inside_stay_cheap(tmp_path: Path, figures: Figures) -> None:
    """Refused or scored: nothing is wrong with their pixels."""
    seen = decoded([(name, make()) for name, make in HARMLESS.items()], tmp_path)
    figures(films=len(seen), **worst(seen))
    assert {each.outcome for each in seen} <= {"accepted", "corrupt", "voi_unsupported"}
    assert within_limits(seen)
