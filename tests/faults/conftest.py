"""What the proofs measured: printed for `pytest -s`, and kept where `CXR_FAULTS_LOG` says."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.engines.conftest import (  # fixtures, of which a cluster takes half a minute to start
    failures,
    ray_cluster,
    storage,
    storage_environment,
)
from tests.faults.shim import build
from tests.faults.tiers import LONG, SEED

__all__ = ["failures", "ray_cluster", "storage", "storage_environment"]

Figures = Callable[..., None]


@pytest.fixture
def figures(request: pytest.FixtureRequest) -> Figures:
    """`figures(films=5000, crashed=0)`: one line of JSON with the test's name and the seed."""

    def tell(**measured: object) -> None:
        head = {"test": request.node.name, "tier": "long" if LONG else "quick", "seed": SEED}
        line = json.dumps({**head, **measured}) + "\n"
        sys.stdout.write(f"\n{line}")
        if log := os.environ.get("CXR_FAULTS_LOG"):
            with Path(log).open("a", encoding="utf-8") as stream:
                stream.write(line)

    return tell


@pytest.fixture(scope="session")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The compiled shim."""
    made = build(tmp_path_factory.getbasetemp())
    if made is None:
        pytest.skip("no C compiler (cc) to build the fault shim with")
    return made
