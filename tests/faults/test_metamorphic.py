"""What one file is must not touch another: whole nights, with and without company."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from cxr_edge.cli.commands import cli
from tests.cli.reports import csv_rows
from tests.factories import write_tree
from tests.faults.conftest import Figures
from tests.faults.corpus import seeds
from tests.faults.damaged import mutant
from tests.faults.tiers import SEED, tier

Row = dict[str, str]

FILMS, STRANGERS = 12, 24
OWN = {"rank", "duplicate_of"}  # what a row says about the others
BANDS = ["attention", "flagged", "unflagged"]


def night(files: dict[str, bytes], folder: Path, model: Path) -> dict[str, Row]:
    """The rows of a fresh run over these files."""
    write_tree(folder / "in", files)
    options = ["--model", model, "--state", folder / "state", "--out", folder / "out"]
    arguments = ["score", folder / "in", *options, "--settle", 0, "-q"]
    cli.main(list(map(str, arguments)), standalone_mode=False)
    rows = csv_rows(folder / "out")
    bands = [BANDS.index(row["band"]) for row in rows]
    assert bands == sorted(bands)
    assert [row["rank"] for row in rows] == [str(rank) for rank in range(1, len(files) + 1)]
    return {row["path"]: row for row in rows}


def about_itself(row: Row) -> Row:
    """Without what changes when a file is added; the time is that of writing."""
    return {key: value for key, value in row.items() if key not in OWN | {"modified_utc"}}


@pytest.mark.parametrize("turn", range(tier(1, 100)))
def test_company_changes_no_row(turn: int, tiny: Path, tmp_path: Path, figures: Figures) -> None:
    """Broken files, strange ones, and copies under other names, in front, between and behind."""
    rng = random.Random(f"{SEED} company {turn}")
    chosen = rng.sample(list(seeds().values()), FILMS)
    films = {f"m{number}": data for number, data in enumerate(chosen)}
    copies = {rng.choice("az") + name: data for name, data in films.items()}
    strangers = {
        f"{rng.choice('bmz')}-{number}": mutant(rng.randrange(10**9)) for number in range(STRANGERS)
    }
    alone = night(films, tmp_path / "alone", tiny)
    among = night(films | copies | strangers, tmp_path / "among", tiny)
    scored = [path for path, row in alone.items() if row["status"] == "scored"]
    figures(films=FILMS, scored=len(scored), files_added=len(copies) + len(strangers))
    assert scored
    assert {path: about_itself(among[path]) for path in films} == {
        path: about_itself(row) for path, row in alone.items()
    }
    for copy in copies:
        expected = {**about_itself(alone[copy[1:]]), "path": copy}
        assert about_itself(among[copy]) == expected
