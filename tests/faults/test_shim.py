"""The shim counts every change to the disk, and strikes at the call it was told, nowhere else."""

from __future__ import annotations

import signal
import sqlite3
import sys
from collections import Counter
from contextlib import closing
from pathlib import Path

import pytest

from tests.faults.shim import Call, Fault, plain_name, run, traced
from tests.images.films import png

# Proves the tool of the slow tests beside it.
pytestmark = pytest.mark.slow

# The ways of the ledger and of the atomic report writer, with names that do not change.
NIGHT = """
import os, sqlite3, sys
state, out = sys.argv[1:]
os.mkdir(state, 0o700)
ledger = sqlite3.connect(state + "/ledger", isolation_level=None)
ledger.execute("PRAGMA journal_mode = WAL")
ledger.execute("PRAGMA synchronous = FULL")
ledger.execute("CREATE TABLE result (film INTEGER PRIMARY KEY, pixels BLOB)")
for film in range(3):
    ledger.execute("BEGIN IMMEDIATE")
    ledger.execute("INSERT INTO result VALUES (?, zeroblob(9000))", (film,))
    ledger.execute("COMMIT")
    print(film, flush=True)
ledger.close()
os.mkdir(out)
with open(out + "/.report", "w") as stream:
    stream.write("whole")
    stream.flush()
    os.fsync(stream.fileno())
os.replace(out + "/.report", out + "/report")
folder = os.open(out, os.O_RDONLY)
os.fsync(folder)
"""

# One counted call makes the file; each of the others makes it one byte longer.
DIARY = """
import os, sys
diary = os.open(sys.argv[1] + "/diary", os.O_CREAT | os.O_WRONLY)
for _ in range(6):
    try:
        os.write(diary, b"x")
    except OSError as error:
        print(error.errno)
"""
DIARY_CALLS = 7


def python(script: str, *arguments: Path) -> list[str | Path]:
    return [sys.executable, "-I", "-S", "-c", script, *arguments]


def night(folder: Path) -> tuple[list[str | Path], list[Path]]:
    """The command, and the folders that count."""
    folder.mkdir()
    places = [folder / "state", folder / "out"]
    return python(NIGHT, *places), places


def films_in(ledger: Path) -> list[int]:
    """What the next run finds."""
    with closing(sqlite3.connect(ledger)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        if not connection.execute("SELECT * FROM sqlite_master").fetchall():
            return []
        return [film for (film,) in connection.execute("SELECT film FROM result")]


def relative(calls: list[Call], folder: Path) -> list[tuple[int, str, str]]:
    return [(call.number, call.name, str(Path(call.path).relative_to(folder))) for call in calls]


def test_counts_are_stable(library: Path, tmp_path: Path) -> None:
    seen = []
    for turn in (tmp_path / "one", tmp_path / "two"):
        ended, calls = run(library, *night(turn))
        assert (ended.returncode, ended.stdout, ended.stderr) == (0, b"0\n1\n2\n", b"")
        assert films_in(turn / "state" / "ledger") == [0, 1, 2]
        seen.append(relative(calls, turn))
    assert seen[0] == seen[1]
    assert [number for number, _, _ in seen[0]] == list(range(1, len(seen[0]) + 1))
    names = ["mkdir", "open64", "write", "fsync", "rename", "fsync"]
    files = ["out", "out/.report", "out/.report", "out/.report", "out/report", "out"]
    assert [call[1:] for call in seen[0][-6:]] == list(zip(names, files, strict=True))


SNIPPETS = {
    "open that truncates": ("os.open('old', os.O_WRONLY | os.O_TRUNC)", ["open64"]),
    "open to read": ("os.read(os.open('old', os.O_RDONLY), 9)", []),
    "in an open folder": (
        "os.mkdir('a', dir_fd=here); os.rename('a', 'b', src_dir_fd=here, dst_dir_fd=here);"
        "os.rmdir('b', dir_fd=here); os.open('f', os.O_CREAT, dir_fd=here)",
        ["mkdirat", "renameat", "unlinkat", "openat64"],
    ),
    "by name": (
        "os.mkdir('a'); os.chmod('a', 0o700); os.rename('a', 'b'); os.rmdir('b');os.unlink('old');"
        "os.symlink('b', 'c')",
        ["mkdir", "chmod", "rename", "rmdir", "unlink", "symlink"],
    ),
    "by descriptor": (
        "os.write(old, b'1'); os.pwrite(old, b'2', 0); os.writev(old, [b'3']);"
        "os.ftruncate(old, 1); os.fchmod(old, 0o600); os.fdatasync(old); os.fsync(old)",
        ["write", "pwrite64", "writev", "ftruncate64", "fchmod", "fdatasync", "fsync"],
    ),
    "a file already unlinked": ("os.unlink('old'); os.write(old, b'1')", ["unlink", "write"]),
    "moved in": ("os.rename('../outside', 'new')", ["rename"]),
    "through a link": ("os.symlink('counted', '../link'); os.mkdir('../link/a')", ["mkdir"]),
    "beside": ("os.write(outside, b'1'); os.fsync(outside); os.unlink('../outside')", []),
    "without Python": (
        "import ctypes; c = ctypes.CDLL(None); c.renameat2(-100, b'old', -100, b'new', 1);"
        "c.open(b'a', os.O_CREAT, 0o600); c.ftruncate(old, 1); c.openat(here, b'b', os.O_CREAT, 0)",
        ["renameat2", "open", "ftruncate", "openat"],
    ),
}


@pytest.mark.parametrize(("snippet", "names"), SNIPPETS.values(), ids=SNIPPETS)
def test_what_counts(snippet: str, names: list[str], library: Path, tmp_path: Path) -> None:
    folder = tmp_path / "counted"
    folder.mkdir()
    for file in (folder / "old", tmp_path / "outside"):
        file.write_bytes(b"old")
    opened = (
        "import os; old = os.open('old', os.O_RDWR); here = os.open('.', os.O_RDONLY);"
        "outside = os.open('../outside', os.O_RDWR);"
    )
    ended, calls = run(library, python(opened + snippet), [folder], cwd=folder)
    assert ended.stderr == b""
    assert [call.name for call in calls] == names


@pytest.mark.parametrize("number", [1, 4, DIARY_CALLS])
@pytest.mark.parametrize("action", ["kill-before", "kill-after"])
def test_a_kill_at_k_leaves_what_was_done(
    action: str, number: int, library: Path, tmp_path: Path
) -> None:
    ended, calls = run(library, python(DIARY, tmp_path), [tmp_path], Fault(number, action))
    assert (ended.returncode, len(calls)) == (-signal.SIGKILL, number)
    done = number if action == "kill-after" else number - 1
    made = [file.stat().st_size for file in tmp_path.iterdir()]
    assert made == ([done - 1] if done else [])


def test_a_killed_ledger_keeps_what_was_said(library: Path, tmp_path: Path) -> None:
    """Before each COMMIT's fsync and after it: SQLite and the shim agree on what is durable."""
    _, calls = run(library, *night(tmp_path / "whole"))
    syncs = [call.number for call in calls if call.what == ("fdatasync", "ledger-wal")]
    assert len(syncs) >= 4, "the table and three films"
    for number in syncs:
        for action in ("kill-before", "kill-after"):
            folder = tmp_path / f"{action}-{number}"
            ended, killed = run(library, *night(folder), Fault(number, action))
            assert relative(killed, folder) == relative(calls[:number], tmp_path / "whole")
            said = [int(film) for film in ended.stdout.split()]
            # Written and not said is as good: the process is killed, the machine goes on.
            assert films_in(folder / "state" / "ledger") in (said, [*said, len(said)])


ERRNO = {"ENOSPC": "28", "EIO": "5"}


@pytest.mark.parametrize("persistent", [False, True], ids=["once", "from then on"])
@pytest.mark.parametrize("name", ERRNO)
def test_an_error_reaches_the_caller(
    name: str, persistent: bool, library: Path, tmp_path: Path
) -> None:
    fault = Fault(4, name, persistent)
    ended, calls = run(library, python(DIARY, tmp_path), [tmp_path], fault)
    failed = DIARY_CALLS - 3 if persistent else 1
    assert ended.stdout.decode().split() == [ERRNO[name]] * failed
    assert len(calls) == DIARY_CALLS
    assert (tmp_path / "diary").stat().st_size == DIARY_CALLS - 1 - failed


def test_an_interrupted_call_is_made_again(library: Path, tmp_path: Path) -> None:
    ended, calls = run(library, python(DIARY, tmp_path), [tmp_path], Fault(4, "EINTR"))
    assert (ended.stdout, len(calls)) == (b"", DIARY_CALLS + 1)
    assert (tmp_path / "diary").stat().st_size == DIARY_CALLS - 1


@pytest.mark.parametrize("persistent", [False, True], ids=["once", "from then on"])
def test_a_disk_that_runs_full_takes_half(persistent: bool, library: Path, tmp_path: Path) -> None:
    script = DIARY.replace('b"x"', 'b"ninebytes"')
    fault = Fault(3, "short", persistent)
    ended, _ = run(library, python(script, tmp_path), [tmp_path], fault)
    whole, failed = (1, 4) if persistent else (4, 1)
    assert (tmp_path / "diary").stat().st_size == 9 * whole + 5
    assert ended.stdout.decode().split() == ["28"] * failed


CHILDREN = {
    "spawned": "import subprocess, sys; subprocess.run([sys.executable, '-c', {!r}])",
    "forked": "import os\nif os.fork() == 0: exec({!r}); os._exit(0)\nos.wait()",
}


@pytest.mark.parametrize("start", CHILDREN.values(), ids=CHILDREN)
def test_children_are_left_alone(start: str, library: Path, tmp_path: Path) -> None:
    child = "import os; os.mkdir('child'); os.write(os.open('file', os.O_CREAT | os.O_RDWR), b'x')"
    script = start.format(child) + "\nos.mkdir('parent')"
    fault = Fault(1, "kill-after")
    ended, calls = run(library, python("import os\n" + script), [tmp_path], fault, cwd=tmp_path)
    assert ended.returncode == -signal.SIGKILL
    assert [(call.number, Path(call.path).name) for call in calls] == [(1, "parent")]
    assert (tmp_path / "file").read_bytes() == b"x"


def test_the_kernel_saw_no_other_change(library: Path, tiny: Path, tmp_path: Path) -> None:
    """`cxr-edge score` changes its folders through calls that the shim knows, and no others."""
    film = tmp_path / "film.png"
    film.write_bytes(png())

    def score(turn: str) -> list[str]:
        (tmp_path / turn).mkdir()
        folders = ["--state", tmp_path / turn / "state", "--out", tmp_path / turn / "out"]
        command = [sys.executable, "-m", "cxr_edge", "score", film, "--model", tiny]
        return list(map(str, [*command, "--settle", "0", "-q", *folders]))

    ended, calls = run(library, score("counted"), [tmp_path / "counted"])
    assert ended.returncode == 0, ended.stderr.decode()
    seen = traced(score("traced"), tmp_path / "traced")
    if seen is None:
        pytest.skip("no strace, or it may not trace")
    assert seen == Counter(plain_name(call.name) for call in calls)
