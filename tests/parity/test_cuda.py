"""The gate on a GPU: what CUDA computes is what the CPU computes, for every bundled ONNX file.

Skipped, with the reason, where CUDA cannot be used; docs/gpu.md says how to run it.
"""

from __future__ import annotations

import csv
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from cxr_edge.errors import CxrEdgeError, DeviceError
from cxr_edge.model.catalog import ModelChoice, choose_model
from cxr_edge.runtime import Device, load
from cxr_edge.runtime.batches import Inference
from cxr_edge.runtime.loading import GPU_TOLERANCE
from tests.cli.reports import is_night_line
from tests.export.films import INCOMING
from tests.factories import bundled_choices, file_name
from tests.parity.kermany import TEST_A

FILMS = TEST_A if TEST_A.is_dir() else INCOMING
FP16_TOLERANCE = 1e-3  # of the gate, between two ways of rounding to half precision
CPU, CUDA = Device("cpu"), Device("cuda")
ONNX = [choice for choice in bundled_choices() if choice.format == "onnx"]
Probabilities = dict[str, float]

each_model = pytest.mark.parametrize("choice", ONNX, ids=file_name)


@pytest.fixture(scope="module", autouse=True)
def _cuda() -> None:
    """Skip where there is none."""
    pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")
    try:
        load(choose_model("cnn3_50"), CUDA)
    except CxrEdgeError as error:
        pytest.skip(f"no CUDA here: {error}")


def within(choice: ModelChoice) -> float:
    return FP16_TOLERANCE if choice.file.weights == "float16" else GPU_TOLERANCE


def score(choice: ModelChoice, device: str, folder: Path) -> Probabilities:
    """Probabilities of the films by path, through the command."""
    command = [sys.executable, "-c", "from cxr_edge.cli import main; main()"]
    command += ["score", str(FILMS), "--model", choice.path.name, "--device", device]
    command += ["--out", str(folder / device), "--state", str(folder / f"{device}-state")]
    done = subprocess.run(
        [*command, "--settle", "0", "-q"],
        env={**os.environ, "NO_COLOR": "1"},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert (done.returncode in (0, 3), done.stdout) == (True, "")
    assert is_night_line(done.stderr) is (done.returncode == 3), done.stderr
    with (folder / device / "triage.csv").open(newline="", encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    return {row["path"]: float(row["probability"]) for row in rows if row["status"] == "scored"}


@each_model
def test_no_decision_changes(choice: ModelChoice, tmp_path: Path) -> None:
    """Nor any probability by more than is promised, on real films, at every operating point."""
    on_cpu, on_cuda = (score(choice, device, tmp_path) for device in ("cpu", "cuda"))
    assert on_cpu.keys() == on_cuda.keys()
    assert len(on_cpu) >= 28
    for path, probability in on_cpu.items():
        other = on_cuda[path]
        assert abs(probability - other) <= within(choice), path
        for point in choice.spec.operating_points.values():
            if abs(probability - point.threshold) > within(choice):
                same = (probability >= point.threshold) == (other >= point.threshold)
                assert same, (path, point)


def noise(choice: ModelChoice, count: int) -> NDArray[np.uint8]:
    size = choice.spec.size
    return np.random.default_rng(5).integers(0, 256, (count, size, size, 1), np.uint8)


@each_model
def test_no_batch_changes_a_score(choice: ModelChoice) -> None:
    runner, images = load(choice, CUDA), noise(choice, 256)
    expected = load(choice, CPU).predict(images).probability
    for size in (1, 5, 32, 100, 256):
        parts = [runner.predict(images[at : at + size]) for at in range(0, len(images), size)]
        answers = np.concatenate([part.probability for part in parts])
        assert np.abs(answers - expected).max() <= within(choice), size


@each_model
def test_evidence_and_bias_are_the_logit(choice: ModelChoice) -> None:
    made = load(choice, CUDA).predict(noise(choice, 32))
    with np.errstate(over="ignore"):
        assert np.abs(1 / (1 + np.exp(-made.logit())) - made.probability).max() <= within(choice)


def test_tf32_is_off() -> None:
    runner: Any = load(choose_model("cnn3_128"), CUDA)
    options = runner._runner._session.get_provider_options()["CUDAExecutionProvider"]
    assert options["use_tf32"] == "0"


def least_memory(monkeypatch: pytest.MonkeyPatch, choice: ModelChoice) -> Inference:
    """The model with so little memory that it just starts."""
    from cxr_edge.runtime import onnx

    for megabytes in (2**power for power in range(2, 11)):
        monkeypatch.setitem(onnx.CUDA_OPTIONS, "gpu_mem_limit", str(megabytes * 2**20))
        try:
            return load(choice, CUDA)
        except DeviceError:
            continue
    pytest.fail("the model does not start with 1 GB")


def test_out_of_memory_halves_the_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    """For real: onnxruntime's own words are understood, and the session works afterwards."""
    from cxr_edge.runtime.onnx import OnnxRunner

    choice = choose_model("cnn3_128")
    runner = least_memory(monkeypatch, choice)
    real, sizes = OnnxRunner.predict, list[int]()

    def predict(self: OnnxRunner, images: Any) -> Any:
        sizes.append(len(images))
        return real(self, images)

    monkeypatch.setattr(OnnxRunner, "predict", predict)
    images = noise(choice, 1024)
    answers = [runner.predict(images).probability for _ in range(2)]
    assert sizes[0] == 1024 > sizes[1] >= sizes[-1]
    assert sizes.count(1024) == 1, "a batch that did not fit was tried again"
    assert runner.device == "cuda:0"
    expected = load(choice, CPU).predict(images).probability
    for each in answers:
        assert np.abs(each - expected).max() <= GPU_TOLERANCE


def test_an_index_that_is_not_there() -> None:
    with pytest.raises(DeviceError, match="cuda:99 cannot be used: Invalid device ID: 99"):
        load(choose_model("cnn3_50"), Device("cuda", 99))
