"""Real decoder processes that crash, hang, lie and grow: each costs one row and nothing else."""

from __future__ import annotations

import itertools
import logging
import os
import signal
import socket
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from cxr_edge.decoders import pool as pool_module
from cxr_edge.decoders import start as start_module
from cxr_edge.decoders.messages import FilmFacts
from cxr_edge.decoders.pool import DEPTH, Workers
from cxr_edge.errors import CxrEdgeError
from cxr_edge.intake.discover import discover
from cxr_edge.intake.prepare import prepare
from cxr_edge.intake.prepared import IntakeSettings, Prepared
from cxr_edge.types import FoundFile, Reason, Result
from tests.factories import chest, names_in, write_tree
from tests.images.films import png
from tests.nights import SETTINGS

SIZE = SETTINGS.size
BAD = "bad.png"
FORKSERVER = 1  # process more than there are decoders

# The real worker, of which one part is replaced before it starts.
EVIL_DECODER = """
import ctypes, os, re, signal, sys, time
import numpy as np
from pathlib import Path
from cxr_edge.intake import prepare as prepare_module
from cxr_edge.decoders import worker
real = prepare_module.decode
worker.MAX_SECONDS = {seconds}
def decode(data, name, *rest):
    if name.startswith("bad"):
        (Path({marks!r}) / str(os.getpid())).touch()
        {body}
    return real(data, name, *rest)
prepare_module.decode = decode
worker.main()
"""
# Forks what knows the protocol and no image; starts five times as fast as what forks decoders.
OTHER = """
import json, os, socket, sys, time
from multiprocessing.connection import Connection
from cxr_edge.decoders import forkserver
def work(descriptor):
    connection = Connection(descriptor)
{work}
control = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET, fileno=int(sys.argv[1]))
forkserver.serve(control, work)
"""
LIAR = """
def lie(values, pixels):
    {body}
    return json.dumps(values).encode() + b"\\n" + pixels
connection.recv_bytes()  # the settings
connection.send_bytes(b"ready")
while True:
    request = json.loads(connection.recv_bytes())
    values = {{"result": {honest}, "stamp": None, "view": None, "trouble": ""}}
    values["result"]["path"] = request["display"]
    if request["display"].startswith("bad"):
        connection.send_bytes(lie(values, bytes(64)))
    else:
        connection.send_bytes(json.dumps(values).encode() + b"\\n" + bytes(64))
"""
HONEST = Result.without_score("a.png", Reason.INTERNAL_ERROR, width=64, height=48)

Start = Callable[[str], None]


def other(work: str) -> str:
    """What to start where forked processes shall do this with their `connection`."""
    return OTHER.format(work=textwrap.indent(work, "    "))


def liar(body: str) -> str:
    facts = msgspec.convert(HONEST, FilmFacts, from_attributes=True)
    return other(LIAR.format(body=body, honest=msgspec.to_builtins(facts)))


def never() -> bool:
    return False


@pytest.fixture
def start(monkeypatch: pytest.MonkeyPatch) -> Start:
    """`start(code)`: from now on what forks decoders runs this code, with the same argument."""
    same_modules, _ = start_module._START.split("from cxr_edge")

    def choose(code: str) -> None:
        monkeypatch.setattr(start_module, "_START", f"{same_modules}\n{code}")

    return choose


@pytest.fixture
def evil(start: Start, tmp_path: Path) -> Callable[..., Path]:
    """`evil(body)`: what decoding `bad*` does; returns where each attempt leaves its mark."""

    def choose(body: str, seconds: float = 60.0) -> Path:
        marks = tmp_path / "marks"
        marks.mkdir()
        start(EVIL_DECODER.format(body=body, seconds=seconds, marks=str(marks)))
        return marks

    return choose


@pytest.fixture
def films(tmp_path: Path) -> list[FoundFile]:
    """Ten films of different bytes; the fourth has a name that some decoders here dislike."""
    names = ["a0.png", "a1.png", "a2.png", BAD, *(f"c{number}.png" for number in range(4, 10))]
    tree = {name: png(chest(tilt=number)) for number, name in enumerate(names)}
    return list(discover([write_tree(tmp_path / "in", tree)]))


def prepared(files: Iterable[FoundFile], count: int = 1) -> dict[str, Prepared]:
    with Workers(count, SETTINGS) as pool:
        made = [(file.display, item) for file, item in pool.prepare(files, never)]
    assert len({name for name, _ in made}) == len(made), "a file twice"
    return dict(made)


def same(one: Prepared, other: Prepared) -> bool:
    planes = ((one.pixels, other.pixels), (one.view, other.view))
    return (one.result, one.stamp) == (other.result, other.stamp) and all(
        ours is theirs is None or np.array_equal(ours, theirs)  # type: ignore[arg-type]
        for ours, theirs in planes
    )


def assert_only_one_is_hurt(films: list[FoundFile], reason: Reason) -> None:
    """The bad one has this reason, every other what it has in this process."""
    made = prepared(films)
    assert set(made) == {file.display for file in films}
    assert made[BAD] == Prepared(Result.without_score(BAD, reason))
    for file in films:
        assert file.display == BAD or same(made[file.display], prepare(file, SETTINGS))


def descendants(ancestor: int | None = None) -> set[int]:
    """This process's own, or another's, the dead that nobody has waited for too."""
    parents = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):  # gone meanwhile
            text = stat.read_text(errors="replace")
            parents[int(stat.parent.name)] = int(text.rpartition(")")[2].split()[1])
    found = [ancestor or os.getpid()]
    for known in found:  # grows on the way
        found += [pid for pid, parent in parents.items() if parent == known]
    return set(found[1:])


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


DEATHS = {
    "segmentation fault": "ctypes.string_at(0)",
    "abort": "os.abort()",
    "exit": "os._exit(0)",
    "exit through Python": "sys.exit(1)",
    "out of memory killer": "os.kill(os.getpid(), signal.SIGKILL)",
}


@pytest.mark.parametrize("body", DEATHS.values(), ids=DEATHS)
def test_a_decoder_that_dies(
    body: str, evil: Callable[..., Path], films: list[FoundFile], caplog: pytest.LogCaptureFixture
) -> None:
    """It is tried once more, in another process."""
    marks = evil(body)
    assert_only_one_is_hurt(films, Reason.DECODER_CRASHED)
    assert len(names_in(marks)) == 2
    assert caplog.records == []


def test_a_decoder_that_dies_once(evil: Callable[..., Path], films: list[FoundFile]) -> None:
    """The machine may have run out of memory: the second attempt counts."""
    marks = evil(
        f"len(os.listdir({str(films[0].path.parent.parent / 'marks')!r})) > 1 or os.abort()"
    )
    made = prepared(films)
    assert len(names_in(marks)) == 2
    for file in films:
        assert same(made[file.display], prepare(file, SETTINGS))


def test_every_film_crashes_its_decoder(evil: Callable[..., Path], tmp_path: Path) -> None:
    evil("os.abort()")
    tree = {f"bad{number}.png": png(chest()) for number in range(3)}
    made = prepared(discover([write_tree(tmp_path / "in", tree)]), count=2)
    assert {name: item.result.reason for name, item in made.items()} == dict.fromkeys(
        tree, Reason.DECODER_CRASHED
    )


HANGS = {
    "asleep": "time.sleep(60)",
    "busy": "while True: pass",
    "inside a library": "re.match('(a+)+$', 'a' * 60 + 'b')",
}


@pytest.mark.parametrize("body", HANGS.values(), ids=HANGS)
def test_a_decoder_that_hangs(body: str, evil: Callable[..., Path], films: list[FoundFile]) -> None:
    """It is tried once more, in another process."""
    marks = evil(body, seconds=0.3)
    assert_only_one_is_hurt(films, Reason.TIMEOUT)
    assert len(names_in(marks)) == 2


def test_a_decoder_that_hangs_once(evil: Callable[..., Path], films: list[FoundFile]) -> None:
    """The machine or its share may have stood still: the second attempt counts."""
    marks = evil(
        f"len(os.listdir({str(films[0].path.parent.parent / 'marks')!r})) > 1 or time.sleep(60)",
        seconds=0.3,
    )
    made = prepared(films)
    assert len(names_in(marks)) == 2
    for file in films:
        assert same(made[file.display], prepare(file, SETTINGS))


def test_time_is_counted_for_each_film(evil: Callable[..., Path], films: list[FoundFile]) -> None:
    """Slow films do not add up."""
    evil("pass", seconds=0.5)
    with Workers(1, SETTINGS) as pool:
        for number, (_, item) in enumerate(pool.prepare(films, never)):
            assert item.pixels is not None
            time.sleep(0.2 if number < 4 else 0)


LIES = {
    "no JSON": 'return b"\\xff\\xfe rubbish"',
    "nothing": 'return b""',
    "another type": 'return b"[]\\n"',
    "a nest": 'return b"[" * 100_000',
    "no line end": "return json.dumps(values).encode() + pixels",
    "a field missing": 'del values["stamp"]',
    "a fact missing that has a default": 'del values["result"]["warnings"]',
    "a field more": 'values["code"] = "import os"',
    "a type changed": 'values["result"]["width"] = "64"',
    "a word not in the list": 'values["result"]["reason"] = "fine"',
    "a score": 'values["result"].update(status="scored", reason=None, probability=0.0)',
    "no reason": 'values["result"]["reason"] = None',
    "another film": 'values["result"]["path"] = "a0.png"',
    "a terabyte": 'os.write(connection.fileno(), b"\\xff" * 4 + (2**40).to_bytes(8, "big"))',
    "no sha256": 'values["result"]["sha256"] = "zz"',
    "a film too wide": 'values["result"]["width"] = 10**30',
    "a name that rings": 'values["result"]["path"] = "bad.png\\x07"',
    "an infinite number": 'values["result"]["probability"] = float("inf")',
    "a byte more": 'pixels += b"\\0"',
    "a byte less": "pixels = pixels[:-1]",
    "a film too many": "pixels *= 2",
    "too much": "pixels *= 100_000",
    "a view that nobody asked for": 'values["view"], pixels = [2, 2], pixels + bytes(4)',
}


FALSE_VIEWS = {
    "none": "pass",
    "of no pixels": 'values["view"] = [0, 4]',
    "larger than a page shows": 'values["view"], pixels = [385, 1], pixels + bytes(385)',
    "a byte more": 'values["view"], pixels = [2, 2], pixels + bytes(5)',
    "a byte less": 'values["view"], pixels = [2, 2], pixels + bytes(3)',
    "less than nothing": 'values["view"], pixels = [-1, 4], pixels + bytes(4)',
    "a film's alone": 'values["view"], pixels = [2, 2], b""',
}


@pytest.mark.parametrize("body", FALSE_VIEWS.values(), ids=FALSE_VIEWS)
def test_a_view_that_makes_no_sense(body: str, start: Start, films: list[FoundFile]) -> None:
    start(liar(body))
    (bad,) = (film for film in films if film.display == BAD)
    with Workers(1, replace(SETTINGS, view=True)) as pool:
        ((_, made),) = pool.prepare([bad], never)
    assert made == Prepared(Result.without_score(BAD, Reason.DECODER_CRASHED))


@pytest.mark.parametrize("body", LIES.values(), ids=LIES)
def test_an_answer_that_makes_no_sense(body: str, start: Start, films: list[FoundFile]) -> None:
    """Such a process is not asked again; what it was asked besides is asked of another."""
    start(liar(body))
    made = prepared(films)
    assert made.pop(BAD) == Prepared(Result.without_score(BAD, Reason.DECODER_CRASHED))
    blank = np.zeros((SIZE, SIZE, 1), np.uint8)
    assert len(made) == len(films) - 1
    for name, item in made.items():
        assert same(item, Prepared(replace(HONEST, path=name), blank))


def test_an_answer_too_many(start: Start, films: list[FoundFile]) -> None:
    """Of a film that is done already: such a process is not believed again."""
    start(liar('connection.send_bytes(json.dumps(values).encode() + b"\\n" + pixels)'))
    blank = np.zeros((SIZE, SIZE, 1), np.uint8)
    made = prepared(films)
    assert set(made) == {film.display for film in films}
    for name, item in made.items():
        assert same(item, Prepared(replace(HONEST, path=name), blank))


def test_a_decoder_that_speaks_unasked(films: list[FoundFile]) -> None:
    """Nothing is to blame, and nothing ends."""
    with Workers(1, SETTINGS) as pool:
        assert [item.pixels is None for _, item in pool.prepare(films[:1], never)] == [False]
        (worker,) = pool._workers
        with pytest.raises(ValueError, match="nothing"):
            worker.receive(b"{}\n", SETTINGS)
        assert pool._replace(worker) == []
        assert len(list(pool.prepare(films[1:], never))) == len(films) - 1


def test_fewer_decoders_than_cores(
    evil: Callable[..., Path],
    films: list[FoundFile],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The system allows two processes: two do the work of four, and it is said once."""
    evil("pass")
    pairs, made_pairs = socket.socketpair, itertools.count()

    def pair(*kind: Any) -> tuple[socket.socket, socket.socket]:
        if next(made_pairs) < 3:  # one is the forking process's own
            return pairs(*kind)
        raise OSError(24, "Too many open files")

    monkeypatch.setattr(socket, "socketpair", pair)
    with Workers(4, SETTINGS) as pool:
        made = list(pool.prepare(films, never))
        assert [item.pixels is None for _, item in made] == [False] * len(films)
        assert next(made_pairs) == 4, "it was tried again and again"
        assert pool._decoders._started == 3, "those that live were replaced"
    (line,) = caplog.messages
    assert line.endswith("Too many open files; 2 of 4 decode, others are tried later")


def test_as_many_as_cores_once_the_system_allows_it(
    films: list[FoundFile], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pool_module, "_SECONDS_WITH_FEWER", 0.0)
    begin, begun = start_module.Decoders.start, itertools.count()

    def starts(self: start_module.Decoders) -> start_module.DecoderProcess:
        if next(begun) == 1:
            raise OSError(11, "Resource temporarily unavailable")
        return begin(self)

    monkeypatch.setattr(start_module.Decoders, "start", starts)
    with Workers(2, SETTINGS) as pool:
        assert len(list(pool.prepare(films, never))) == len(films)
        assert len(pool._workers) == pool._fewer == 2


def test_decoders_that_die_at_start_beside_others_that_live(
    start: Start, films: list[FoundFile], tmp_path: Path
) -> None:
    """Every film is read by those that live."""
    (tmp_path / "lived").mkdir()
    start(
        f"import os; lived = {str(tmp_path / 'lived')!r}\n"
        "from cxr_edge.decoders import forkserver\n"
        "from cxr_edge.decoders import worker\n"
        "def work(descriptor):\n"
        "    for place in range(2):\n"
        "        try:\n"
        "            os.close(os.open(f'{lived}/{place}', os.O_CREAT | os.O_EXCL))\n"
        "        except FileExistsError:\n"
        "            continue\n"
        "        return real(descriptor)\n"
        "    os._exit(9)\n"
        "real, worker.decode_films = worker.decode_films, work\n"
        "worker.main()"
    )
    made = prepared(films, count=4)
    assert [item.pixels is None for item in made.values()] == [False] * len(films)


def test_a_defect_is_logged_here(
    evil: Callable[..., Path], films: list[FoundFile], caplog: pytest.LogCaptureFixture
) -> None:
    """Where it happened, once, and not what was in the film."""
    evil('raise RuntimeError("DOE^JANE")')
    with caplog.at_level(logging.ERROR):
        made = prepared(films)
    assert made[BAD].result.reason is Reason.INTERNAL_ERROR
    (record,) = caplog.records
    assert "unexpected RuntimeError" in record.getMessage()
    assert "in decode" in record.getMessage()
    assert "DOE^JANE" not in caplog.text


LIMITS = {
    "memory for bytes": "bytearray(1100 * 2**20)",
    "memory for an array": "np.ones((1100, 2**20), np.uint8)",
    "a file": 'Path("/dev/shm/cxr-edge-test").write_bytes(b"x")',
    "a larger limit": "import resource; resource.setrlimit(resource.RLIMIT_AS, (-1, -1))",
}


@pytest.mark.parametrize("body", LIMITS.values(), ids=LIMITS)
def test_what_a_decoder_may_not_do(
    body: str, evil: Callable[..., Path], films: list[FoundFile]
) -> None:
    evil(body)
    made = prepared(films)
    assert made[BAD].result.reason is Reason.INTERNAL_ERROR
    assert sum(item.pixels is not None for item in made.values()) == len(films) - 1
    Path("/dev/shm/cxr-edge-test").unlink(missing_ok=True)


def test_a_decoder_that_talks_is_not_heard(
    evil: Callable[..., Path], films: list[FoundFile], capfd: pytest.CaptureFixture[str]
) -> None:
    """Libraries print what they read; standard output is for data."""
    evil('os.write(1, b"DOE^JANE"); os.write(2, b"DOE^JANE"); print(sys.stdin.read())')
    assert prepared(films)[BAD].pixels is not None
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=lambda n: n.name)
def test_workers_leave_signals_to_their_parent(
    number: signal.Signals, evil: Callable[..., Path], films: list[FoundFile]
) -> None:
    """Ctrl-C goes to every process of a terminal; what is begun is finished."""
    marks = evil("time.sleep(0.5)")
    before = descendants()
    with Workers(1, SETTINGS) as pool:
        results = pool.prepare(films[3:4], never)
        first = []
        waiting = threading.Thread(target=lambda: first.append(next(results)))
        waiting.start()
        while not names_in(marks):
            time.sleep(0.01)
        for process in descendants() - before:
            os.kill(process, number)
        waiting.join()
    ((_, item),) = first
    assert item.pixels is not None
    assert len(names_in(marks)) == 1


def test_nothing_is_left_running(evil: Callable[..., Path], films: list[FoundFile]) -> None:
    """Busy, idle, just started or dead."""
    marks = evil("time.sleep(60)")
    before = descendants()
    with Workers(3, SETTINGS) as pool:
        results = pool.prepare(films, never)
        for _ in range(3):
            next(results)
        while not names_in(marks):
            time.sleep(0.01)
        assert len(descendants() - before) == 3 + FORKSERVER
    assert descendants() == before
    assert [pid for pid in names_in(marks) if Path("/proc", pid).exists()] == []


def test_nothing_is_left_running_after_an_error(films: list[FoundFile]) -> None:
    before = descendants()
    with pytest.raises(ZeroDivisionError), Workers(2, SETTINGS) as pool:
        for _ in pool.prepare(films, never):
            raise ZeroDivisionError
    assert descendants() == before


PARENT = """
import sys
from pathlib import Path
from cxr_edge.decoders import start as start_module
from cxr_edge.intake.discover import discover
from cxr_edge.decoders.pool import Workers
from cxr_edge.intake.prepared import IntakeSettings, Scope
start_module._START = sys.argv[2]
with Workers(2, IntakeSettings(8, Scope((1.0, 5.0), ()))) as pool:
    for _ in pool.prepare(discover([Path(sys.argv[1])]), lambda: False):
        pass
    print("done", flush=True)
    sys.stdin.read()
"""
BUSY = {
    "idle": "pass",
    "decoding without end": "while True: pass",
    "stopped": "os.kill(os.getpid(), signal.SIGSTOP)",
}


@pytest.mark.parametrize("body", BUSY.values(), ids=BUSY)
def test_workers_end_when_their_parent_is_killed(
    body: str, evil: Callable[..., Path], films: list[FoundFile]
) -> None:
    """Nobody can clean up after kill -9: they must notice themselves."""
    marks = evil(body)
    folder = films[0].path.parent
    with subprocess.Popen(
        [sys.executable, "-c", PARENT, str(folder), start_module._START],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd=Path(__file__).parents[2],
    ) as parent:
        assert parent.stdout is not None
        while not names_in(marks):
            time.sleep(0.01)
        if body == "pass":
            parent.stdout.readline()
        pids = descendants(parent.pid)
        assert len(pids) == 2 + FORKSERVER
        parent.kill()
    assert_gone(pids)


def assert_gone(pids: Iterable[int]) -> None:
    """At once, if nobody has to wait for a minute's alarm."""
    deadline = time.monotonic() + 10
    while any(map(is_running, pids)) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not any(map(is_running, pids))


def is_running(pid: int) -> bool:
    """Not a zombie, which whoever adopted it may not have waited for."""
    try:
        text = Path("/proc", str(pid), "stat").read_text(errors="replace")
    except OSError:
        return False
    return text.rpartition(")")[2].split()[0] != "Z"


def test_without_what_forks_them_no_decoder_lives(
    evil: Callable[..., Path], films: list[FoundFile]
) -> None:
    """Nobody could end one that hangs; the films go to others, forked by another."""
    marks = evil(
        f"len(os.listdir({str(films[0].path.parent.parent / 'marks')!r})) > 1 or time.sleep(60)"
    )
    before = descendants()
    with Workers(2, SETTINGS) as pool:
        made = {}
        first: set[int] = set()
        for file, item in pool.prepare(films, never):
            made[file.display] = item
            if not first:
                while not names_in(marks):
                    time.sleep(0.01)
                first = descendants() - before
                os.kill(server_of(pool), signal.SIGKILL)
        assert len(first) == 2 + FORKSERVER
        assert_gone(first)
    assert descendants() == before
    for file in films:
        assert same(made[file.display], prepare(file, SETTINGS))


def server_of(pool: Workers) -> int:
    server = pool._decoders._server
    assert server is not None
    return server._process.pid


def test_what_a_decoder_holds_open(films: list[FoundFile]) -> None:
    """Its own connection: with another's, nobody would see that one die."""
    with Path(os.devnull).open() as lock, Workers(3, SETTINGS) as pool:
        os.set_inheritable(lock.fileno(), True)
        list(pool.prepare(films, never))
        server = server_of(pool)
        decoders = descendants(server)
        assert [sockets_of(process) for process in (server, *decoders)] == [1, 1, 1, 1]


def sockets_of(process: int) -> int:
    """How many it has; besides standard streams nothing else may be open."""
    files = {each.name: str(each.readlink()) for each in Path(f"/proc/{process}/fd").iterdir()}
    assert {files.pop(stream) for stream in "012"} == {os.devnull}
    assert all(file.startswith("socket:") for file in files.values())
    return len(files)


def test_nothing_stays_open(evil: Callable[..., Path], films: list[FoundFile]) -> None:
    """However many decoders have died."""
    evil("os.abort()")
    before = names_in(Path("/proc/self/fd"))
    with Workers(2, SETTINGS) as pool:
        for _ in range(2):
            list(pool.prepare(films, never))
        during = names_in(Path("/proc/self/fd"))
        opened = names_in(Path("/proc", str(server_of(pool)), "fd"))
        list(pool.prepare(films, never))
        assert len(names_in(Path("/proc/self/fd"))) == len(during)
        assert names_in(Path("/proc", str(server_of(pool)), "fd")) == opened
    assert names_in(Path("/proc/self/fd")) == before


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


def test_after_a_stop_no_file_is_begun_or_waited_for(
    evil: Callable[..., Path], films: list[FoundFile]
) -> None:
    evil("time.sleep(60)")
    asked = itertools.count()
    began = time.monotonic()
    with Workers(1, SETTINGS) as pool:
        made = [file.display for file, _ in pool.prepare(films, lambda: next(asked) > 12)]
    assert time.monotonic() - began < 10
    assert set(made) <= {"a0.png", "a1.png", "a2.png"}


@pytest.mark.parametrize(("count", "started"), [(1, 1), (2, 1), (3, 2), (5, 3), (30, 3)])
def test_a_process_starts_for_films_that_would_wait(
    count: int, started: int, films: list[FoundFile]
) -> None:
    before = descendants()
    with Workers(3, SETTINGS) as pool:
        next(pool.prepare(films[:1] * count, never))
        assert len(pool._workers) == started
        # One that was asked for last may not have been forked yet.
        assert FORKSERVER < len(descendants() - before) <= started + FORKSERVER


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


CANNOT_START = {
    "at once": "raise SystemExit(3)",
    "killed": "import os; os.abort()",
    "once forked": other("sys.exit(3)"),
    "killed once forked": other("os.abort()"),
    "another greeting": other("connection.send_bytes(b'hello'); os._exit(3)"),
    "no fork": "import os; os.fork = lambda: os.open('/no/such/file', 0)\n" + other("pass"),
}


@pytest.mark.parametrize("code", CANNOT_START.values(), ids=CANNOT_START)
def test_a_worker_that_cannot_start_ends_the_run(
    code: str, start: Start, films: list[FoundFile]
) -> None:
    """Every row of the night would say `decoder_crashed`."""
    start(code)
    before = descendants()
    with pytest.raises(CxrEdgeError, match=r"cannot be started here \(exit code (1|3|-6|-9|71)\)"):
        prepared(films)
    assert descendants() == before


def test_a_worker_that_falls_silent_costs_its_film(
    evil: Callable[..., Path], films: list[FoundFile], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Stopped, or waiting for a share that is gone: its own alarm cannot end it."""
    monkeypatch.setattr(pool_module, "MAX_SECONDS", 1.0)
    monkeypatch.setattr(pool_module, "_GRACE_SECONDS", 0.5)
    evil("os.kill(os.getpid(), signal.SIGSTOP)")
    made = prepared(films)
    assert made[BAD].result.reason is Reason.TIMEOUT
    assert [item.pixels is None for name, item in made.items() if name != BAD] == [False] * 9


TRICKLE = """
connection.recv_bytes()
connection.send_bytes(b"ready")
connection.recv_bytes()
os.write(connection.fileno(), (100).to_bytes(4, "big"))
while True:
    {body}
"""


@pytest.mark.parametrize(
    "body",
    ["time.sleep(60)", 'time.sleep(0.05); os.write(connection.fileno(), b"{")'],
    ids=["half an answer", "a byte at a time"],
)
def test_an_answer_that_never_ends_costs_its_film(
    body: str, start: Start, films: list[FoundFile], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pool_module, "MAX_SECONDS", 0.5)
    monkeypatch.setattr(pool_module, "_GRACE_SECONDS", 0.5)
    start(other(TRICKLE.format(body=body)))
    made = prepared(films[:1])
    assert made == {"a0.png": Prepared(Result.without_score("a0.png", Reason.TIMEOUT))}


def test_a_worker_that_dies_as_it_starts_is_replaced(
    start: Start, films: list[FoundFile], tmp_path: Path
) -> None:
    """The machine was short of memory for a moment; no file is to blame."""
    start(
        f"import os; flag = {str(tmp_path / 'flag')!r}\n"
        "os.path.exists(flag) or (open(flag, 'w').close(), os._exit(9))\n"
        "from cxr_edge.decoders.worker import main; main()"
    )
    assert {item.pixels is not None for item in prepared(films).values()} == {True}


def test_a_process_that_the_system_refuses_ends_the_run(
    films: list[FoundFile], monkeypatch: pytest.MonkeyPatch
) -> None:
    def popen(*_: Any, **__: Any) -> Any:
        raise OSError(11, "Resource temporarily unavailable")

    monkeypatch.setattr(subprocess, "Popen", popen)
    with pytest.raises(CxrEdgeError, match="cannot be started here: Resource temporarily"):
        prepared(films)


@pytest.mark.parametrize("count", [0, -1])
def test_at_least_one(count: int) -> None:
    with pytest.raises(ValueError, match="at least one worker"):
        Workers(count, SETTINGS)


def test_the_libraries_of_a_worker_start_no_threads(
    evil: Callable[..., Path], films: list[FoundFile]
) -> None:
    """As many processes as cores are enough, and each thread costs address space."""
    evil('len(os.listdir("/proc/self/task")) == 1 or os.abort()')
    assert prepared(films)[BAD].pixels is not None
