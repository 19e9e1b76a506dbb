"""Films in chunks: each has one row, however workers die, and no more are under way than fit."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from cxr_edge.engines import chunks
from cxr_edge.engines.chunks import FILMS_PER_CHUNK, Chunk, Distributed, Ended, Row
from cxr_edge.errors import DeviceError
from cxr_edge.ledger.rows import Entry
from cxr_edge.types import FoundFile, Reason, Result, Status


def found(count: int) -> list[FoundFile]:
    return [FoundFile(Path(f"/in/{number}"), str(number)) for number in range(count)]


def row(place: int, file: FoundFile) -> Row:
    return place, Result(file.display, Status.SCORED, probability=0.5), None


@dataclass
class FakePool:
    """Answers in the order of `begin`, unless `fate` says that a chunk's worker dies.

    Attributes:
        most: chunks under way at once.
        fate: how many of a chunk's films have rows; None for a worker that dies.
        refusals: whether it was refused instead, one after the other.
    """

    most: int = 4
    fate: Callable[[Chunk], int | None] = lambda chunk: len(chunk.files)
    refusals: Iterator[bool] = field(default_factory=lambda: iter(()))
    begun: list[Chunk] = field(default_factory=list)
    waiting: list[Chunk] = field(default_factory=list)
    is_stopped: bool = False
    asked: int = 0

    @property
    def under_way(self) -> int:
        return len(self.waiting)

    def has_place(self) -> bool:
        return len(self.waiting) < self.most

    def begin(self, chunk: Chunk) -> None:
        assert self.has_place()
        self.begun.append(chunk)
        self.waiting.append(chunk)

    def ended(self, seconds: float) -> list[Ended]:
        if not self.waiting or (seconds == 0 and self.has_place()):
            return []
        chunk = self.waiting.pop(0)
        known = self.fate(chunk)
        if known is None:
            return [Ended(chunk, None, is_refused=next(self.refusals, False))]
        return [Ended(chunk, [row(*each) for each in enumerate(chunk.files[:known])])]

    def stop(self) -> None:
        self.is_stopped = True


def scored(
    engine: Distributed,
    files: Iterable[FoundFile | None],
    stop: Callable[[], bool] = lambda: False,
) -> list[Entry]:
    return list(itertools.chain.from_iterable(engine.rows(files, lambda _: {}, stop)))


def names(entries: Iterable[Entry]) -> list[str]:
    return sorted((entry.result.path for entry in entries), key=int)


def is_whole(entries: list[Entry], count: int) -> bool:
    return names(entries) == [str(number) for number in range(count)]


@pytest.mark.parametrize("count", [0, 1, FILMS_PER_CHUNK, 3 * FILMS_PER_CHUNK + 1])
def test_every_film_has_one_row(count: int) -> None:
    engine = Distributed(FakePool())
    assert is_whole(scored(engine, found(count)), count)
    assert engine.twice == 0


def test_rows_belong_to_their_files() -> None:
    for entry in scored(Distributed(FakePool()), found(50)):
        assert entry.file.display == entry.result.path


def test_films_are_taken_no_further_ahead_than_there_is_place(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    taken = 0

    def counted() -> Iterable[FoundFile]:
        nonlocal taken
        for file in found(3000):
            taken += 1
            yield file

    monkeypatch.setattr(chunks, "_ROWS_TOGETHER", 1)
    most, done = 0, 0
    for entries in Distributed(FakePool(most=3)).rows(counted(), lambda _: {}, lambda: False):
        most = max(most, taken - done)
        done += len(entries)
    assert (done, most) == (3000, 3 * FILMS_PER_CHUNK)


def test_rows_are_handed_on_many_together_and_before_long(monkeypatch: pytest.MonkeyPatch) -> None:
    """A commit waits for the disk, and a kill costs what is not committed."""
    times = itertools.count(step=0.1)
    monkeypatch.setattr(chunks.time, "monotonic", lambda: next(times))
    groups = Distributed(FakePool()).rows(found(3000), lambda _: {}, lambda: False)
    sizes = [len(entries) for entries in groups]
    assert sum(sizes) == 3000
    assert 1 < len(sizes) < 3000 / FILMS_PER_CHUNK / 3


def test_a_slow_listing_keeps_nobody_waiting() -> None:
    pool = FakePool()
    files: list[FoundFile | None] = [*found(3), None, None]
    assert is_whole(scored(Distributed(pool), files), 3)
    assert [len(chunk.files) for chunk in pool.begun] == [3]


def test_a_chunk_whose_worker_dies_goes_to_another() -> None:
    deaths = itertools.count()
    pool = FakePool(fate=lambda chunk: None if next(deaths) == 1 else len(chunk.files))
    engine = Distributed(pool)
    assert is_whole(scored(engine, found(200)), 200)
    assert engine.twice == FILMS_PER_CHUNK


def test_what_has_no_row_is_asked_for_again() -> None:
    engine = Distributed(FakePool(fate=lambda chunk: len(chunk.files) if chunk.deaths else 5))
    assert is_whole(scored(engine, found(40)), 40)
    assert engine.twice == (FILMS_PER_CHUNK - 5) + (40 - FILMS_PER_CHUNK - 5)


def test_a_film_that_kills_its_workers_costs_one_row() -> None:
    """And no more than a few workers."""
    bad = "17"

    def kills(chunk: Chunk) -> int | None:
        hit = any(file.display == bad for file in chunk.files)
        return None if hit else len(chunk.files)

    pool = FakePool(fate=kills)
    entries = scored(Distributed(pool), found(100))
    assert is_whole(entries, 100)
    reasons = {entry.result.path: entry.result.reason for entry in entries if entry.result.reason}
    assert reasons == {bad: Reason.DECODER_CRASHED}
    assert sum(kills(chunk) is None for chunk in pool.begun) == 4


@pytest.mark.parametrize("count", [1, 40])
def test_a_refused_worker_is_no_death(count: int) -> None:
    """Four nodes without the films' share, then three workers that die."""
    ends = itertools.chain([None] * 7, itertools.repeat(FILMS_PER_CHUNK))
    pool = FakePool(most=1, fate=lambda chunk: next(ends), refusals=iter([True] * 4))
    entries = scored(Distributed(pool), found(count))
    assert is_whole(entries, count)
    assert all(entry.result.status is Status.SCORED for entry in entries)
    assert [chunk.deaths for chunk in pool.begun[:5]] == [0] * 5


def test_rows_that_have_come_are_handed_on_before_an_error() -> None:
    ends = itertools.count()

    def fate(chunk: Chunk) -> int:
        if next(ends) == 4:
            raise DeviceError("the network fails")
        return len(chunk.files)

    rows: list[Entry] = []
    with pytest.raises(DeviceError):
        for entries in Distributed(FakePool(fate=fate)).rows(
            found(1000), lambda _: {}, lambda: False
        ):
            rows += entries
    assert len(rows) == 4 * FILMS_PER_CHUNK


def test_a_stop_gives_what_was_begun() -> None:
    pool, engine_stops = FakePool(), itertools.count()
    entries = scored(Distributed(pool), found(1000), lambda: next(engine_stops) >= 3)
    assert pool.is_stopped
    assert len(entries) == len(names(entries)) == 3 * FILMS_PER_CHUNK


def test_a_stop_waits_for_ever_for_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chunks, "_SECONDS_TO_STOP", 0.0)
    stops = itertools.count()
    assert scored(Distributed(FakePool()), found(90), lambda: next(stops) >= 1) == []


def test_headers_are_asked_for_as_such() -> None:
    pool = FakePool()
    results = list(Distributed(pool).identify(found(40), lambda: False))
    assert len(results) == 40
    assert all(chunk.header_only for chunk in pool.begun)
