"""Folders without end: files are taken as they are needed, and memory does not grow."""

from __future__ import annotations

import tracemalloc
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from cxr_edge.intake.prepared import Prepared
from cxr_edge.ledger.run import FILES_PER_RECALL
from cxr_edge.types import FoundFile, Reason, Result
from tests.factories import FakeRunner, InThisProcess
from tests.nights import SETTINGS, Night, Told


def test_rows_that_need_no_network_are_committed_in_groups(night: Night, tmp_path: Path) -> None:
    gone = [FoundFile(tmp_path / str(n), str(n), Reason.MISSING) for n in range(2500)]
    assert len(night.run(gone)) == 2500
    assert night.told.recorded_files == [1000, 1000, 500]


def test_a_stop_is_heard_among_rows_that_need_no_network(night: Night, tmp_path: Path) -> None:
    """A folder of nothing but links, or of films that are all known."""
    taken = []

    def links() -> Iterator[FoundFile]:
        for number in range(5000):
            taken.append(number)
            yield FoundFile(tmp_path / str(number), str(number), Reason.SYMLINK)

    told = Told()
    made = night.run(links(), told=told, stop=lambda: told.done >= 1000)
    assert (night.complete, len(made), told.done) == (False, 1000, 1000)
    assert len(taken) <= 1000 + FILES_PER_RECALL


class Blank(InThisProcess):
    """Any number of films that need no disk, all different, 16 MB of them at a time."""

    def _prepared(self, file: FoundFile) -> Prepared:
        waiting = Result.without_score(file.display, Reason.INTERNAL_ERROR)
        sha256 = f"{int(file.display):064x}"
        return Prepared(replace(waiting, sha256=sha256), np.zeros((1000, 1000, 1), np.uint8))


def endless(taken: list[int], count: int = 100_000) -> Iterator[FoundFile]:
    for number in range(count):
        taken.append(number)
        yield FoundFile(Path(f"/nowhere/{number}"), str(number))


def test_files_are_taken_as_they_are_needed(night: Night) -> None:
    taken: list[int] = []
    told = Told()
    night.run(
        endless(taken),
        workers=Blank(SETTINGS),
        told=told,
        batch_size=4,
        stop=lambda: told.done >= 20,
    )
    # The stop is seen after five batches; the sixth is under way by then.
    assert told.recorded_files == [4] * 6
    assert len(taken) <= 25


@pytest.mark.slow
def test_memory_does_not_grow_with_the_folder(night: Night) -> None:
    """300 films of 1 MB each pass through less than 40 MB: 8 in the network, 8 on the way there."""
    tracemalloc.start()
    night.run(endless([], 300), runner=FakeRunner(0.5), workers=Blank(SETTINGS), batch_size=8)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert night.told.done == 300
    assert peak < 40e6
