"""The ledger's file: private, durable, set aside when it is damaged, and never deleted."""

from __future__ import annotations

import errno
import os
import sqlite3
import stat
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from cxr_edge.errors import StateError
from cxr_edge.ledger import file as ledger_file
from cxr_edge.ledger.file import LEDGER_NAME, opened, opened_for_reading, transaction
from cxr_edge.ledger.runs import open_ledger, read_ledger
from tests.factories import names_in, raising
from tests.ledger.entries import SETTINGS, entry, everything, found, recall
from tests.ledger.files import PAGE, ROWS, SHM, WAL, as_version, filled, killed


def test_everything_that_is_made_is_private(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        with open_ledger(tmp_path) as ledger:
            ledger.begin("first", SETTINGS)
            assert names_in(tmp_path) == [LEDGER_NAME, SHM, WAL]
            assert {stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()} == {0o600}
    finally:
        os.umask(before)


def test_a_commit_is_on_disk(tmp_path: Path) -> None:
    with opened(tmp_path) as (connection, _):
        names = ("journal_mode", "synchronous", "foreign_keys", "user_version")
        settings = [connection.execute(f"PRAGMA {name}").fetchone()[0] for name in names]
    full = 2
    assert settings == ["wal", full, 1, 7]


def flipped(page: int) -> Callable[[bytes], bytes]:
    def change(data: bytes) -> bytes:
        at = page * PAGE
        return data[:at] + bytes(255 - byte for byte in data[at : at + PAGE]) + data[at + PAGE :]

    return change


def damaged_byte(old: bytes, new: bytes) -> Callable[[bytes], bytes]:
    def change(data: bytes) -> bytes:
        assert old in data
        return data.replace(old, new, 1)

    return change


DAMAGE: dict[str, Callable[[bytes], bytes]] = {
    "random bytes": lambda data: bytes(range(1, 256)) * 40,
    "text": lambda data: b"not a ledger\n",
    "two bytes": lambda data: b"SQ",
    "cut in the header": lambda data: data[:50],
    "cut after a page": lambda data: data[:PAGE],
    "cut in half": lambda data: data[: len(data) // 2],
    "half a page is gone": lambda data: data[: -PAGE // 2],
    "zeros": lambda data: bytes(len(data)),
    "a tail of zeros": lambda data: data[: 4 * PAGE] + bytes(len(data) - 4 * PAGE),
    "another application's": lambda data: data[:68] + b"\0\0\0\0" + data[72:],
    "a name that is no text": damaged_byte(b"CREATE INDEX", b"CREATE \xffNDEX"),
    **{f"flipped page {page}": flipped(page) for page in range(21)},
}


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE)
def test_a_damaged_ledger_is_set_aside(damage: Callable[[bytes], bytes], tmp_path: Path) -> None:
    path = filled(tmp_path)
    assert path.stat().st_size == 21 * PAGE, "or else flip other pages too"
    content = damage(path.read_bytes())
    path.write_bytes(content)
    with open_ledger(tmp_path) as ledger:
        assert ledger.set_aside is not None
        assert ledger.set_aside.name.startswith(f"{LEDGER_NAME}.damaged-2")
        assert ledger.set_aside.parent == tmp_path
        assert ledger.set_aside.read_bytes() == content
        assert ledger.finished_ids() == []
        run = ledger.begin("first", SETTINGS)
        run.record([entry()])
        assert len(everything(run)) == 1
    with open_ledger(tmp_path) as ledger:
        assert ledger.set_aside is None
    assert len(names_in(tmp_path)) == 2


def test_every_damaged_ledger_is_kept(tmp_path: Path) -> None:
    contents = [b"one", b"two", b"three"]
    for content in contents:
        (tmp_path / LEDGER_NAME).write_bytes(content)
        with open_ledger(tmp_path):
            pass
    aside = [path.read_bytes() for path in tmp_path.iterdir() if "damaged" in path.name]
    assert sorted(aside) == sorted(contents)


def test_somebody_elses_database_is_set_aside(tmp_path: Path) -> None:
    path = tmp_path / LEDGER_NAME
    with closing(sqlite3.connect(path)) as other:
        other.executescript("CREATE TABLE patient (name); INSERT INTO patient VALUES ('kept');")
    with open_ledger(tmp_path) as ledger:
        assert ledger.set_aside is not None
        with closing(sqlite3.connect(ledger.set_aside)) as other:
            assert other.execute("SELECT * FROM patient").fetchall() == [("kept",)]


@pytest.mark.parametrize("content", [b"", None], ids=["empty", "gone"])
def test_a_log_without_its_ledger_is_kept(content: bytes | None, tmp_path: Path) -> None:
    """SQLite would delete it, and with it the rows that are in no other place."""
    path = killed(tmp_path)
    log = (tmp_path / WAL).read_bytes()
    path.unlink()
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(StateError, match="no ledger"), read_ledger(tmp_path):
        pytest.fail("nothing to read")
    with open_ledger(tmp_path) as ledger:
        assert ledger.set_aside is not None
        aside = ledger.set_aside
        ledger.begin("new", SETTINGS)
    assert aside.with_name(f"{aside.name}-wal").read_bytes() == log
    assert aside.with_name(f"{aside.name}-shm").exists()
    assert (aside.read_bytes() if aside.exists() else None) == content


def test_the_log_of_a_damaged_ledger_goes_with_it(tmp_path: Path) -> None:
    filled(tmp_path)
    path = killed(tmp_path)
    data = path.read_bytes()
    path.write_bytes(data[: 2 * PAGE] + bytes(8 * PAGE))
    with open_ledger(tmp_path) as ledger:
        assert ledger.set_aside is not None
        assert ledger.finished_ids() == []
        kept = tmp_path.glob(f"{ledger.set_aside.name}*")
        assert any(b"9.pngscored" in path.read_bytes() for path in kept)


def test_a_log_that_holds_every_page_mends_its_ledger(tmp_path: Path) -> None:
    killed(tmp_path).write_bytes(b"rubbish" * 1000)
    with open_ledger(tmp_path) as ledger:
        assert ledger.set_aside is None
        run = ledger.begin("next", SETTINGS)
        assert all(recall(run, found(f"{number}.png")) for number in range(10))


def test_a_move_that_failed_is_tried_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / LEDGER_NAME).write_bytes(b"rubbish")

    def fail(self: Path, target: Path) -> None:
        raise PermissionError("not now")

    with monkeypatch.context() as patch:
        patch.setattr(Path, "rename", fail)
        with pytest.raises(StateError, match="not now"), open_ledger(tmp_path):
            pytest.fail("a damaged ledger was used")
    with open_ledger(tmp_path) as ledger:
        assert ledger.set_aside is not None
        assert ledger.set_aside.read_bytes() == b"rubbish"


def test_a_file_without_tables_is_begun(tmp_path: Path) -> None:
    """What a kill leaves at the very start: nothing yet, or no more than a header."""
    path = tmp_path / LEDGER_NAME
    path.touch()
    with pytest.raises(StateError, match="no ledger"), read_ledger(tmp_path):
        pytest.fail("nothing to read")
    assert path.stat().st_size == 0
    for _ in range(2):
        with open_ledger(tmp_path) as ledger:
            assert (ledger.set_aside, ledger.finished_ids()) == (None, [])
        path.unlink()
        with closing(sqlite3.connect(path)) as connection:
            connection.execute("PRAGMA journal_mode = WAL")
    with pytest.raises(StateError, match="no such table"), read_ledger(tmp_path) as reader:
        reader.finished_ids()


@pytest.mark.parametrize("reading", [False, True], ids=["to write", "to read"])
def test_a_later_versions_ledger_is_left_alone(reading: bool, tmp_path: Path) -> None:
    path = filled(tmp_path)
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA user_version = 8")
    before = path.read_bytes()
    use = read_ledger if reading else open_ledger
    with pytest.raises(StateError, match="version 8") as caught, use(tmp_path):
        pytest.fail("read with the wrong glasses")
    assert "--state" in caught.value.tip
    assert (names_in(tmp_path), path.read_bytes()) == ([LEDGER_NAME], before)


@pytest.mark.parametrize("version", [1, 2, 3, 5, 6])
@pytest.mark.parametrize("use", [open_ledger, read_ledger], ids=["to write", "to read"])
def test_an_earlier_versions_ledger_is_brought_up_to_date(
    use: Callable[[Path], Any], version: int, tmp_path: Path
) -> None:
    path = filled(tmp_path)
    with open_ledger(tmp_path) as ledger:
        before = everything(ledger.finished("first")[0])
    as_version(version, path)
    for _ in range(2):
        with use(tmp_path) as ledger:
            assert getattr(ledger, "set_aside", None) is None
            run, context = ledger.finished("first")
            assert (everything(run), context) == (before, {"a": 1})
            assert recall(run, found("0.png")) is not None
            assert run.connection.execute("PRAGMA user_version").fetchone() == (7,)
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)


@pytest.mark.parametrize("version", [1, 2, 3, 4, 5, 6])
def test_reading_changes_nothing(version: int, tmp_path: Path) -> None:
    path = filled(tmp_path)
    as_version(version, path)
    before = path.read_bytes()
    with read_ledger(tmp_path) as ledger:
        assert len(everything(ledger.finished("first")[0])) == ROWS
    assert path.read_bytes() == before


def touched(change: Callable[[Path], None]) -> Callable[[Path, Path], None]:
    """`shutil.copyfile`, with something done to the file that was copied."""

    def copy(source: Path, target: Path) -> None:
        target.write_bytes(source.read_bytes())
        change(source)

    return copy


@pytest.fixture
def full_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """There is no room for the index of the log: the ledger is read from a copy."""
    monkeypatch.setattr(ledger_file, "_readable", ledger_file._copied_files)


@pytest.mark.usefixtures("full_disk")
def test_reading_on_a_full_disk_is_no_writing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    filled(tmp_path)
    last_read = touched(lambda path: os.utime(path, ns=(0, path.stat().st_mtime_ns)))
    monkeypatch.setattr(ledger_file.shutil, "copyfile", last_read)
    with read_ledger(tmp_path) as ledger:
        assert len(everything(ledger.finished("first")[0])) == ROWS


@pytest.mark.usefixtures("full_disk")
def test_a_copy_beside_a_writer_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    filled(tmp_path)
    written = touched(lambda path: os.utime(path, ns=(0, path.stat().st_mtime_ns + 1)))
    monkeypatch.setattr(ledger_file.shutil, "copyfile", written)
    with pytest.raises(StateError, match="is being written"), read_ledger(tmp_path):
        pass


def test_a_file_without_tables_is_given_none_by_reading(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / LEDGER_NAME)) as connection:
        connection.executescript("CREATE TABLE other (x);")
    with opened_for_reading(tmp_path) as connection:
        tables = connection.execute("SELECT name FROM sqlite_master").fetchall()
    assert tables == [("other",)]


def test_a_kill_in_a_commit_costs_that_commit_alone(tmp_path: Path) -> None:
    killed(tmp_path)
    with open_ledger(tmp_path) as ledger:
        assert ledger.set_aside is None
        assert ledger.finished_ids() == []
        run = ledger.begin("next", SETTINGS)
        assert all(recall(run, found(f"{number}.png")) for number in range(10))
        assert run.connection.execute("SELECT COUNT(*) FROM item").fetchone() == (10,)
        assert run.connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)


def test_a_ledger_that_cannot_be_opened_is_not_set_aside(tmp_path: Path) -> None:
    (tmp_path / LEDGER_NAME).mkdir()
    (tmp_path / LEDGER_NAME / "mine").touch()
    with pytest.raises(StateError, match="unable to open"), open_ledger(tmp_path):
        pytest.fail("a folder was opened")
    with pytest.raises(StateError, match="no ledger"), read_ledger(tmp_path):
        pytest.fail("a folder was read")
    assert names_in(tmp_path) == [LEDGER_NAME]
    with pytest.raises(StateError), open_ledger(tmp_path / "missing"):
        pytest.fail("no folder")


def test_a_ledger_that_could_not_be_opened_is_closed(tmp_path: Path) -> None:
    path = tmp_path / LEDGER_NAME
    path.write_bytes(b"rubbish" * 1000)
    with pytest.raises(StateError) as caught, opened_for_reading(tmp_path):
        pytest.fail("rubbish was read")
    links = [str(link.readlink()) for link in Path("/proc/self/fd").iterdir() if link.is_symlink()]
    assert str(path) not in links
    assert "not a database" in str(caught.value)


@pytest.mark.parametrize("error", [KeyboardInterrupt, sqlite3.IntegrityError], ids=str)
def test_what_is_interrupted_is_rolled_back(error: type[BaseException], tmp_path: Path) -> None:
    with opened(tmp_path) as (connection, _):
        with (
            pytest.raises((KeyboardInterrupt, StateError)),
            transaction(connection),
        ):
            connection.execute("INSERT INTO run (id, settings_sha256) VALUES ('half', '')")
            raise error
        assert not connection.in_transaction
        with transaction(connection):
            connection.execute("INSERT INTO run (id, settings_sha256) VALUES ('whole', '')")
        assert connection.execute("SELECT id FROM run").fetchall() == [("whole",)]


@pytest.mark.parametrize("use", [open_ledger, read_ledger], ids=["to write", "to read"])
def test_another_account_is_told_so(
    use: Callable[[Path], Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It must not hear that the ledger should be moved away."""
    filled(tmp_path)
    refused = raising(PermissionError(errno.EACCES, "Permission denied", str(tmp_path)))
    monkeypatch.setattr(ledger_file, "opened_folder", refused)
    with pytest.raises(StateError) as caught, use(tmp_path):
        pytest.fail("it was opened")
    assert str(caught.value) == "the ledger cannot be used: Permission denied"
    assert caught.value.tip.startswith("run as the user that scores (sudo -u USER)")
