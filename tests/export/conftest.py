"""Fixtures of the export tests, and one reason to skip them all: no TensorFlow or tf2onnx.

Every network is built and converted at most once per session. Nothing here imports TensorFlow
before a test asks for it.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.export.films import write_labelled
from tests.factories import in_other_bytes

if TYPE_CHECKING:
    import keras

    from cxr_edge.model.spec import ModelSpec
    from cxr_export.export import ExportJob
    from tests.export.networks import Converted

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

_MISSING = [name for name in ("tensorflow", "tf2onnx") if find_spec(name) is None]


class _NotInstalled(pytest.Module):
    """Stands in for a test module whose imports would fail."""

    def collect(self) -> list[pytest.Item]:
        pytest.skip(f"{', '.join(_MISSING)} is not installed: pip install '.[export]'")


def pytest_pycollect_makemodule(
    module_path: Path, parent: pytest.Collector
) -> _NotInstalled | None:
    """Skip each module here, with the reason, where the exporter cannot be imported."""
    return _NotInstalled.from_parent(parent, path=module_path) if _MISSING else None


@pytest.fixture(scope="session")
def labelled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A labelled folder: the x-rays of the checkout, or grey films."""
    return write_labelled(tmp_path_factory.mktemp("data") / "labelled")


@pytest.fixture(scope="session")
def network() -> Callable[[str, str], keras.Model]:
    """`network(name, normalization)`: one of the randomised networks; not to be changed."""
    from tests.export.networks import random_network

    return cache(random_network)


@pytest.fixture(scope="session")
def saved(
    network: Callable[[str, str], keras.Model], tmp_path_factory: pytest.TempPathFactory
) -> Callable[[str], Path]:
    """`saved(name)`: a randomised network as a `.keras` file."""
    from tests.export.networks import saved_normalization

    folder = tmp_path_factory.mktemp("saved")

    @cache
    def save(name: str) -> Path:
        path = folder / f"{name}.keras"
        network(name, saved_normalization(name)).save(path)
        return path

    return save


@pytest.fixture(scope="session")
def converted(saved: Callable[[str], Path]) -> Callable[[str], Converted]:
    """`converted(name)`: a saved network in both formats; the large on their int8 grid."""
    from cxr_export import onnx, tflite, weight_quantisation
    from cxr_export.graph import InferenceGraph
    from cxr_export.source import load_source
    from tests.export.networks import LARGE, Converted

    @cache
    def convert(name: str) -> Converted:
        model = load_source(saved(name)).model
        if name in LARGE:
            weight_quantisation.snap(model)
        graph = InferenceGraph(model)
        return Converted(model, graph, onnx.convert(graph), tflite.convert(graph))

    return convert


@pytest.fixture(scope="session")
def run_folder(labelled: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished RUN of two epochs of `cnn3_50`; not to be changed."""
    from cxr_training.fit.training import TrainingJob, train
    from cxr_training.nets import NetOptions
    from cxr_training.recipe.recipe import Recipe

    options = NetOptions("per_image", batchnorm_momentum=0.5)
    recipe = Recipe("tiny", "cnn3_50", epochs=2, validation_tenths=5, model=options)
    return train(TrainingJob(recipe, labelled, tmp_path_factory.mktemp("runs") / "run")).path


@pytest.fixture(scope="session")
def job(run_folder: Path, labelled: Path, tmp_path_factory: pytest.TempPathFactory) -> ExportJob:
    """A run, measured on a labelled folder: its pictures in other bytes."""
    from cxr_export.export import ExportJob

    out = tmp_path_factory.mktemp("models") / "not" / "there"
    held_back = in_other_bytes(labelled, tmp_path_factory.mktemp("test") / "held_back")
    known = {"population": "made films", "ages": (2.0, 9.0), "views": ("posterior-anterior",)}
    return ExportJob(run_folder, "mine", labelled, out, test=held_back, version="2.10.3", **known)


@pytest.fixture(scope="session")
def exported(job: ExportJob) -> ModelSpec:
    """The spec of a whole export into `job.out`; neither is to be changed."""
    from cxr_export.export import export

    old = os.umask(0o077)
    try:
        return export(job)
    finally:
        os.umask(old)


@pytest.fixture
def conversions(exported: ModelSpec, job: ExportJob, monkeypatch: pytest.MonkeyPatch) -> ModelSpec:
    """`export` of the same job without converting again."""
    import onnx

    from cxr_export import export as driver
    from cxr_export.precision import Networks

    model, tflite = onnx.load(job.out / "mine.onnx"), (job.out / "mine.tflite").read_bytes()
    monkeypatch.setattr(driver, "convert", lambda *_: Networks(model, tflite))
    return exported


@pytest.fixture
def few_patients(monkeypatch: pytest.MonkeyPatch) -> None:
    """Intervals from the few films of the checkout; and three changes of them, not thirty."""
    from cxr_export.film_changes import CHANGES

    monkeypatch.setattr("cxr_edge.statistics.auc.LEAST_PATIENTS", 2)
    monkeypatch.setattr("cxr_export.robustness.robustness.__defaults__", (CHANGES[:3],))
