"""The settings hash: a score holds for it alone, so everything that decides a score is in it."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest

from cxr_edge.engines import provenance
from cxr_edge.engines.provenance import settings_hash, versions
from cxr_edge.model.catalog import ModelChoice, choose_model
from cxr_edge.support.cpu import instruction_sets
from tests.factories import FakeRunner


@pytest.fixture
def choice(tiny: Path) -> ModelChoice:
    return choose_model(str(tiny))


@pytest.fixture
def runner() -> FakeRunner:
    return FakeRunner()


def test_a_sha256_that_stays_the_same(choice: ModelChoice, runner: FakeRunner) -> None:
    digest = settings_hash(choice, runner, None)
    assert re.fullmatch("[0-9a-f]{64}", digest)
    assert settings_hash(choice, FakeRunner(0.25), None) == digest


def test_where_the_model_lies_does_not_matter(choice: ModelChoice, runner: FakeRunner) -> None:
    moved = replace(choice, path=Path("elsewhere/tiny.onnx"))
    assert settings_hash(moved, runner, None) == settings_hash(choice, runner, None)


def test_the_models_bytes_decide(choice: ModelChoice, runner: FakeRunner) -> None:
    file = replace(choice.file, sha256="0" * 64)
    other = replace(choice, spec=replace(choice.spec, files={choice.format: file}))
    assert settings_hash(other, runner, None) != settings_hash(choice, runner, None)


def test_the_spec_decides(choice: ModelChoice, runner: FakeRunner) -> None:
    other = replace(choice, spec=replace(choice.spec, version="9.9.9"))
    assert other.file == choice.file
    assert settings_hash(other, runner, None) != settings_hash(choice, runner, None)


RUNNERS = {"device": "cuda:0", "backend": "fake 1.0.1"}


@pytest.mark.parametrize(("name", "value"), RUNNERS.items(), ids=RUNNERS)
def test_the_runner_decides(name: str, value: str, choice: ModelChoice, runner: FakeRunner) -> None:
    other = FakeRunner()
    setattr(other, name, value)
    assert settings_hash(choice, other, None) != settings_hash(choice, runner, None)


SOFTWARE = {
    "PREPROCESSING_VERSION": -1,
    "DECODING_VERSION": -1,
    "GATES_VERSION": -1,
    "FEATURES_VERSION": -1,
    "__version__": "0.0.0.dev0",
    "decoder_versions": lambda: {"pillow": "0"},
    "version": lambda name: "0",
    "instruction_sets": lambda: ("x86_64", "avx2"),
}


@pytest.mark.parametrize(("name", "value"), SOFTWARE.items(), ids=SOFTWARE)
def test_the_software_decides(
    name: str,
    value: object,
    choice: ModelChoice,
    runner: FakeRunner,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    before = settings_hash(choice, runner, None)
    monkeypatch.setattr(provenance, name, value)
    assert settings_hash(choice, runner, None) != before


def test_versions_name_what_could_change_a_number(runner: FakeRunner) -> None:
    runner.backend = "ONNX Runtime 1.32.0"
    named = versions(runner)
    assert {"cxr-edge", "python", "numpy", "ONNX Runtime"} <= set(named)
    assert named["ONNX Runtime"] == "1.32.0"
    assert named.pop("cpu").split() == [*instruction_sets()]
    assert all(re.match(r"\d+\.\d+", text) for text in named.values()), named
    assert any(name.lower() == "pillow" for name in named)
