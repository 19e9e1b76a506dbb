"""docs/upgrade.md: what becomes of an older ledger, and what a backup of one holds."""

from __future__ import annotations

import json
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from cxr_edge.ledger import schema
from cxr_edge.ledger.file import LEDGER_NAME
from cxr_edge.ledger.runs import open_ledger, read_ledger
from tests import factories
from tests.cli.conftest import Run
from tests.cli.conftest import run as run  # a fixture
from tests.ledger.entries import SETTINGS, entry

# As commit 6d63117 made it, the first with a ledger.
VERSION_1 = """
CREATE TABLE run (
    number INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    recipe TEXT NOT NULL,
    context TEXT
);
CREATE TABLE item (
    run INTEGER NOT NULL REFERENCES run (number) ON DELETE CASCADE,
    path BLOB NOT NULL,
    stamp TEXT,
    sha256 BLOB,
    display TEXT NOT NULL,
    status TEXT NOT NULL,
    reason TEXT,
    probability REAL,
    warnings TEXT NOT NULL,
    width INTEGER,
    height INTEGER,
    format TEXT NOT NULL,
    modified_utc TEXT NOT NULL,
    identifier TEXT NOT NULL,
    UNIQUE (path, run)
);
CREATE INDEX item_run ON item (run);
CREATE INDEX item_sha256 ON item (sha256);
PRAGMA application_id = 0x63787265;
PRAGMA user_version = 1;
PRAGMA journal_mode = WAL;
"""
FILM = Path(__file__).parents[1] / "data/incoming/person1053_bacteria_2987.jpeg"
NOW = schema.SCHEMA_VERSION
RUN = "20261123T004300.000000Z"


@pytest.fixture
def state(tmp_path: Path) -> Path:
    """A state folder with one finished run of the first version."""
    folder = tmp_path / "state"
    folder.mkdir()
    context = factories.context(run_id=RUN).to_dict()
    for added_later in ("profile", "thumbnails", "directory", "recalled"):
        del context[added_later]
    film = ("film.png", None, None, "film.png", "not_scored", "empty", None, "[]")
    with closing(sqlite3.connect(folder / LEDGER_NAME)) as connection, connection:
        connection.executescript(VERSION_1)
        values = (RUN, "of an older version", json.dumps(context))
        connection.execute("INSERT INTO run VALUES (1, ?, ?, ?)", values)
        connection.execute(
            "INSERT INTO item VALUES (1, ?, ?, ?, ?, ?, ?, ?, ?, NULL, NULL, '', '', '')", film
        )
    return folder


def version_of(folder: Path) -> int:
    with closing(sqlite3.connect(folder / LEDGER_NAME)) as connection:
        return int(connection.execute("PRAGMA user_version").fetchone()[0])


def test_an_older_ledger_is_ours(state: Path) -> None:
    """With another application ID it would be set aside as somebody else's."""
    with open_ledger(state) as ledger:
        assert (ledger.set_aside, ledger.finished_ids()) == (None, [RUN])


def test_a_night_goes_on_in_an_older_ledger_and_scores_anew(
    state: Path, run: Run, tiny: Path, tmp_path: Path
) -> None:
    # Made long ago: of a file that has only just changed, the stamp says too little to be kept.
    options = (FILM, "--model", tiny, "--state", state)
    recalled = []
    for out in ("one", "two"):
        assert run("score", *options, "--out", tmp_path / out).code == 0
        recalled.append(json.loads((tmp_path / out / "run.json").read_text())["recalled"])
    assert (recalled, version_of(state)) == ([0, 1], NOW)


def test_a_run_of_the_first_version_cannot_be_rendered_again(
    state: Path, run: Run, tmp_path: Path
) -> None:
    """Reading leaves the ledger as it is."""
    made = run("report", "latest", "--state", state, "--out", tmp_path / "out")
    assert made.code == 1
    assert f"run {RUN} was recorded by another version of cxr-edge" in made.err
    assert "tip: use that version, or score again" in made.err
    assert version_of(state) == 1


def rows(folder: Path) -> int:
    with read_ledger(folder) as ledger:
        finished, _ = ledger.finished("first")
        return int(finished.connection.execute("SELECT COUNT(*) FROM item").fetchone()[0])


@pytest.mark.parametrize("way", ["copy", "backup"])
def test_a_backup_holds_what_was_committed(way: str, tmp_path: Path) -> None:
    """A copy while nothing runs; SQLite's own backup at any time, also beside an open ledger."""
    source, target = tmp_path / "state", tmp_path / "backup"
    source.mkdir()
    target.mkdir()
    with open_ledger(source) as ledger:
        run = ledger.begin("first", SETTINGS)
        run.record([entry(f"{number}.png") for number in range(5)])
        run.finish({"a": 1})
        if way == "backup":
            with (
                closing(sqlite3.connect(source / LEDGER_NAME)) as ours,
                closing(sqlite3.connect(target / LEDGER_NAME)) as theirs,
            ):
                ours.backup(theirs)
    if way == "copy":
        shutil.copytree(source, target, dirs_exist_ok=True)
    assert rows(target) == 5
    with open_ledger(target) as ledger:
        assert ledger.set_aside is None
