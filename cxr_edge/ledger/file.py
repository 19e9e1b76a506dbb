"""The ledger's file: SQLite, safe against a power cut, set aside when it is damaged."""

from __future__ import annotations

import contextlib
import os
import shutil
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

from cxr_edge.errors import StateError
from cxr_edge.ledger.checksums import checksum
from cxr_edge.ledger.schema import (
    APPLICATION_ID,
    SCHEMA_VERSION,
    DamagedError,
    all_or_nothing,
    prepare,
    recorded_version,
    upgrade,
)
from cxr_edge.ledger.state import AS_ITS_USER, check_file, opened_folder
from cxr_edge.support.atomic import FILE_MODE
from cxr_edge.support.text import display_name

LEDGER_NAME = "ledger.sqlite3"
_LOG = "-wal"
_BESIDE = (_LOG, "-shm", "-journal")  # SQLite's own files beside a ledger
_OPEN_FILES = Path("/proc/self/fd")
_MEMORY = Path("/dev/shm")
_CACHE_KIB = 32 * 1024  # rows come in any order of their hashes: with 2 MiB pages are read anew
# A bit that flips in the text of the tables makes a statement fail that is right.
_DAMAGE = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_ERROR)
# A disk that is full, or cannot be written: what a ledger says can be read all the same.
_UNWRITABLE = (
    *(sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_IOERR),
    *(sqlite3.SQLITE_FULL, sqlite3.SQLITE_PERM),
)


@contextlib.contextmanager
def opened(
    folder: Path, *, is_checked: bool = False
) -> Iterator[tuple[sqlite3.Connection, Path | None]]:
    """A connection to the ledger of a state folder whose lock is held, made if need be.

    A damaged ledger is renamed, never deleted, and a new one is begun; where it lies now comes
    second.

    Args:
        folder: of the state.
        is_checked: this process has opened it before: its pages, all of which take seconds to
            read, are not checked once more.

    Raises:
        StateError: it cannot be read or written, is not this user's alone, or a later version made
            it.
    """
    path = folder / LEDGER_NAME
    with contextlib.ExitStack() as stack:
        with errors_translated():
            descriptor = stack.enter_context(opened_folder(folder))
            set_aside = None
            try:
                connection = _sound(path, descriptor, is_checked=is_checked)
            except DamagedError:
                set_aside = _set_aside(path)
                connection = _sound(path, descriptor)
            stack.enter_context(closing(connection))
        yield connection, set_aside


@contextlib.contextmanager
def passing() -> Iterator[sqlite3.Connection]:
    """A connection to a ledger in memory, gone with the process however that ends."""
    with errors_translated():
        connection = _configured(sqlite3.connect(":memory:", isolation_level=None))
    with closing(connection):
        with errors_translated():
            prepare(connection)
        yield connection


@contextlib.contextmanager
def opened_for_reading(folder: Path) -> Iterator[sqlite3.Connection]:
    """A connection to a ledger that is there, beside a run that may be writing it.

    Nothing in the folder is changed: it may lie on a full disk or in a snapshot. One of an earlier
    version is brought up to date in a copy, which nobody sees and which is gone afterwards.

    Raises:
        StateError: there is none, or it cannot be read.
    """
    path = folder / LEDGER_NAME
    with contextlib.ExitStack() as stack:
        with errors_translated():
            if not path.is_file() or not path.stat().st_size:  # a run that has only just begun
                raise StateError(
                    f"there is no ledger in {display_name(folder)}",
                    tip="give the --state of the run",
                )
            descriptor = stack.enter_context(opened_folder(folder, to_read=True))
            for name in (LEDGER_NAME, *(f"{LEDGER_NAME}{each}" for each in _BESIDE)):
                check_file(descriptor, name, to_read=True)
            connection = stack.enter_context(closing(_readable(path)))
            if 0 < recorded_version(connection) < SCHEMA_VERSION:
                connection = stack.enter_context(closing(_copied(connection)))
                upgrade(connection)
            connection.execute("BEGIN")  # one view: a run that begins may forget old ones
        yield connection


@contextlib.contextmanager
def errors_translated() -> Iterator[None]:
    """SQLite's errors, and those of the files under it, as one of ours."""
    try:
        yield
    except PermissionError as error:
        raise StateError(
            f"the ledger cannot be used: {error.strerror or error}", tip=AS_ITS_USER
        ) from error
    except (sqlite3.Error, OSError, UnicodeError) as error:
        raise StateError(
            f"the ledger cannot be used: {error}",
            tip="what was recorded before is safe; mend the disk, or move the ledger away",
        ) from error


@contextlib.contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[sqlite3.Connection]:
    """All or nothing, on disk when it is left."""
    with errors_translated(), all_or_nothing(connection):
        yield connection


def _sound(path: Path, folder: int, *, is_checked: bool = False) -> sqlite3.Connection:
    """A connection to a ledger that holds together, made if need be, of this version.

    Raises:
        DamagedError: it does not.
    """
    facts = check_file(folder, path.name)
    logged = [check_file(folder, f"{path.name}{each}") for each in _BESIDE]
    if logged[0] is not None and (facts is None or not facts.st_size):
        # SQLite would delete a log without its ledger, and the scores in it.
        raise DamagedError
    with _damage_recognised():
        connection = _connect(path, folder)
        try:
            _check_whole(connection, is_checked=is_checked)
            prepare(connection)
        except BaseException:
            connection.close()
            raise
    return connection


@contextlib.contextmanager
def _damage_recognised() -> Iterator[None]:
    try:
        yield
    except UnicodeError as error:  # not even the name in SQLite's message can be read
        raise DamagedError from error
    except sqlite3.DatabaseError as error:
        if error.sqlite_errorcode & 0xFF in _DAMAGE:
            raise DamagedError from error
        raise


def _check_whole(connection: sqlite3.Connection, *, is_checked: bool) -> None:
    """Refuse what is not a ledger, and, unless checked, one whose pages and indexes disagree."""
    application = connection.execute("PRAGMA application_id").fetchone()[0]
    empty = connection.execute("PRAGMA schema_version").fetchone()[0] == 0
    if application != APPLICATION_ID and not empty:
        raise DamagedError
    if not is_checked and connection.execute("PRAGMA integrity_check(1)").fetchone()[0] != "ok":
        raise DamagedError


def _connect(path: Path, folder: int) -> sqlite3.Connection:
    # Never 0644. One that is there is not opened here: closing it would end its locks.
    with contextlib.suppress(FileExistsError):
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        os.close(os.open(path.name, flags, FILE_MODE, dir_fd=folder))
    os.chmod(path.name, FILE_MODE, dir_fd=folder)
    connection = sqlite3.connect(path, isolation_level=None)
    try:
        _check_opened(path.name, folder)
        _configured(connection)
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA foreign_keys = ON")
        connection.execute(f"PRAGMA cache_size = -{_CACHE_KIB}")
    except BaseException:
        connection.close()
        raise
    return connection


def _configured(connection: sqlite3.Connection) -> sqlite3.Connection:
    """With damaged text that can be seen, for checksums to find, and with those."""
    connection.text_factory = _text
    connection.create_function("checksum", -1, checksum, deterministic=True)
    return connection


def _text(value: bytes) -> str:
    return value.decode("utf-8", "surrogateescape")


def _check_opened(name: str, folder: int) -> None:
    """Refuse a ledger that was exchanged while SQLite opened it, which it does by path.

    Raises:
        StateError: none of the files that this process has open is the one in the folder.
    """
    facts = check_file(folder, name)
    for descriptor in _OPEN_FILES.iterdir():
        with contextlib.suppress(OSError):  # that of the listing itself
            if facts is not None and os.path.samestat(facts, descriptor.stat()):
                return
    raise StateError(f"{name} was exchanged while it was opened", tip="run again")


def _readable(path: Path) -> sqlite3.Connection:
    """A connection to a ledger, or to a copy where there is no room for the log's index."""
    connection = _configured(
        sqlite3.connect(f"{path.absolute().as_uri()}?mode=rw", isolation_level=None, uri=True)
    )
    try:
        connection.execute("SELECT * FROM sqlite_master").fetchall()
    except sqlite3.OperationalError as error:
        connection.close()
        if error.sqlite_errorcode & 0xFF not in _UNWRITABLE:
            raise
        return _copied_files(path)
    except BaseException:
        connection.close()
        raise
    return connection


def _copied(connection: sqlite3.Connection) -> sqlite3.Connection:
    """A copy in memory, or where that is full in a file without a name."""
    copy = _configured(sqlite3.connect("", isolation_level=None))
    try:
        connection.backup(copy)
    except BaseException:
        copy.close()
        raise
    return copy


def _copied_files(path: Path) -> sqlite3.Connection:
    """A connection to copies of a ledger and its log, whose names are gone again."""
    memory = _MEMORY if os.access(_MEMORY, os.W_OK) else None
    files = [each for each in (path, path.with_name(path.name + _LOG)) if each.exists()]
    with tempfile.TemporaryDirectory(prefix="cxr-edge-", dir=memory) as folder:
        before = list(map(_state_of, files))
        for each in files:
            shutil.copyfile(each, Path(folder, each.name))
        if list(map(_state_of, files)) != before:
            raise StateError("the ledger is being written", tip="try again in a moment")
        connection = sqlite3.connect(Path(folder, path.name), isolation_level=None)
        with closing(connection):
            return _copied(connection)


def _state_of(path: Path) -> tuple[int, int, int]:
    """Facts that writing changes; reading changes others, such as the time of access."""
    facts = path.stat()
    return facts.st_ino, facts.st_size, facts.st_mtime_ns


def _set_aside(path: Path) -> Path:
    """Rename a ledger and what SQLite keeps beside it."""
    stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%S.%fZ")
    target = path.with_name(f"{path.name}.damaged-{stamp}")
    for suffix in (*_BESIDE, ""):  # the ledger last: until then the next run tries again
        with contextlib.suppress(FileNotFoundError):
            path.with_name(path.name + suffix).rename(target.with_name(target.name + suffix))
    return target
