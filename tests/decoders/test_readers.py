"""Reader processes: a share that is gone holds one of them, and not the night."""

from __future__ import annotations

import errno
import itertools
import os
import time
from dataclasses import replace
from pathlib import Path

import pytest

from cxr_edge.decoders import channel
from cxr_edge.decoders import films as films_module
from cxr_edge.decoders import pool as pool_module
from cxr_edge.decoders import readers as readers_module
from cxr_edge.decoders.pool import Workers
from cxr_edge.intake.discover import discover
from cxr_edge.intake.prepare import prepare
from cxr_edge.intake.prepared import Prepared
from cxr_edge.types import FoundFile, Reason
from tests.decoders.conftest import Evil, Start
from tests.decoders.harness import BAD, descendants, never, prepared, same, server_of
from tests.factories import chest, names_in, raising, write_tree
from tests.images.films import png
from tests.nights import SETTINGS

# The real reader, which finds a share that behaves otherwise.
STRANGE_SHARE = """
import os, signal, time
from cxr_edge.intake import read
from cxr_edge.decoders import worker
real = os.open
def opened(path, flags, *more, **options):
    name = os.fsdecode(path) if isinstance(path, (str, bytes)) else str(path)
    if name.endswith({bad!r}):
        {body}
    return real(path, flags, *more, **options)
def beneath(folder, name, flags):
    return opened(name, flags, dir_fd=folder)
read.os.open, read.open_beneath = opened, beneath
worker.main()
"""


@pytest.fixture
def share(start: Start) -> Start:
    """`share(body)`: what opening a bad film does in a reader."""
    return lambda body: start(STRANGE_SHARE.format(body=body, bad=BAD))


GONE = {
    "a share that does not answer": ("time.sleep(60)", Reason.TIMEOUT),
    "a reader that is stopped": ("os.kill(os.getpid(), signal.SIGSTOP)", Reason.TIMEOUT),
    "a reader that is killed": ("os.kill(os.getpid(), signal.SIGKILL)", Reason.IO_ERROR),
}


@pytest.mark.parametrize(("body", "reason"), GONE.values(), ids=GONE)
def test_a_share_that_is_gone_costs_its_film(
    body: str,
    reason: Reason,
    share: Start,
    films: list[FoundFile],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(readers_module, "MAX_SECONDS", 0.5)
    share(body)
    made = prepared(films)
    assert made.pop(BAD).result.reason is reason
    for file in films:
        assert file.display == BAD or same(made[file.display], prepare(file, SETTINGS))


def test_others_are_read_while_one_waits(share: Start, films: list[FoundFile]) -> None:
    """By another reader, which starts once decoders have nothing to do."""
    share("time.sleep(60)")
    many = [file for file in films if file.display != BAD] * 3
    waiting = [file for file in films if file.display == BAD]
    began = time.monotonic()
    with Workers(2, SETTINGS) as pool:
        results = pool.prepare(waiting + many, never)
        # Those that stand behind it in its reader's own line wait with it.
        made = [next(results) for _ in range(len(many) - readers_module.DEPTH)]
        assert len(pool._readers._readers) == 2
    assert time.monotonic() - began < 20
    assert all(item.pixels is not None for _, item in made)


def test_one_reader_is_enough_where_decoders_have_work(evil: Evil, tmp_path: Path) -> None:
    evil("time.sleep(0.05)")
    tree = {f"{number}.bad": png(chest(tilt=number)) for number in range(60)}
    with Workers(2, SETTINGS) as pool:
        assert len(list(pool.prepare(discover([write_tree(tmp_path / "in", tree)]), never))) == 60
        assert len(pool._readers._readers) == 1


def test_the_parent_never_waits_in_a_send(
    evil: Evil, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A decoder is stopped, the names are as long as names can be."""
    evil("os.kill(os.getpid(), signal.SIGSTOP)", seconds=2.0)
    folder = "/".join(["n" * 250] * 8)
    names = [f"{folder}/{'m' * 240}{number:03}.bad" for number in range(12)]
    files = list(discover([write_tree(tmp_path / "in", dict.fromkeys(names, png(chest())))]))
    asked: list[float] = []

    def stop() -> bool:
        asked.append(time.monotonic())
        return len(asked) > 10 and asked[-1] - asked[0] > 1.5

    with Workers(1, SETTINGS) as pool:
        assert list(pool.prepare(files, stop)) == []
    gaps = [later - earlier for earlier, later in itertools.pairwise(asked)]
    assert max(gaps) < 1.0, "it was not asked whether to stop"


def test_a_stopped_reader_does_not_stop_the_parent(films: list[FoundFile]) -> None:
    with Workers(1, SETTINGS) as pool:
        assert len(list(pool.prepare(films[:1], never))) == 1
        (reader,) = pool._readers._readers
        stopped = [pid for pid in descendants(server_of(pool)) if is_reader(pid)]
        os.kill(stopped[0], 19)
        ends = time.monotonic() + 1.0
        assert list(pool.prepare(films * 20, lambda: time.monotonic() > ends)) == []
        assert len(reader.films) == readers_module.DEPTH


def is_reader(pid: int) -> bool:
    """It alone has no prison."""
    return "Seccomp:\t0" in Path(f"/proc/{pid}/status").read_text()


def test_bytes_in_flight_are_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A film as large as all that there is room for still passes, alone."""
    monkeypatch.setattr(films_module, "MAX_BYTES", 100_000)
    monkeypatch.setattr(films_module, "_USUAL_BYTES", 10_000)
    tree = {f"{number}.txt": b"\0" * 30_000 for number in range(9)} | {"large.txt": b"\0" * 100_000}
    most = 0
    with Workers(1, SETTINGS) as pool:
        for known in (False, True):
            found = discover([write_tree(tmp_path / "in", tree)])
            files = [file if known else replace(file, stamp=None, size=None) for file in found]
            made = 0
            for _, item in pool.prepare(files, never):
                assert item.result.reason is Reason.UNRECOGNISED
                most, made = max(most, pool._room.bytes), made + 1
            assert made == len(tree)
            assert (pool._room.films, pool._room.bytes) == (0, 0)
    assert 60_000 <= most <= 100_000


def test_no_film_s_memory_stays(films: list[FoundFile]) -> None:
    """After a run, and after one that was left in the middle."""
    before = names_in(Path("/proc/self/fd"))
    with Workers(1, SETTINGS) as pool:
        list(pool.prepare(films, never))
        assert films_open() == 0
        next(pool.prepare(films * 9, never))  # so many that some are on their way
        assert films_open() > 0
    assert films_open() == 0
    assert names_in(Path("/proc/self/fd")) == before


def films_open() -> int:
    links = (path.readlink() for path in Path("/proc/self/fd").iterdir() if path.is_symlink())
    return sum("memfd:film" in str(link) for link in links)


def test_bytes_of_this_process(films: list[FoundFile]) -> None:
    data = films[0].path.read_bytes()
    with Workers(1, SETTINGS) as pool:
        made = pool.prepare_bytes(data, "a0.png")
        assert pool.prepare_bytes(b"", "nothing").result.reason is Reason.EMPTY
        with pytest.MonkeyPatch.context() as patched:
            patched.setattr(pool_module, "hold", raising(OSError(errno.EFBIG, "File too large")))
            assert pool.prepare_bytes(data, "a0.png").result.reason is Reason.IO_ERROR
    expected = prepare(films[0], SETTINGS)
    assert same(made, Prepared(replace(expected.result, modified_utc=""), expected.pixels))


@pytest.mark.parametrize(("times", "lost"), [(1, 0), (100, 2)])
def test_an_answer_whose_film_does_not_arrive_is_asked_for_again(
    times: int, lost: int, films: list[FoundFile], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The kernel drops a descriptor where this process has no place for one more."""
    left = [times]

    def received(*given: object) -> tuple[bytes, list[int]] | None:
        packet = channel.received(*given)  # type: ignore[arg-type]
        if packet is None or not packet[1] or not left[0]:
            return packet
        left[0] -= 1
        for descriptor in packet[1]:
            os.close(descriptor)
        return packet[0], []

    monkeypatch.setattr(readers_module, "received", received)
    made = prepared(films[:2])
    assert len(made) == 2
    reasons = [each.result.reason for each in made.values()]
    assert reasons.count(Reason.IO_ERROR) == lost
