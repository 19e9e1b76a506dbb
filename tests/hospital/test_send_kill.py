"""kill -9 of a send at any moment: the next one goes on, and nothing becomes another object."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest

from cxr_edge.ledger.runs import open_ledger
from tests.faults.tiers import SEED, tier
from tests.hospital.receiving import PEER, ROOT, TITLE, contents, receiving, write_films

pytestmark = pytest.mark.slow

FILMS, KILLS = 40, tier(quick=5, long=100)


def test_every_object_arrives_once(tmp_path: Path) -> None:
    films, state = write_films(tmp_path / "films", FILMS), tmp_path / "state"
    state.mkdir(0o700)
    with open_ledger(state):
        pass
    moments, codes = random.Random(SEED), Counter[int]()
    with receiving(tmp_path) as receiver:
        command = [
            *(sys.executable, "-m", "cxr_edge", "send", str(films), "--aet", PEER),
            *("--to", f"{TITLE}@127.0.0.1:{receiver.port}", "--state", str(state)),
        ]
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), *sys.path])}
        for number in range(KILLS + 1):
            process = subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL)
            before = len(contents(receiver.films))
            if number < KILLS:
                while process.poll() is None and len(contents(receiver.films)) == before:
                    time.sleep(0.02)
                time.sleep(moments.uniform(0, 0.1))
                process.send_signal(signal.SIGKILL)
            codes[process.wait(300)] += 1
    assert codes[-signal.SIGKILL] >= 1 and codes[0] >= 1
    assert sorted(contents(receiver.films).values()) == sorted(contents(films).values())
