"""The whole loop with an archive that nobody here wrote and that forwards what it stores.

    storescu -> Orthanc -> receive -> score -> results -> send -> Orthanc -> receive -> ...

Slow: films come while the receiver is away, the loop runs three times, and nothing more may come.
`CXR_FAULTS=long` takes 500 films instead of 12.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.factories import chest
from tests.hospital.orthanc import archive, needs_orthanc
from tests.hospital.peer import free_port
from tests.hospital.receiving import ROOT, receiving
from tests.hospital.studies import FLAGGED, PLANTED, study

pytestmark = [pytest.mark.slow, needs_orthanc]
FILMS = 500 if os.environ.get("CXR_FAULTS") == "long" else 12
LOOPS = 3


def command(*words: object) -> str:
    """Run cxr-edge; returns what it has said."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), *sys.path])}
    made = subprocess.run(
        [sys.executable, "-m", "cxr_edge", *map(str, words)],
        capture_output=True,
        text=True,
        env=environment,
        timeout=1800,
    )
    assert made.returncode == 0, made.stderr
    return made.stdout + made.stderr


def wait_until(holds: Callable[[], bool], what: str, seconds: float = 300) -> None:
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, what
        time.sleep(0.5)


def test_each_study_is_in_the_archive_once_with_its_results(tiny: Path, tmp_path: Path) -> None:
    given = tmp_path / "given"
    given.mkdir()
    for number in range(FILMS):
        tilt = FLAGGED if number % 2 else 110
        (given / f"{number}.dcm").write_bytes(study(number, chest(tilt=tilt)))
    expected = {
        f"1.2.3.4.{number}": ["DX", "OT", "SR"] if number % 2 else ["DX", "SR"]
        for number in range(FILMS)
    }
    objects = sum(map(len, expected.values()))
    state, said = tmp_path / "state", ""
    bind = f"127.0.0.1:{free_port()}"
    with contextlib.ExitStack() as stack:
        orthanc = stack.enter_context(archive(tmp_path, int(bind.split(":")[1])))
        port = str(orthanc.dicom_port)
        send = ("storescu", "-aet", "XRAY1", "-aec", "ORTHANC", "127.0.0.1", port, "+sd", given)
        subprocess.run(send, check=True, timeout=600)
        peer = f"ORTHANC@127.0.0.1:{port}"
        time.sleep(2)  # the receiver is away, as after an update: nothing of this may be lost
        edge = stack.enter_context(
            receiving(tmp_path, title="CXREDGE", senders=("ORTHANC",), bind=bind)
        )

        def films() -> int:
            return len(list(edge.films.rglob("*.dcm")))

        wait_until(lambda: films() >= FILMS, "films forwarded")
        for loop in range(LOOPS):
            out = tmp_path / f"report-{loop}"
            wanted = ("--results", "--secondary-capture", "flagged", "--model", tiny)
            said += command(
                *("score", edge.films, "--state", state, "--out", out, "--study", *wanted)
            )
            said += command(
                *("send", out / "results", "--to", peer, "--aet", "CXREDGE", "--state", state)
            )
            assert orthanc.holdings() == expected
            wait_until(lambda: films() >= objects, "results forwarded back")
            time.sleep(5)  # nothing else may come
            assert films() == objects
        assert orthanc.holdings() == expected
        said += edge.log
    assert not any(planted in said for planted in PLANTED)
