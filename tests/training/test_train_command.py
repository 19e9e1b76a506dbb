"""`cxr-edge train` on the command line: mistakes, refusals and `--weights`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.training.helpers import (
    command_line,
    saves_keras_variables,
)

pytestmark = saves_keras_variables


def test_a_finished_run_is_refused(
    finished: Path, films: Path, recipe_file: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    before = {path.name: path.read_bytes() for path in finished.iterdir()}
    arguments = ("cnn3_50", "--data", films, "--recipe", recipe_file, "--out", finished)
    assert command_line(monkeypatch, "train", *arguments) == 2
    seen = capsys.readouterr()
    assert f"error: {finished} holds a finished run\n  tip: choose another --out" in seen.err
    assert seen.out == ""
    assert {path.name: path.read_bytes() for path in finished.iterdir()} == before


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["cnn3_50", "--data", "nowhere", "--out", "run"], "'nowhere' does not exist"),
        (["cnn3_50", "--data", "empty", "--out", "run"], "no labelled film in empty"),
        (["cnn3_50", "--data", "empty"], "Missing option '--out'"),
        (
            ["vgg", "--data", "empty", "--out", "run"],
            "no network vgg\n  tip: networks: cnn3_128, cnn3_50, cnn4_50, efficientnet_lite0_160",
        ),
        (
            ["cnn3_5", "--data", "empty", "--out", "run"],
            "no network cnn3_5\n  tip: did you mean cnn3_50?",
        ),
        (
            ["cnn3_50", "--data", "empty", "--out", "run", "--recipe", "best"],
            "no recipe 'best' for cnn3_50\n  tip: shipped recipes: cnn3_50.report.toml, "
            "cnn3_50.tuned.toml; or the path of your own",
        ),
        (
            ["cnn3_50", "--data", "empty", "--out", "run", "--recipe", "bad.toml"],
            "recipe bad.toml: unknown keys epoch",
        ),
        (
            ["resnet50v2_50", "--data", "films", "--out", "run", "--weights", "none.h5"],
            "weights file not found: none.h5",
        ),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_mistakes_on_the_command_line_exit_2(
    tmp_path: Path,
    films: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    says: str,
) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "films").symlink_to(films)
    (tmp_path / "bad.toml").write_text("epoch = 1\n")
    monkeypatch.chdir(tmp_path)
    assert command_line(monkeypatch, "train", *arguments) == 2
    seen = capsys.readouterr()
    assert says in seen.err
    assert seen.out == ""
    assert not (tmp_path / "run" / "run.json").exists()
