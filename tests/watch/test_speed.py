"""History and drift of a state with 100,000 rows."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from cxr_edge.ledger.checksums import ROW
from cxr_edge.ledger.runs import open_ledger
from cxr_edge.watch.drift import Drift
from cxr_edge.watch.drift_job import DriftJob, run
from cxr_edge.watch.history import read_history
from cxr_edge.watch.page import render_page
from tests.watch.nights import add_plain_nights

NIGHTS, FILMS = 20, 5000
_COPY = """
INSERT INTO item SELECT ?, path || ?, NULL, randomblob(32), display, status, reason, probability,
warnings, width, height, format, modified_utc, device, features, new, NULL FROM item WHERE run = 1
"""
_CHECK = (
    f"UPDATE item SET checksum = checksum(run, 'settings', {', '.join(ROW)}) WHERE checksum IS NULL"
)


@pytest.mark.slow
def test_a_hundred_thousand_rows_take_under_two_seconds_of_cpu(tmp_path: Path) -> None:
    names = add_plain_nights(tmp_path, NIGHTS, films=500)
    with open_ledger(tmp_path) as ledger:
        ledger.connection.execute("BEGIN")
        for copy in range((NIGHTS * FILMS - NIGHTS * 500) // 500):
            ledger.connection.execute(_COPY, (2 + copy % (NIGHTS - 1), str(copy)))
        ledger.connection.execute(_CHECK)
        ledger.connection.execute("COMMIT")
        (rows,) = ledger.connection.execute("SELECT COUNT(*) FROM item").fetchone()
    assert rows == NIGHTS * FILMS
    began = time.process_time()  # others may use the machine
    history = read_history(tmp_path)
    render_page(history)
    assert len(history.nights) == NIGHTS
    seen = time.process_time()
    drift = run(DriftJob(tmp_path, names[0], 500))
    ended = time.process_time()
    assert isinstance(drift, Drift)
    assert seen - began < 2
    assert ended - seen < 2
