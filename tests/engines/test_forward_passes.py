"""Batches in the network at once: the same rows, and a kill costs no more than was agreed."""

from __future__ import annotations

import itertools
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from cxr_edge.engines import forward_passes
from cxr_edge.errors import CxrEdgeError, DeviceError
from cxr_edge.intake.discover import discover
from cxr_edge.runtime import Runner
from tests.factories import FakeRunner, chest, raising, write_tree
from tests.images.films import png
from tests.nights import SETTINGS, InThisProcess, Night, Told

FILMS = {f"{number:02}.png": png(chest(tilt=10 * number - 90)) for number in range(18)}
LONG = 10.0  # seconds: a thread that waits so long for another waits for ever


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_tree(tmp_path / "in", {**FILMS, "no film.txt": b"hello"})


@pytest.fixture(autouse=True)
def four_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(forward_passes, "usable_cores", lambda: 4)


@pytest.mark.parametrize("ahead", [1, 2, 5])
@pytest.mark.parametrize("batch_size", [1, 4, 32])
def test_passes_at_once_change_nothing(
    ahead: int, batch_size: int, night: Night, folder: Path, tiny_runner: Runner
) -> None:
    plain = night.run(folder, runner=tiny_runner)
    options = {"ahead": ahead, "batch_size": batch_size}
    assert night.run(folder, runner=tiny_runner, settings="other", **options) == plain
    assert (night.complete, night.told.done) == (True, len(plain))


def test_passes_run_at_once(night: Night, folder: Path) -> None:
    """Each waits until there are three, or the barrier breaks and the run with it."""
    barrier = threading.Barrier(3, timeout=LONG)

    class Together(FakeRunner):
        def predict(self, images: Any) -> Any:
            barrier.wait()
            return super().predict(images)

    rows = night.run(folder, runner=Together(), ahead=3, batch_size=6)
    assert rows == night.run(folder, settings="other")


def test_films_are_collected_while_the_network_computes(night: Night, folder: Path) -> None:
    class Slow(FakeRunner):
        def predict(self, images: Any) -> Any:
            last_asked.wait(LONG)
            return super().predict(images)

    class Files(list[Any]):
        def __iter__(self) -> Any:
            yield from super().__iter__()
            last_asked.set()

    last_asked = threading.Event()
    files = Files(list(discover([folder]))[:7])
    assert len(night.run(files, runner=Slow(), ahead=1, batch_size=4)) == 7
    assert last_asked.is_set()
    assert night.runner.batches == [4, 3]


@pytest.mark.parametrize(("ahead", "at_stake"), [(1, 2), (3, 6)])
def test_so_many_films_does_a_kill_cost(
    ahead: int, at_stake: int, night: Night, folder: Path
) -> None:
    """Those that have gone into the network and are not recorded yet."""
    lost, lock = [], threading.Lock()

    class Watched(FakeRunner):
        def predict(self, images: Any) -> Any:
            with lock:
                self.batches.append(len(images))
                lost.append(sum(self.batches) - told.done)
            return FakeRunner().predict(images)

    told = Told()
    night.run(folder, runner=Watched(), told=told, ahead=ahead, batch_size=2)
    assert max(lost) <= at_stake
    assert sum(night.runner.batches) == len(FILMS)


@pytest.mark.parametrize("ahead", [1, 2, 4])
def test_a_commit_waits_for_as_many_as_a_kill_may_cost(
    ahead: int, night: Night, folder: Path
) -> None:
    """Each makes the disk write: at a thousand passes a second that is all that would be done."""

    class Watching(Told):
        def recorded(self, files: int) -> None:
            asked.append(len(night.workers.asked))
            super().recorded(files)

    asked: list[int] = []
    night.run(folder, told=Watching(), ahead=ahead, batch_size=2)
    assert asked[0] == 2 * (ahead + 1)


@pytest.mark.parametrize("batch_size", [1, 2])
def test_the_same_bytes_are_in_the_network_once(
    batch_size: int, night: Night, tmp_path: Path
) -> None:
    """Also when their first pass has not ended as the second is filled."""
    names = [f"{name}{number}.png" for name in "abc" for number in range(batch_size)]
    twins = write_tree(tmp_path / "in", dict.fromkeys(names, png(chest())))
    rows = night.run(twins, ahead=3, batch_size=batch_size)
    assert night.runner.batches == [1]
    assert {row.probability for row in rows} == {rows[0].probability} != {None}


@pytest.mark.parametrize("error", [ValueError("out of memory"), KeyboardInterrupt()])
def test_what_came_before_a_failure_is_recorded(
    error: BaseException, night: Night, folder: Path
) -> None:
    """Nothing after it is, but for what was begun at the same time."""

    class Third(FakeRunner):
        def predict(self, images: Any) -> Any:
            self.batches.append(len(images))
            if len(self.batches) == 3:
                raise error
            return FakeRunner().predict(images)

    told = Told()
    expected = DeviceError if isinstance(error, ValueError) else KeyboardInterrupt
    with pytest.raises(expected):
        night.run(folder, runner=Third(), told=told, ahead=2, batch_size=1)
    assert told.done == 2
    assert len(night.runner.batches) <= 4
    again = night.run(folder)
    assert night.runner.batches == [len(FILMS) - 2]
    assert again == night.run(folder, settings="uninterrupted")


@pytest.mark.parametrize("stop_after", [0, 1, 5])
def test_a_stop_records_what_is_under_way(stop_after: int, night: Night, folder: Path) -> None:
    told = Told()
    made = night.run(folder, told=told, ahead=3, batch_size=2, stop=lambda: told.done >= stop_after)
    assert not night.complete
    assert {row.path for row in made} == set(night.workers.asked)
    assert len(made) == told.done < len(FILMS)


def test_no_passes_are_refused(night: Night, folder: Path) -> None:
    with pytest.raises(ValueError, match="at least 1"):
        night.run(folder, ahead=0)


class Breaking(InThisProcess):
    """Decoders of which no more can be started after so many films."""

    def prepare(self, *arguments: Any) -> Any:
        yield from itertools.islice(super().prepare(*arguments), 5)
        raise CxrEdgeError("decoder processes cannot be started here")


def test_what_was_begun_is_recorded_when_decoders_fail(night: Night, folder: Path) -> None:
    told = Told()
    with pytest.raises(CxrEdgeError, match="cannot be started"):
        night.run(folder, workers=Breaking(SETTINGS), told=told, ahead=4, batch_size=2)
    assert told.done == 4
    night.run(folder)
    assert night.runner.batches == [len(FILMS) - 4]


def test_an_end_at_once_waits_for_nothing_queued(night: Night, folder: Path) -> None:
    """A second signal: what is in the network now is let go, what waits is not begun."""
    began = threading.Event()

    class Slow(FakeRunner):
        def predict(self, images: Any) -> Any:
            self.batches.append(len(images))
            began.set()
            time.sleep(0.2)
            return FakeRunner().predict(images)

    class Impatient(InThisProcess):
        def prepare(self, *arguments: Any) -> Any:
            yield from itertools.islice(super().prepare(*arguments), 5)
            began.wait()
            raise SystemExit(143)

    slow = Slow()
    with pytest.raises(SystemExit):
        night.run(folder, workers=Impatient(SETTINGS), runner=slow, ahead=5, batch_size=1)
    time.sleep(0.5)
    assert len(slow.batches) <= 4  # as many as there are threads, of five


def test_where_no_thread_can_be_started_somebody_says_what_to_do(
    night: Night, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(threading.Thread, "start", raising(RuntimeError("can't start new thread")))
    with pytest.raises(CxrEdgeError, match="can't start new thread") as caught:
        night.run(folder)
    assert "limit on processes" in caught.value.tip
