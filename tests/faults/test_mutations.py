"""Thousands of damaged films through a real decoder process: a row for each, and nothing else."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from tests.faults.conftest import Figures
from tests.faults.damaged import mutant, mutants
from tests.faults.decoding import DEATHS, Seen, deaths_without_a_row, decoded, within_limits
from tests.faults.tiers import SEED, tier

# Thousands of films.
pytestmark = pytest.mark.slow


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
