"""`cxr-edge export` in processes of its own, as people run it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner

from cxr_edge.cli.commands import cli
from cxr_edge.cli.export import _warn_of_chance
from cxr_edge.cli.export import export as export_command
from cxr_edge.statistics.operating_points import Proportion
from tests.export.networks import reads_keras_variables
from tests.tiny import tiny_spec

pytestmark = reads_keras_variables

LINE = re.compile(
    r"mine\.(onnx|tflite): \d+\.\d\d MB, differs from Keras float32 by \d\.\de-\d\d on \d+ x-rays"
)


def start(source: Path, calibration: Path, out: Path, seed: str) -> subprocess.Popen[str]:
    """Begin an export whose hashes are ordered by `seed`."""
    return subprocess.Popen(
        [
            *(sys.executable, "-c", "from cxr_edge.cli import main; main()"),
            *("export", str(source), "--name", "mine"),
            *("--calibration", str(calibration), "--out", str(out)),
        ],
        env={**os.environ, "PYTHONHASHSEED": seed, "NO_COLOR": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.mark.slow
def test_any_process_writes_the_same_bytes_and_says_what_it_measured(
    run_folder: Path, labelled: Path, tmp_path: Path
) -> None:
    """Nothing on stdout: that is for data. Figures on stderr."""
    outs = [tmp_path / "first", tmp_path / "second"]
    exports = [start(run_folder, labelled, out, str(seed)) for seed, out in enumerate(outs)]
    for running in exports:
        stdout, stderr = running.communicate(timeout=300)
        assert running.returncode == 0, stderr
        assert stdout == ""
        assert LINE.findall(stderr) == ["onnx", "tflite"]
        assert "Traceback" not in stderr
    names = ["mine.json", "mine.md", "mine.onnx", "mine.tflite"]
    for out in outs:
        assert sorted(path.name for path in out.iterdir()) == names
    assert '"version": "0.1.0"' in (outs[0] / "mine.json").read_text()
    for name in names:
        assert (outs[0] / name).read_bytes() == (outs[1] / name).read_bytes(), name


def test_help_has_an_example_that_parses() -> None:
    result = CliRunner().invoke(cli, ["export", "--help"])
    assert result.exit_code == 0
    example = next(line for line in result.output.splitlines() if "cxr-edge export runs/" in line)
    options = set(re.findall(r"--[a-z]+", example))
    assert options <= {option for p in export_command.params for option in p.opts}
    assert {p.opts[0] for p in export_command.params if p.required} - {"source"} == options


@pytest.mark.parametrize("missing", ["SOURCE", "--name", "--calibration", "--out"])
def test_what_is_missing_is_named(missing: str, tmp_path: Path) -> None:
    given = {"--name": "mine", "--calibration": str(tmp_path), "--out": "models"}
    arguments = [] if missing == "SOURCE" else [str(tmp_path)]
    arguments += [part for key, value in given.items() if key != missing for part in (key, value)]
    result = CliRunner().invoke(cli, ["export", *arguments])
    assert result.exit_code == 2
    assert f"Missing {'argument' if missing == 'SOURCE' else 'option'} '{missing}'" in result.stderr
    assert result.stdout == ""


@pytest.mark.parametrize(
    ("option", "value", "sentence"),
    [
        (
            "--precision",
            "int4",
            "'int4' is not one of 'float32', 'float16-weights'",
        ),
        ("--calibration", "/nowhere", "'/nowhere' does not exist"),
        ("--test", "/nowhere", "'/nowhere' does not exist"),
    ],
)
def test_what_is_wrong_is_named(option: str, value: str, sentence: str, tmp_path: Path) -> None:
    given = {"--name": "mine", "--calibration": str(tmp_path), "--out": "models", option: value}
    arguments = [part for pair in given.items() for part in pair]
    result = CliRunner().invoke(cli, ["export", str(tmp_path), *arguments])
    assert result.exit_code == 2
    assert sentence in " ".join(result.stderr.split())


def test_a_source_that_is_not_there() -> None:
    result = CliRunner().invoke(cli, ["export", "/nowhere.keras", "--name", "mine"])
    assert result.exit_code == 2
    assert "'/nowhere.keras' does not exist" in result.stderr


@pytest.mark.parametrize(("low", "said"), [(0.4, True), (0.9, False)], ids=["chance", "better"])
def test_a_model_that_is_not_told_from_chance_is_said(
    low: float, said: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    spec = tiny_spec()
    share = Proportion(0.95, low, 1.0, 20)
    points = {
        name: replace(point, sensitivity=share, specificity=share)
        for name, point in spec.operating_points.items()
    }
    _warn_of_chance(replace(spec, operating_points=points))
    assert ("not told from chance" in capsys.readouterr().err) is said
