"""Jobs that start together: one holds the state and one has the report; the others say so."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.cli.installed import BINARY, environment, installed
from tests.cli.reports import is_night_line
from tests.faults.conftest import Figures
from tests.faults.night import (
    INCOMPLETE,
    SECONDS,
    Ward,
    check_whole_or_absent,
    csv_of,
    cxr_edge,
    reference,
    write_films,
)
from tests.faults.tiers import tier

# Several whole runs at once; ledger/test_state and cli/test_score_ledger have one of each.
pytestmark = [installed, pytest.mark.slow]

Job = subprocess.Popen[bytes]
Start = Callable[[Sequence[str]], Job]
BUSY = 75


@dataclass(frozen=True)
class Plan:
    """A ward, and the report that it must end with."""

    ward: Ward
    expected: bytes


@pytest.fixture(scope="module")
def plan(tiny: Path, tmp_path_factory: pytest.TempPathFactory) -> Plan:
    folder = tmp_path_factory.mktemp("jobs")
    ward = Ward(write_films(folder / "in", 15), tiny)
    return Plan(ward, reference(ward, folder / "reference"))


@pytest.fixture
def start() -> Iterator[Start]:
    """Starts a run; none outlives a test that fails while one is stopped."""
    jobs: list[Job] = []

    def start_one(arguments: Sequence[str]) -> Job:
        command = [str(BINARY), *arguments]
        job = subprocess.Popen(
            command, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        jobs.append(job)
        return job

    yield start_one
    for job in jobs:
        job.kill()
        end(job)


def end(job: Job) -> tuple[int, str]:
    """Exit code and what it said."""
    said = b"" if job.stderr is None or job.stderr.closed else job.communicate(timeout=SECONDS)[1]
    return job.returncode, said.decode()


def hold(state: Path) -> int:
    """Stop whoever holds a state folder, for as long as the others need to find that out."""
    until = time.monotonic() + SECONDS
    while time.monotonic() < until:
        try:
            holder = int(json.loads((state / "lock").read_bytes())["pid"])
        except (FileNotFoundError, ValueError):  # not yet, or just being written
            time.sleep(0.001)
            continue
        os.kill(holder, signal.SIGSTOP)
        return holder
    raise AssertionError("nobody holds the state")


def test_one_state_for_all(plan: Plan, start: Start, tmp_path: Path, figures: Figures) -> None:
    started = []
    for number in range(tier(10, 100)):
        place = tmp_path / str(number)
        count = 2 + number % 3
        arguments = [plan.ward.score(place, out=f"out{each}") for each in range(count)]
        jobs = [start(each) for each in arguments]
        holder = hold(place / "state")
        losers = [each for each, job in enumerate(jobs) if job.pid != holder]
        assert len(losers) == count - 1
        for each in losers:
            code, said = end(jobs[each])
            assert (code, f": process {holder} on " in said) == (BUSY, True), said
            assert not (place / f"out{each}").exists()
        os.kill(holder, signal.SIGCONT)
        (winner,) = set(range(count)) - set(losers)
        code, said = end(jobs[winner])
        assert (code, is_night_line(said)) == (INCOMPLETE, True)
        assert check_whole_or_absent(place / f"out{winner}", plan.expected)
        started.append(count)
    figures(rounds=len(started), jobs=sum(started), ran=len(started))


def check_loser(plan: Plan, place: Path, code: int, said: str) -> None:
    """Too late to begin, or all scores recorded and only the report lost."""
    assert code in (1, 2), said
    if code == 2:
        assert "already exists" in said
        return
    assert "the scores are safe: cxr-edge report " in said
    again = place / "again"
    ended = cxr_edge(["report", "--state", str(place / "state"), "--out", str(again), "-q"])
    assert (ended.returncode, csv_of(again)) == (INCOMPLETE, plan.expected)


def test_one_report_for_all(plan: Plan, start: Start, tmp_path: Path, figures: Figures) -> None:
    codes: Counter[int] = Counter()
    for number in range(tier(5, 100)):
        out = tmp_path / f"out{number}"
        places = [tmp_path / f"{number}-{each}" for each in range(2)]
        jobs = [start(plan.ward.score(place, "--out", out)) for place in places]
        ended = [end(job) for job in jobs]
        assert [code for code, _ in ended].count(INCOMPLETE) == 1, ended
        assert check_whole_or_absent(out, plan.expected)
        for place, (code, said) in zip(places, ended, strict=True):
            codes[code] += 1
            if code != INCOMPLETE:
                check_loser(plan, place, code, said)
    figures(rounds=codes.total() // 2, exit_codes=dict(codes))
    assert not list(tmp_path.glob(".*")), "somebody's half report"
