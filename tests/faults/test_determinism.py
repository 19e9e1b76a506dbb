"""The same bytes, model and settings give the same CSV, byte for byte."""

from __future__ import annotations

import os
import random
from pathlib import Path

import pytest

from tests.cli.installed import installed
from tests.faults.conftest import Figures
from tests.faults.night import INCOMPLETE, Ward, csv_of, cxr_edge, in_pairs, write_films
from tests.faults.tiers import SEED

# Many whole runs over the same films.
pytestmark = [installed, pytest.mark.slow]

WAYS = [(batch, workers) for batch in (1, 5, 32) for workers in (1, 2)]


@pytest.mark.parametrize("model", ["tiny", "cnn3_128"])
def test_batches_workers_and_order(
    model: str, tiny: Path, tmp_path: Path, figures: Figures
) -> None:
    ward = Ward(write_films(tmp_path / "in", 60), tiny if model == "tiny" else Path(model))
    names = sorted(os.fspath(path) for path in ward.films.iterdir())
    rng = random.Random(SEED)

    def run(way: tuple[int, int]) -> bytes:
        batch, workers = way
        place = tmp_path / f"{batch}-{workers}"
        ended = cxr_edge(
            [
                *("score", "--files-from", "-", "--model", str(ward.model), "-q", "--settle", "0"),
                *("--state", str(place / "state"), "--out", str(place / "out")),
                *("--batch-size", str(batch), "--workers", str(workers)),
            ],
            input="\n".join(rng.sample(names, len(names))).encode(),
        )
        assert ended.returncode == INCOMPLETE, ended.stderr.decode()
        return csv_of(place / "out")

    reports = in_pairs(run, WAYS)
    figures(runs=len(reports), different=len(set(reports)))
    assert len(set(reports)) == 1
    assert reports[0].count(b"\n") == len(names) + 1
