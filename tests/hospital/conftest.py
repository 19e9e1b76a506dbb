"""Tests of what talks DICOM: loopback is open to them, and nothing else."""

from __future__ import annotations

import gc
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.hospital.loopback import open_loopback

HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let pynetdicom, on the tests' side, leave sockets to the garbage collector."""
    for item in items:
        if item.path.is_relative_to(HERE):
            item.add_marker(pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning"))


@pytest.fixture(autouse=True)
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody leaves the machine."""
    open_loopback(monkeypatch)


@pytest.fixture(autouse=True)
def sockets_that_pynetdicom_leaves() -> Iterator[None]:
    """It forgets to close those whose other side has gone; the garbage collector does, here."""
    gc.freeze()  # what is there already, TensorFlow perhaps, takes seconds to look through
    yield
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()
    gc.unfreeze()
