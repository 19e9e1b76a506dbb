"""`cxr-edge report`: the same report once more, without films or model."""

from __future__ import annotations

import json
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from cxr_edge.ledger.checksums import checksum
from cxr_edge.ledger.file import LEDGER_NAME
from tests.cli.conftest import Run
from tests.cli.reports import csv_rows
from tests.factories import chest, names_in, write_tree
from tests.images.films import png
from tests.ledger.files import as_version


@pytest.fixture
def scored(run: Run, tiny: Path, tmp_path: Path) -> Path:
    """The report of a run over two films and one file that is none."""
    films = {"a.png": png(chest()), "b.png": png(chest(tilt=-110)), "notes.txt": b"\0hello"}
    write_tree(tmp_path / "in", films)
    out = tmp_path / "first"
    assert run("score", tmp_path / "in", "--model", tiny, "--out", out, "-q").code == 3
    return out


def name_of(out: Path) -> str:
    name: str = json.loads((out / "run.json").read_text())["run"]
    return name


def contents(out: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in out.iterdir()}


@pytest.mark.parametrize("way", ["latest", "by default", "by name"])
def test_the_same_report_again(way: str, run: Run, scored: Path, tmp_path: Path) -> None:
    """Byte for byte, though films and model are gone."""
    shutil.rmtree(tmp_path / "in")
    which = {"latest": ["latest"], "by default": [], "by name": [name_of(scored)]}[way]
    made = run("report", *which, "--out", tmp_path / "again")
    assert (made.code, made.out) == (3, "")
    assert contents(tmp_path / "again") == contents(scored)
    assert "3 found = 2 scored + 1 not scored + 0 deferred" in made.err
    assert f"; report: {tmp_path / 'again' / 'triage.html'}" in made.err


def test_quiet(run: Run, scored: Path, tmp_path: Path) -> None:
    made = run("report", "-q", "--out", tmp_path / "again")
    assert (made.code, made.out, made.err) == (3, "", "")


def test_a_run_without_a_blemish_exits_with_0(run: Run, tiny: Path, tmp_path: Path) -> None:
    film = write_tree(tmp_path / "in", {"a.png": png(chest())})
    run("score", film, "--model", tiny, "--out", tmp_path / "first", "-q")
    assert run("report", "--out", tmp_path / "again", "-q").code == 0


def test_it_lands_in_reports_by_default(
    run: Run, scored: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run("report", "-q").code == 3
    (name,) = names_in(tmp_path / "reports")
    assert contents(tmp_path / "reports" / name) == contents(scored)


def test_the_latest_of_all_ledgers(run: Run, scored: Path, tiny: Path, tmp_path: Path) -> None:
    other = write_tree(tmp_path / "other", {"c.png": png(chest())})
    run("score", other, "--model", tiny, "--out", tmp_path / "second", "-q")
    run("report", "--out", tmp_path / "latest", "-q")
    run("report", name_of(scored), "--out", tmp_path / "earlier", "-q")
    assert contents(tmp_path / "latest") == contents(tmp_path / "second")
    assert contents(tmp_path / "earlier") == contents(scored)


def test_a_ledger_of_one_s_own(run: Run, scored: Path, tiny: Path, tmp_path: Path) -> None:
    state = tmp_path / "state"
    options = ["--model", tiny, "--state", state, "-q", "--out", tmp_path / "second"]
    run("score", tmp_path / "in/a.png", *options)
    assert run("report", "--state", state, "--out", tmp_path / "again", "-q").code == 0
    assert contents(tmp_path / "again") == contents(tmp_path / "second")
    made = run("report", name_of(scored), "--state", state, "--out", tmp_path / "no")
    assert made.code == 2


def test_a_run_that_nobody_knows(run: Run, scored: Path, tmp_path: Path) -> None:
    made = run("report", "20200101T000000.000000Z", "--out", tmp_path / "again")
    assert (made.code, made.out) == (2, "")
    assert made.err == (
        "error: there is no finished run '20200101T000000.000000Z'\n"
        f"  tip: finished runs: {name_of(scored)}; or give the run's --state\n"
    )
    assert not (tmp_path / "again").exists()


def test_no_run_yet(run: Run, own_state: Path, tmp_path: Path) -> None:
    made = run("report", "--out", tmp_path / "again")
    assert (made.code, made.err) == (
        2,
        f"error: no run has finished in {own_state}\n"
        "  tip: one that was stopped goes on with the command that began it; or give the run's "
        "--state\n",
    )


def test_a_state_folder_without_a_ledger(run: Run, tmp_path: Path) -> None:
    made = run("report", "--state", tmp_path, "--out", tmp_path / "again")
    assert (made.code, made.err) == (
        1,
        f"error: there is no ledger in {tmp_path}\n"
        "  tip: give --state the folder that score was given\n",
    )
    assert names_in(tmp_path) == []


def test_a_target_that_exists(run: Run, scored: Path) -> None:
    made = run("report", "--out", scored)
    assert made.code == 2
    assert made.err.startswith(f"error: {scored} already exists")


def edited(own_state: Path, values: dict[str, Any]) -> None:
    """The ledger with other words about its run, as another version would record them."""
    (ledger,) = own_state.glob(f"*/{LEDGER_NAME}")
    with closing(sqlite3.connect(ledger)) as connection, connection:
        connection.create_function("checksum", -1, checksum)
        connection.execute("UPDATE run SET context = ?", (json.dumps(values),))
        connection.execute(
            "UPDATE run SET checksum = checksum(number, id, settings_sha256, context, files)"
        )


def test_a_run_of_an_earlier_schema(
    run: Run, scored: Path, tmp_path: Path, own_state: Path
) -> None:
    """Schema 2 called the settings a recipe, in its table and in a run's context."""
    (ledger,) = own_state.glob(f"*/{LEDGER_NAME}")
    with closing(sqlite3.connect(ledger)) as connection:
        values = json.loads(connection.execute("SELECT context FROM run").fetchone()[0])
    edited(own_state, {"recipe": values.pop("settings_sha256"), **values})
    as_version(2, ledger)
    assert run("report", "--out", tmp_path / "again", "-q").code == 3
    assert contents(tmp_path / "again") == contents(scored)


@pytest.mark.parametrize(
    "change",
    [
        lambda values: values.update(colour="blue"),
        lambda values: values["spec"].update(schema_version=99),
    ],
    ids=["more", "another spec"],
)
def test_a_run_of_another_version(
    change: Any, run: Run, scored: Path, tmp_path: Path, own_state: Path
) -> None:
    (ledger,) = own_state.glob(f"*/{LEDGER_NAME}")
    with closing(sqlite3.connect(ledger)) as connection:
        values = json.loads(connection.execute("SELECT context FROM run").fetchone()[0])
    change(values)
    edited(own_state, values)
    made = run("report", "--out", tmp_path / "again")
    assert (made.code, made.out) == (1, "")
    name = name_of(scored)
    assert made.err.startswith(f"error: run {name} was recorded by another version of cxr-edge: ")
    assert made.err.endswith("\n  tip: use that version, or score again\n")
    assert not (tmp_path / "again").exists()


def test_a_stopped_run_has_no_report(
    run: Run, scored: Path, tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The latest is the last that was finished."""
    monkeypatch.setattr("cxr_edge.scoring.scorer.Scorer.score", lambda *_: False)
    made = run("score", tmp_path / "in", "--model", tiny, "--out", tmp_path / "second")
    assert made.code == 128
    run("report", "--out", tmp_path / "again", "-q")
    assert contents(tmp_path / "again") == contents(scored)


def test_a_damaged_row_is_listed_as_unreadable(
    run: Run, scored: Path, tmp_path: Path, own_state: Path
) -> None:
    (ledger,) = own_state.glob(f"*/{LEDGER_NAME}")
    with closing(sqlite3.connect(ledger)) as connection, connection:
        connection.execute("UPDATE item SET probability = 0.000005 WHERE display = 'a.png'")
    made = run("report", "--out", tmp_path / "again", "-q")
    assert (made.code, made.err) == (
        3,
        "warning: 1 row of the run is damaged; the report lists its film as unreadable\n"
        "  tip: check the disk, and run score again\n",
    )
    (row,) = (row for row in csv_rows(tmp_path / "again") if row["path"] == "a.png")
    assert (row["band"], row["reason"], row["probability"]) == ("attention", "io_error", "")


def test_as_parquet_too(run: Run, scored: Path, tiny: Path, tmp_path: Path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    again = ("score", tmp_path / "in", "--model", tiny, "--out", tmp_path / "second", "--parquet")
    assert run(*again, "-q").code == 3
    assert run("report", "--parquet", "--out", tmp_path / "third", "-q").code == 3
    assert contents(tmp_path / "third") == contents(tmp_path / "second")
    table = parquet.read_table(tmp_path / "third" / "triage.parquet").to_pylist()
    assert [row["path"] for row in table] == [row["path"] for row in csv_rows(scored)]
