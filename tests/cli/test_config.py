"""`--config`: options from a file, for any command; those on the command line win."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.cli.conftest import Run
from tests.cli.reports import csv_rows, run_values
from tests.factories import names_in


@pytest.fixture
def config(tmp_path: Path, films: Path, tiny: Path) -> Path:
    """Everything that a night needs."""
    file = tmp_path / "night.toml"
    file.write_text(
        f'model = "{tiny}"\n[score]\ninputs = ["{films}"]\nout = "{tmp_path / "out"}"\n'
        f'state = "{tmp_path / "state"}"\nthreshold = 0.5\nexclude = ["*.tif"]\nquiet = true\n'
        '[prune]\nreports = "90d"\n[models.list]\njson = true\n'
    )
    return file


def test_a_night_from_a_file(run: Run, config: Path, tmp_path: Path) -> None:
    made = run("score", "--config", config)
    assert (made.code, made.out, made.err) == (0, "", "")
    assert [row["path"] for row in csv_rows(tmp_path / "out")] == ["bright.png", "sub/film.jpg"]
    assert run_values(tmp_path / "out")["operating_point"] == {"name": "custom", "threshold": 0.5}


def test_the_command_line_wins(run: Run, config: Path, films: Path, tmp_path: Path) -> None:
    more = ("--out", tmp_path / "two", "--threshold", "0.25", "--exclude", "*.jpg")
    assert (
        run("score", films / "bright.png", films / "wide.tif", *more, "--config", config).code == 0
    )
    assert [row["path"] for row in csv_rows(tmp_path / "two")] == ["bright.png", "wide.tif"]
    assert run_values(tmp_path / "two")["operating_point"]["threshold"] == 0.25
    assert "out" not in names_in(tmp_path)


def test_a_command_in_a_group(run: Run, config: Path) -> None:
    assert run("models", "list", "--config", config).out.startswith("[")


def test_a_command_s_own_table_wins(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "a.toml"
    file.write_text('reports = "9"\n[prune]\nreports = "also 9"\n')
    assert "no age: also 9\n" in run("prune", "--config", file).err


REFUSED = {
    "unknown at the top": ("modell = 'x'", "modell is no option of any command"),
    "unknown in a table": (
        "[score]\nreports = '9d'",
        "score.reports is no option of",
    ),
    "unknown in another table": (
        "[prune]\nage = '9d'",
        "prune.age is no option of",
    ),
    "no command": ("[skore]\nmodel = 'x'", "[skore] is no command\n  tip: did you mean score?"),
    "nothing like a command": ("[x]\nmodel = 'x'", "\n  tip: tables have the names of commands"),
    "no command of a group": ("[models.lost]\njson = true", "[models.lost] is no command"),
    "a group has no options": ("[models]\njson = true", "models.json is no option of"),
    "itself": ("config = 'x'", "config is no option of any command"),
    "a short name": ("q = true", "q is no option of any command"),
    "a name in Python": ("at_least = 3", "no option of any command\n  tip: did you mean at-least?"),
    "nothing like an option": ("x = 3", "\n  tip: keys are the long names of options"),
    "text for a flag": ("quiet = 'yes'", "quiet is true or false"),
    "one for many": ("[score]\nexclude = 'x'", "score.exclude takes a list"),
    "many for one": ("[score]\nmodel = ['x']", "score.model takes text or a number"),
    "a flag for text": ("[score]\nmodel = true", "score.model takes text or a number"),
    "a date": ("[score]\nthreshold = 2026-11-22", "score.threshold takes text or a number"),
    "a table for text": ("[score]\nmodel = {a = 1}", "[score.model] is no command"),
    "a list in a list": ("[score]\nexclude = [['x']]", "score.exclude takes text or a number"),
    "no TOML": ("model: x", "is no TOML: "),
    "twice": ("model = 'a'\nmodel = 'b'", "is no TOML: "),
    "too deep": ("a = " + "[" * 20_000, "nests too deep"),
}


@pytest.mark.parametrize(("text", "said"), REFUSED.values(), ids=REFUSED)
def test_a_file_that_is_refused(text: str, said: str, run: Run, tmp_path: Path) -> None:
    file = tmp_path / "a.toml"
    file.write_text(text)
    made = run("score", tmp_path, "--config", file)
    assert (made.code, made.out) == (2, "")
    assert made.err.startswith(f"error: --config {file}")
    assert said in made.err


def test_a_value_that_the_option_refuses(run: Run, config: Path) -> None:
    config.write_text(config.read_text().replace("threshold = 0.5", 'threshold = "high"'))
    made = run("score", "--config", config)
    assert (made.code, "Invalid value for '--threshold': 'high'" in made.err) == (2, True)
    assert made.err.endswith(f"\n  tip: options are also read from {config}\n")


def test_what_is_no_file_is_not_waited_for(run: Run, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "large.toml").write_bytes(b"#" * 2_000_000)
    (tmp_path / "latin.toml").write_bytes(b"model = '\xe9'")
    for name, said in {
        "pipe": "cannot be read: it is no plain file",
        "large.toml": "cannot be read: it is larger than 1 MB",
        "lost.toml": "cannot be read: No such file or directory",
        "latin.toml": "is no TOML: 'utf-8' codec can't decode",
    }.items():
        made = run("score", tmp_path, "--config", tmp_path / name)
        assert (made.code, said in made.err) == (2, True), made.err
