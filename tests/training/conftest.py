"""Fixtures of the training tests, and one reason to skip them all: no Keras."""

from __future__ import annotations

import os
import shutil
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from cxr_edge.support.locks import lock, opened
from tests.training.helpers import TINY, write_labelled_folder

if TYPE_CHECKING:
    from cxr_training.recipe.recipe import Recipe


class _NoKeras(pytest.Module):
    """Stands in for a test module whose imports would fail."""

    def collect(self) -> list[pytest.Item]:
        pytest.skip("keras is not installed: pip install '.[training]'")


def pytest_pycollect_makemodule(module_path: Path, parent: pytest.Collector) -> _NoKeras | None:
    """Skip each module here, with the reason, where Keras cannot be imported."""
    if find_spec("keras"):
        return None
    return _NoKeras.from_parent(parent, path=module_path)


@pytest.fixture(scope="session")
def labelled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """30 films of 15 patients in each class; the classes differ in texture."""
    return write_labelled_folder(tmp_path_factory.mktemp("data") / "labelled")


@pytest.fixture(scope="session")
def recipe_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny recipe as TOML."""
    path = tmp_path_factory.mktemp("recipe") / "tiny.toml"
    path.write_text(TINY, encoding="utf-8")
    return path


@pytest.fixture(scope="session")
def recipe(recipe_file: Path) -> Recipe:
    """A few epochs of `cnn3_50`."""
    from cxr_training.recipe.recipe import load_recipe

    return load_recipe("cnn3_50", str(recipe_file))


@pytest.fixture(scope="session")
def films(tmp_path_factory: pytest.TempPathFactory, labelled: Path) -> Path:
    """The labelled films and one that is broken."""
    folder = tmp_path_factory.mktemp("set") / "films"
    shutil.copytree(labelled, folder)
    (folder / "NORMAL" / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    return folder


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory, films: Path, recipe: Recipe) -> Path:
    """RUN of a training that nobody disturbed; not to be changed: all processes have the one."""
    from cxr_training.fit.training import TrainingJob, train

    base = tmp_path_factory.getbasetemp()
    runs = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "runs"
    runs.mkdir(exist_ok=True)
    with opened(runs, os.O_RDONLY) as descriptor:
        lock(descriptor, wait=True)
        if not (runs / "run" / "run.json").exists():
            train(TrainingJob(recipe, films, runs / "run"))
    return runs / "run"
