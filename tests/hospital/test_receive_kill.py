"""kill -9 of a receiver at any moment: no film that was answered with Success is lost."""

from __future__ import annotations

import random
import subprocess
import time
from pathlib import Path

import pytest

from tests.faults.tiers import SEED, tier
from tests.hospital.forks import forks
from tests.hospital.receiving import PEER, TITLE, contents, film, needs_dcmtk

pytestmark = needs_dcmtk

FILMS, ROUNDS = 24, tier(quick=10, long=200)
PADDING = b"\x01\x02" * 100_000  # some PDUs for each film


def write_round(folder: Path, number: int) -> Path:
    """Films of one round, two to a study."""
    folder.mkdir()
    for each in range(FILMS):
        data = film(each + FILMS * number, each // 2 + FILMS * number, EncapsulatedDocument=PADDING)
        (folder / f"{each:02d}.dcm").write_bytes(data)
    return folder


def answered(output: str) -> list[str]:
    """Paths of files that were answered with Success, as `storescu -v` tells it."""
    paths, current = [], ""
    for line in output.splitlines():
        if "Sending file: " in line:
            current = line.split("Sending file: ")[1]
        elif "Received Store Response (Success)" in line:
            paths.append(current)
    return paths


def begin_to_send(source: Path, port: int) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [
            *("storescu", "-v", "-aet", PEER, "-aec", TITLE, "127.0.0.1"),
            *(str(port), "+sd", str(source)),
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


@pytest.mark.slow
@pytest.mark.parametrize(("senders", "rounds"), [(1, ROUNDS), (2, ROUNDS // 2)])
def test_no_film_is_lost_and_none_is_half(senders: int, rounds: int, tmp_path: Path) -> None:
    """Two senders send the same films at once, as a PACS and the modality behind it may."""
    moments = random.Random(SEED)
    expected: dict[str, str] = {}
    whole: set[str] = set()
    whole_run = 3.0  # seconds; the first round tells better
    with forks(tmp_path) as process:
        for number in range(rounds):
            source = write_round(tmp_path / f"source-{number}", number)
            hashes = contents(source)
            whole |= set(hashes.values())
            child, receiver = process.begin(tmp_path, tmp_path / f"log-{number}")
            assert list((receiver.spool / "arriving").iterdir()) == [], "halves are removed"
            start = time.monotonic()
            sending = [begin_to_send(source, receiver.port) for _ in range(senders)]
            if number:
                # One of them surely among the films, should the first round have been a slow one.
                time.sleep(whole_run * (0.3 if number == 1 else moments.uniform(0, 1)))
                process.kill(child)
            outputs = [sender.communicate(timeout=300)[0] for sender in sending]
            if not number:
                whole_run = time.monotonic() - start
                process.kill(child)
                assert len(answered(outputs[0])) == FILMS, outputs[0]
            expected |= {path: hashes[path] for each in outputs for path in answered(each)}
            stored = contents(receiver.films)
            assert set(expected.values()) - set(stored.values()) == set(), f"lost in {number}"
            assert set(stored.values()) - whole == set(), f"a half film after {number}"
            assert len(stored) == len(set(stored.values())), f"a film twice after {number}"
            owed = {marker.name for marker in (receiver.spool / "waiting").iterdir()}
            assert {path.parent.name for path in receiver.films.rglob("*.dcm")} <= owed
    assert FILMS < len(expected) < FILMS * rounds, "the kills hit the time in which films come"
