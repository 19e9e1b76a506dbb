"""kill -9 anywhere in the loop with an archive: nothing lost, doubled, or answered twice over.

    storescu -> Orthanc -> receive -> score -> results -> send -> Orthanc -> receive -> ...

In each round some films come, and one of our four processes is killed at a random moment. The
example's script hands on what Orthanc stores, results too, until it was answered with Success.
"""

from __future__ import annotations

import random
import subprocess
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from cxr_edge.hospital.spool import ObjectName
from tests.factories import chest
from tests.faults.conftest import Figures
from tests.faults.tiers import SEED, tier
from tests.hospital.forks import Forks, forks
from tests.hospital.loopback import open_loopback
from tests.hospital.orthanc import Orthanc, archive, identifier, needs_orthanc
from tests.hospital.peer import free_port
from tests.hospital.studies import FLAGGED, study

pytestmark = [pytest.mark.slow, needs_orthanc]
ROUNDS, FILMS = tier(quick=10, long=200), tier(quick=12, long=500)
VICTIMS = ("receive", "score", "results", "send")
DONE = (0, 3)


@pytest.fixture(autouse=True)
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody leaves the machine."""
    open_loopback(monkeypatch)


def film_path(number: int) -> Path:
    """Where the receiver keeps the film of a study."""
    name = ObjectName(f"1.2.3.4.{number}.1.1", f"1.2.3.4.{number}")
    return Path(name.folder, f"{name.stem}.dcm")


@dataclass
class Loop:
    """The processes of the loop but Orthanc, and what is known of films."""

    folder: Path
    orthanc: Orthanc
    port: int
    forks: Forks
    model: Path
    moments: random.Random
    receiver: int = 0
    kept: set[int] = field(default_factory=set)  # films that were answered with Success
    seconds: dict[str, float] = field(default_factory=dict)  # that a step has taken
    codes: Counter[str] = field(default_factory=Counter)

    @property
    def films(self) -> Path:
        return self.folder / "spool/films"

    def receive(self) -> None:
        """Start a receiver, and wait until it listens."""
        log = self.folder / f"receive-{time.monotonic_ns()}"
        words = ("receive", "--aet", "CXREDGE", "--from", "ORTHANC@127.0.0.1")
        where = ("--bind", f"127.0.0.1:{self.port}", "--spool", self.folder / "spool")
        self.receiver = self.forks.start(log, *words, *where)
        end = time.monotonic() + 60
        while not (log.exists() and "listens on" in log.read_text()):
            assert time.monotonic() < end, log.read_text()
            time.sleep(0.02)

    def forward(self, numbers: list[int], *, kill: bool) -> None:
        """Let Orthanc forward films until each was answered with Success."""
        if kill:
            moment = self.moments.uniform(0, 0.05 * len(numbers) + 0.1)
            killer = threading.Thread(target=self._kill_receiver, args=(moment,))
            killer.start()
        instances = [
            identifier(
                f"PLANTED-ID-{each}", *(f"1.2.3.4.{each}{more}" for more in ("", ".1", ".1.1"))
            )
            for each in numbers
        ]
        for number, instance in zip(numbers, instances, strict=True):
            while not self.orthanc.forwards([instance]):
                time.sleep(0.1)
            self.kept.add(number)
        if kill:
            killer.join()
        lost = [each for each in self.kept if not (self.films / film_path(each)).is_file()]
        assert lost == [], "answered with Success, and gone"

    def _kill_receiver(self, moment: float) -> None:
        time.sleep(moment)
        self.codes[f"receive {self.forks.kill(self.receiver)}"] += 1
        self.receive()

    def answer(self, number: int, victim: str = "") -> None:
        """Score, write results and send them; one of the three may be killed."""
        state, report = ("--state", self.folder / "state"), self.folder / f"reports/{number}"
        results = ("latest", *state, "--out", report / "results", "--model", self.model)
        to = ("--to", f"ORTHANC@127.0.0.1:{self.orthanc.dicom_port}", *state)
        score = (self.films, *state, "--out", report, "--study", "--model", self.model, "-q")
        steps = {
            "score": score,
            "results": (*results, "--secondary-capture", "flagged"),
            "send": (self.folder / "reports", *to),
        }
        for name, words in steps.items():
            self._step(name, words, kill=name == victim)
            if name == victim:  # as a script that does all three
                return

    def _step(self, name: str, words: tuple[object, ...], *, kill: bool) -> None:
        log, start = self.folder / name, time.monotonic()
        process = self.forks.start(log, name, *words)
        if kill:
            time.sleep(self.moments.uniform(0, self.seconds.get(name, 2.0)))
            code = self.forks.kill(process)
        else:
            code = self.forks.wait(process)
            assert code in DONE, log.read_text()
            self.seconds[name] = time.monotonic() - start
        self.codes[f"{name} {code}"] += kill


def send_to_archive(folder: Path, numbers: list[int], port: int) -> None:
    """Films of studies of their own, every second flagged."""
    folder.mkdir()
    for number in numbers:
        tilt = FLAGGED if number % 2 else 110
        (folder / f"{number}.dcm").write_bytes(study(number, chest(tilt=tilt)))
    words = ("storescu", "-aet", "XRAY1", "-aec", "ORTHANC", "127.0.0.1", str(port), "+sd", folder)
    subprocess.run(words, check=True, timeout=300)


def test_no_kill_loses_or_doubles_anything(tiny: Path, tmp_path: Path, figures: Figures) -> None:
    moments, port, start = random.Random(SEED), free_port(), time.monotonic()
    expected = {
        f"1.2.3.4.{number}": ["DX", "OT", "SR"] if number % 2 else ["DX", "SR"]
        for number in range(FILMS)
    }
    with archive(tmp_path, port) as orthanc, forks(tmp_path) as process:
        loop = Loop(tmp_path, orthanc, port, process, tiny, moments)
        loop.receive()
        try:
            for number in range(ROUNDS):
                victim = "" if not number else VICTIMS[number % len(VICTIMS)]
                share = range(number * FILMS // ROUNDS, (number + 1) * FILMS // ROUNDS)
                if share:
                    send_to_archive(tmp_path / f"given-{number}", list(share), orthanc.dicom_port)
                loop.forward(list(share), kill=victim == "receive")
                if victim != "receive":
                    loop.answer(number, victim)
            loop.answer(ROUNDS)
            assert orthanc.holdings() == expected
            wait_for_results(loop, sum(map(len, expected.values())))
            loop.answer(ROUNDS + 1)
            time.sleep(3)  # anything new would come back
            assert orthanc.holdings() == expected
            wait_for_results(loop, sum(map(len, expected.values())))
        finally:
            loop.forks.kill(loop.receiver)
    killed = {name: number for name, number in loop.codes.items() if number}
    seconds = round(time.monotonic() - start)
    figures(rounds=ROUNDS, films=FILMS, killed=killed, steps=loop.seconds, seconds=seconds)


def wait_for_results(loop: Loop, objects: int) -> None:
    """Until everything that Orthanc holds has come back, and no more."""
    end = time.monotonic() + 120
    while (found := len(list(loop.films.rglob("*.dcm")))) < objects:
        assert time.monotonic() < end, f"{found} of {objects} objects came back"
        time.sleep(0.2)
    assert found == objects
