"""Films through real processes: each has its outcome, and as few start as are needed."""

from __future__ import annotations

import itertools
import os
import socket
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cxr_edge.decoders import pool as pool_module
from cxr_edge.decoders import start as start_module
from cxr_edge.decoders.forkserver import DECODER
from cxr_edge.decoders.pool import DEPTH, Workers
from cxr_edge.decoders.start import ForkedProcess
from cxr_edge.intake.discover import discover
from cxr_edge.intake.prepare import prepare
from cxr_edge.intake.prepared import IntakeSettings
from cxr_edge.types import FoundFile
from tests.decoders.conftest import Evil
from tests.decoders.harness import (
    FORKSERVER,
    READER,
    descendants,
    never,
    prepared,
    same,
)
from tests.factories import chest, write_tree
from tests.images.films import png
from tests.nights import SETTINGS


@pytest.mark.parametrize("count", [1, 3])
def test_as_in_this_process(count: int, films: list[FoundFile], tmp_path: Path) -> None:
    """Broken files and odd names too."""
    odd = {b"latin\xff.png": png(chest()), b"empty.png": b"", b"a\nb.txt": b"hello"}
    write_tree(tmp_path / "odd", {os.fsdecode(name): data for name, data in odd.items()})
    files = [*films, *discover([tmp_path / "odd"])]
    made = prepared(files, count)
    assert set(made) == {file.display for file in files}
    for file in files:
        assert same(made[file.display], prepare(file, SETTINGS)), file.display


def test_settings_reach_the_workers(films: list[FoundFile]) -> None:
    large = IntakeSettings(70, SETTINGS.scope)
    with Workers(1, large) as pool:
        for file, item in pool.prepare(films[:2], never):
            assert same(item, prepare(file, large))
            assert item.pixels is not None
            assert item.pixels.shape == (70, 70, 1)


def test_a_view_comes_along_where_it_is_asked_for(films: list[FoundFile], tmp_path: Path) -> None:
    """Also of films that are larger than a page shows, and none of what is no film."""
    write_tree(tmp_path / "in", {"tall.png": png(chest(800, 600)), "no film.png": b"hello"})
    showing = replace(SETTINGS, view=True)
    with Workers(1, showing) as pool:
        made = {
            file.display: item for file, item in pool.prepare(discover([tmp_path / "in"]), never)
        }
    assert made["no film.png"].view is None
    assert shape(made["tall.png"].view) == (384, 288)
    assert shape(made["a0.png"].view) == (48, 64)
    for file in films:
        assert same(made[file.display], prepare(file, showing))


def shape(plane: Any) -> tuple[int, ...]:
    assert plane.dtype == np.uint8
    return tuple(plane.shape)


def test_time_is_counted_for_each_film(evil: Evil, films: list[FoundFile]) -> None:
    """Slow films do not add up."""
    evil("pass", seconds=0.5)
    with Workers(1, SETTINGS) as pool:
        for number, (_, item) in enumerate(pool.prepare(films, never)):
            assert item.pixels is not None
            time.sleep(0.2 if number < 4 else 0)


def test_fewer_decoders_than_cores(
    evil: Evil,
    films: list[FoundFile],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The system allows two processes: two do the work of four, and it is said once."""
    evil("pass")
    pairs, made_pairs = socket.socketpair, itertools.count()

    def pair(*kind: Any) -> tuple[socket.socket, socket.socket]:
        if next(made_pairs) < 4:  # one is the forking process's own, one a reader's
            return pairs(*kind)
        raise OSError(24, "Too many open files")

    monkeypatch.setattr(socket, "socketpair", pair)
    with Workers(4, SETTINGS) as pool:
        made = list(pool.prepare(films, never))
        assert [item.pixels is None for _, item in made] == [False] * len(films)
        assert next(made_pairs) == 5, "it was tried again and again"
        assert pool._decoders._started == 4, "those that live were replaced"
    (line,) = caplog.messages
    assert line.endswith("Too many open files; 2 of 4 decode, others are tried later")


def test_as_many_as_cores_once_the_system_allows_it(
    films: list[FoundFile], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pool_module, "_SECONDS_WITH_FEWER", 0.0)
    begin, begun = start_module.Decoders.start, itertools.count()

    def starts(self: start_module.Decoders, kind: int = DECODER) -> ForkedProcess:
        if kind == DECODER and next(begun) == 1:
            raise OSError(11, "Resource temporarily unavailable")
        return begin(self, kind)

    monkeypatch.setattr(start_module.Decoders, "start", starts)
    with Workers(2, SETTINGS) as pool:
        assert len(list(pool.prepare(films, never))) == len(films)
        assert len(pool._workers) == pool._fewer == 2


def test_files_are_taken_as_they_are_needed(films: list[FoundFile]) -> None:
    taken: list[int] = []

    def endless() -> Iterator[FoundFile]:
        for number in itertools.count():
            taken.append(number)
            yield films[0]

    with Workers(2, SETTINGS) as pool:
        results = pool.prepare(endless(), never)
        for _ in range(20):
            next(results)
    assert 20 <= len(taken) <= 20 + 2 * DEPTH


def test_after_a_stop_no_file_is_begun_or_waited_for(evil: Evil, films: list[FoundFile]) -> None:
    evil("time.sleep(60)")
    asked = itertools.count()
    began = time.monotonic()
    with Workers(1, SETTINGS) as pool:
        made = [file.display for file, _ in pool.prepare(films, lambda: next(asked) > 12)]
    assert time.monotonic() - began < 10
    assert set(made) <= {"a0.png", "a1.png", "a2.png"}


@pytest.mark.parametrize(("count", "started"), [(2, 1), (3, 2), (30, 3)])
def test_a_process_starts_for_films_that_would_wait(
    count: int, started: int, films: list[FoundFile]
) -> None:
    before = descendants()
    with Workers(3, SETTINGS) as pool:
        next(pool.prepare(films[:1] * count, never))
        assert len(pool._workers) == started
        # One that was asked for last may not have been forked yet.
        assert 2 < len(descendants() - before) <= started + READER + FORKSERVER


def test_nothing_starts_before_there_is_a_file() -> None:
    before = descendants()
    with Workers(2, SETTINGS) as pool:
        assert list(pool.prepare([], never)) == []
        assert descendants() == before


def test_a_pool_can_be_used_again(films: list[FoundFile]) -> None:
    """As for the files that have settled at the end; the processes are the same."""
    before = descendants()
    with Workers(1, SETTINGS) as pool:
        first = list(pool.prepare(films, never))
        started = descendants() - before
        again = list(pool.prepare(films, never))
        assert descendants() - before == started
    assert [file for file, _ in again] == [file for file, _ in first]
    assert all(same(one[1], two[1]) for one, two in zip(first, again, strict=True))


@pytest.mark.parametrize("count", [0, -1])
def test_at_least_one(count: int) -> None:
    with pytest.raises(ValueError, match="at least one worker"):
        Workers(count, SETTINGS)
