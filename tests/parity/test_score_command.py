"""312 films through `cxr-edge score`, in both formats of every bundled model.

How good the models are is measured once, by `cxr-edge export --test`; this says nothing about it.
"""

from __future__ import annotations

import csv
import os
import subprocess
import sys
from pathlib import Path

import pytest

from cxr_edge.model.catalog import ModelChoice
from tests.parity.kermany import FILMS, TEST_A

# All films of the test folder through every model, twice.
pytestmark = pytest.mark.slow

WITHIN = 1e-4


def score(model: str, out: Path) -> dict[str, dict[str, str]]:
    """Rows of triage.csv by path."""
    command = [sys.executable, "-c", "from cxr_edge.cli import main; main()"]
    command += ["score", str(TEST_A), "--model", model, "--out", str(out)]
    done = subprocess.run(
        command, env={**os.environ, "NO_COLOR": "1"}, capture_output=True, text=True, timeout=300
    )
    assert (done.returncode, done.stdout) == (0, ""), done.stderr
    with (out / "triage.csv").open(newline="", encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    assert len(rows) == FILMS
    return {row["path"]: row for row in rows}


def allowed(onnx: ModelChoice, tflite: ModelChoice) -> float:
    """Files in fewer bits are each as far from the trained network as their parity says."""
    if onnx.file.activations == "float32":
        return WITHIN
    return onnx.file.parity.max_abs_difference + tflite.file.parity.max_abs_difference


@pytest.mark.skipif(not TEST_A.is_dir(), reason=f"no {TEST_A}: these films are not in the checkout")
def test_both_formats_write_the_same_list(
    pair: tuple[ModelChoice, ModelChoice], tmp_path: Path
) -> None:
    onnx, tflite = (score(choice.path.name, tmp_path / choice.format) for choice in pair)
    assert onnx.keys() == tflite.keys()
    assert len(onnx) == FILMS
    within = allowed(*pair)
    for path, row in onnx.items():
        other = tflite[path]
        assert row["status"] == other["status"] == "scored", path
        assert abs(float(row["probability"]) - float(other["probability"])) <= within, path
        for column in ("flagged", "band", "sha256", "width", "height", "warnings"):
            assert row[column] == other[column], (path, column)
