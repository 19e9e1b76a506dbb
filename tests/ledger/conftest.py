"""An open ledger and its first run."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from cxr_edge.ledger.run import Run
from cxr_edge.ledger.runs import Ledger, open_ledger
from tests.ledger.entries import (
    SETTINGS,
)


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with open_ledger(tmp_path) as opened:
        yield opened


@pytest.fixture
def run(ledger: Ledger) -> Run:
    return ledger.begin("first", SETTINGS)
