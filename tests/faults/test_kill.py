"""kill -9 at any moment costs at most one batch, and nobody ever sees half a report.

A batch is as many films as `--batch-size`: one forward pass in the small plan, and several at once
in the large one.
"""

from __future__ import annotations

import random
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.cli.installed import installed
from tests.cli.reports import is_night_line
from tests.faults import shim
from tests.faults.conftest import Figures
from tests.faults.night import (
    BATCH,
    INCOMPLETE,
    Ward,
    check_nobody_left,
    check_tidy,
    check_whole_or_absent,
    csv_of,
    in_pairs,
    kill,
    marked,
    patched,
    reference,
    spread,
    to_its_end,
    write_films,
)
from tests.faults.tiers import SEED, tier

# A run for each kill; cli/test_installed_signals has one.
pytestmark = [installed, pytest.mark.slow]

OVERLAPPING = 32  # films: four passes
# Writes down each film that goes through the network, before it does. The self-test comes earlier.
# It takes its time, so that passes are under way together.
COUNTING = """
import hashlib, os, time
from cxr_edge.scoring import night
diary = os.open(os.environ["CXR_NIGHT"] + ".inferred", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
load = night.load
def counting(*arguments):
    runner = load(*arguments)
    predict = runner.predict
    def counted(images):
        names = [hashlib.sha256(image.tobytes()).hexdigest() for image in images]
        os.write(diary, "".join(name + "\\n" for name in names).encode())
        time.sleep(0.01)
        return predict(images)
    runner.predict = counted
    return runner
night.load = counting
"""


@dataclass(frozen=True)
class Plan:
    """A ward, the report it must end with, and the films that it takes to get there."""

    ward: Ward
    expected: bytes
    inferred: Counter[str]
    folder: Path
    batch: int

    def command(self, place: Path, out: str = "out", workers: int = 1) -> list[str]:
        options = ("--workers", workers, "--batch-size", self.batch)
        return patched(COUNTING, self.ward.score(place, *options, out=out))


def inferred(place: Path) -> Counter[str]:
    """How often each film went through the network, in all runs of a place."""
    diary = place.with_name(f"{place.name}.inferred")
    return Counter(diary.read_text().split() if diary.exists() else [])


def plan(folder: Path, tiny: Path, films: int, batch: int) -> Plan:
    ward = Ward(write_films(folder / "in", films), tiny)
    expected = reference(ward, folder / "reference")
    made = Plan(ward, expected, Counter(), folder, batch)
    (folder / "counted").mkdir()
    ended = to_its_end(made.command(folder / "counted"), marked(folder / "counted"))
    assert (ended.returncode, csv_of(folder / "counted" / "out")) == (INCOMPLETE, expected)
    films_seen = inferred(folder / "counted")
    assert set(films_seen.values()) == {1}
    return Plan(ward, expected, films_seen, folder, batch)


def resumed(plan: Plan, place: Path) -> int:
    """One more run mends everything that a kill has left; returns films inferred twice."""
    again = check_whole_or_absent(place / "out", plan.expected)
    out = "again" if again else "out"
    ended = to_its_end(plan.command(place, out), marked(place))
    assert (ended.returncode, ended.stdout) == (INCOMPLETE, b"")
    assert is_night_line(ended.stderr)
    assert check_whole_or_absent(place / out, plan.expected)
    check_tidy(place, *(["again", "out"] if again else ["out"]))
    check_nobody_left(place)
    counts = inferred(place)
    assert set(counts) == set(plan.inferred)
    twice = counts.total() - plan.inferred.total()
    assert twice <= plan.batch
    return twice


@pytest.fixture(scope="module")
def large(tiny: Path, tmp_path_factory: pytest.TempPathFactory) -> Plan:
    return plan(tmp_path_factory.mktemp("large"), tiny, 120, OVERLAPPING)


@pytest.fixture(scope="module")
def small(tiny: Path, tmp_path_factory: pytest.TempPathFactory) -> Plan:
    return plan(tmp_path_factory.mktemp("small"), tiny, 15, BATCH)


def started(plan: Plan, place: Path) -> subprocess.Popen[bytes]:
    """A run whose first films are in the network; what comes earlier is killed call by call."""
    place.mkdir()
    process = subprocess.Popen(
        plan.command(place, workers=2),
        env=marked(place),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    while not inferred(place):
        assert process.poll() is None
        time.sleep(0.001)
    return process


def what_was_there(plan: Plan, place: Path) -> str:
    if (place / "out").exists():
        return "report"
    return f"{len(inferred(place)) // plan.batch} batches"


def test_at_a_random_moment(large: Plan, figures: Figures) -> None:
    then = time.monotonic()
    with started(large, large.folder / "timed") as process:
        began = time.monotonic()
        assert process.wait() == INCOMPLETE
    window = time.monotonic() - began
    rng = random.Random(SEED)
    moments = [rng.uniform(0, window) for _ in range(tier(40, 500))]

    def kill_and_resume(numbered: tuple[int, float]) -> tuple[str, int]:
        number, moment = numbered
        place = large.folder / str(number)
        process = started(large, place)
        time.sleep(moment)
        kill(process)
        return what_was_there(large, place), resumed(large, place)

    outcomes = in_pairs(kill_and_resume, enumerate(moments))
    figures(
        kills=len(moments),
        after=dict(sorted(Counter(there for there, _ in outcomes).items())),
        most_inferred_twice=max(twice for _, twice in outcomes),
        batch=large.batch,
        seconds=round(time.monotonic() - then, 1),
    )


def every_kill(calls: int) -> Iterator[shim.Fault]:
    """Before each call; in the long tier after each as well. What follows the last comes last."""
    for at in spread(calls, tier(40, calls)):
        for action in shim.KILLS[: tier(1, 2)]:
            yield shim.Fault(at, action)
    yield shim.Fault(calls, "kill-after")


def test_at_every_change_to_the_disk(small: Plan, library: Path, figures: Figures) -> None:
    then = time.monotonic()
    dry = small.folder / "dry"
    dry.mkdir()
    _, calls = shim.run(library, small.command(dry), [dry], env=marked(dry))
    faults = list(dict.fromkeys(every_kill(len(calls))))

    def kill_and_resume(fault: shim.Fault) -> tuple[bool, int]:
        place = small.folder / f"{fault.action}-{fault.at}"
        place.mkdir()
        command = small.command(place)
        ended, made = shim.run(library, command, [place], fault, env=marked(place))
        killed = ended.returncode == -signal.SIGKILL
        # How SQLite splits its writes may shift the last call or two.
        assert killed or len(made) < fault.at
        return killed, resumed(small, place)

    outcomes = in_pairs(kill_and_resume, faults)
    kills = sum(killed for killed, _ in outcomes)
    figures(
        calls=len(calls),
        kills=kills,
        most_inferred_twice=max(twice for _, twice in outcomes),
        batch=small.batch,
        seconds=round(time.monotonic() - then, 1),
    )
    assert kills >= 0.9 * len(faults)
