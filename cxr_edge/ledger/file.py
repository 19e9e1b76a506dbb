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
from typing import Any

from cxr_edge.errors import StateError
from cxr_edge.ledger.checksums import ROW, checksum
from cxr_edge.ledger.state import check_file, opened_folder
from cxr_edge.support.atomic import FILE_MODE
from cxr_edge.support.text import display_name

LEDGER_NAME = "ledger.sqlite3"
_LOG = "-wal"
_BESIDE = (_LOG, "-shm", "-journal")  # SQLite's own files beside a ledger
_APPLICATION_ID = 0x63787265  # "cxre"
_SCHEMA_VERSION = 4
_OPEN_FILES = Path("/proc/self/fd")
_MEMORY = Path("/dev/shm")
# A bit that flips in the text of the tables makes a statement fail that is right.
_DAMAGE = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_ERROR)
# A disk that is full, or cannot be written: what a ledger says can be read all the same.
_UNWRITABLE = (
    *(sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_IOERR),
    *(sqlite3.SQLITE_FULL, sqlite3.SQLITE_PERM),
)

_SCHEMA = """
CREATE TABLE run (
    number INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    settings_sha256 TEXT NOT NULL,
    context TEXT,           -- what the report says about the run; NULL until every file has a row
    files INTEGER,          -- rows that the finished run has
    checksum BLOB           -- of the finished run, see `Ledger.finished`
);
CREATE TABLE item (
    run INTEGER NOT NULL REFERENCES run (number) ON DELETE CASCADE,
    path BLOB NOT NULL,
    stamp TEXT,             -- NULL where the bytes were not read, or may change within one stamp
    sha256 BLOB,
    display TEXT NOT NULL,
    status TEXT NOT NULL,
    reason TEXT,
    probability REAL,
    warnings TEXT NOT NULL,
    width INTEGER,
    height INTEGER,
    format TEXT NOT NULL,
    modified_utc TEXT NOT NULL,
    identifier TEXT NOT NULL,
    device TEXT NOT NULL DEFAULT '',  -- where it was scored, if not where the run began
    checksum BLOB,          -- of the run's number and settings, and of the row
    UNIQUE (path, run)
);
CREATE INDEX item_run ON item (run);
CREATE INDEX item_sha256 ON item (sha256);
"""
# What makes a ledger of a version one of the next.
_UPGRADES = {
    1: ("ALTER TABLE item ADD COLUMN device TEXT NOT NULL DEFAULT ''",),
    2: ("ALTER TABLE run RENAME COLUMN recipe TO settings_sha256",),
    3: (
        "ALTER TABLE item ADD COLUMN checksum BLOB",
        "ALTER TABLE run ADD COLUMN files INTEGER",
        "ALTER TABLE run ADD COLUMN checksum BLOB",
        "UPDATE item SET checksum = checksum(run, (SELECT settings_sha256 FROM run WHERE "
        f"number = item.run), {', '.join(ROW)})",
        "UPDATE run SET files = (SELECT COUNT(*) FROM item WHERE run = number) "
        "WHERE context IS NOT NULL",
        "UPDATE run SET checksum = checksum(number, id, settings_sha256, context, files) "
        "WHERE context IS NOT NULL",
    ),
}
# Everything that statements rest on, without the texts, which upgrades leave different.
_SHAPE = """
SELECT m.type, m.name, c.cid, c.name, c.type, c."notnull", c.dflt_value, c.pk
FROM sqlite_master m, pragma_table_xinfo(m.name) c WHERE m.type = 'table'
UNION ALL SELECT m.type, m.name, i.seqno, i.name, i.coll, i."desc", i.key, l."unique"
FROM sqlite_master m, pragma_index_list(m.tbl_name) l, pragma_index_xinfo(m.name) i
WHERE m.type = 'index' AND l.name = m.name
UNION ALL SELECT m.type, m.name, k."table", k."from", k."to", k.on_update, k.on_delete, k."match"
FROM sqlite_master m, pragma_foreign_key_list(m.name) k
"""


class _DamagedError(Exception):
    """The file is no ledger, or not as one was written."""


@contextlib.contextmanager
def opened(folder: Path) -> Iterator[tuple[sqlite3.Connection, Path | None]]:
    """A connection to the ledger of a state folder whose lock is held, made if need be.

    A damaged ledger is renamed, never deleted, and a new one is begun; where it lies now comes
    second.

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
                connection = _sound(path, descriptor)
            except _DamagedError:
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
            _prepare(connection)
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
            if 0 < _check_version(connection) < _SCHEMA_VERSION:
                connection = stack.enter_context(closing(_copied(connection)))
                _upgrade(connection)
            connection.execute("BEGIN")  # one view: a run that begins may forget old ones
        yield connection


@contextlib.contextmanager
def errors_translated() -> Iterator[None]:
    """SQLite's errors, and those of the files under it, as one of ours."""
    try:
        yield
    except (sqlite3.Error, OSError, UnicodeError) as error:
        raise StateError(
            f"the ledger cannot be used: {error}",
            tip="what was recorded before is safe; mend the disk, or move the ledger away",
        ) from error


@contextlib.contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[sqlite3.Connection]:
    """All or nothing, on disk when it is left."""
    with errors_translated(), _all_or_nothing(connection):
        yield connection


@contextlib.contextmanager
def _all_or_nothing(connection: sqlite3.Connection) -> Iterator[None]:
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        with contextlib.suppress(sqlite3.Error):  # a full disk has already rolled it back
            connection.execute("ROLLBACK")
        raise


def _sound(path: Path, folder: int) -> sqlite3.Connection:
    """A connection to a ledger that holds together, made if need be, of this version.

    Raises:
        _DamagedError: it does not.
    """
    facts = check_file(folder, path.name)
    logged = [check_file(folder, f"{path.name}{each}") for each in _BESIDE]
    if logged[0] is not None and (facts is None or not facts.st_size):
        # SQLite would delete a log without its ledger, and the scores in it.
        raise _DamagedError
    with _damage_recognised():
        connection = _connect(path, folder)
        try:
            _check_whole(connection)
            _prepare(connection)
        except BaseException:
            connection.close()
            raise
    return connection


@contextlib.contextmanager
def _damage_recognised() -> Iterator[None]:
    try:
        yield
    except UnicodeError as error:  # not even the name in SQLite's message can be read
        raise _DamagedError from error
    except sqlite3.DatabaseError as error:
        if error.sqlite_errorcode & 0xFF in _DAMAGE:
            raise _DamagedError from error
        raise


def _check_whole(connection: sqlite3.Connection) -> None:
    """Refuse what is not a ledger, and one whose pages and indexes do not agree."""
    application = connection.execute("PRAGMA application_id").fetchone()[0]
    empty = connection.execute("PRAGMA schema_version").fetchone()[0] == 0
    checked = connection.execute("PRAGMA integrity_check(1)").fetchone()[0]
    if checked != "ok" or (application != _APPLICATION_ID and not empty):
        raise _DamagedError


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
        before = [each.stat() for each in files]
        for each in files:
            shutil.copyfile(each, Path(folder, each.name))
        if [each.stat()[:9] for each in files] != [facts[:9] for facts in before]:
            raise StateError("the ledger is being written", tip="try again in a moment")
        connection = sqlite3.connect(Path(folder, path.name), isolation_level=None)
        with closing(connection):
            return _copied(connection)


def _check_version(connection: sqlite3.Connection) -> int:
    version = int(connection.execute("PRAGMA user_version").fetchone()[0])
    if version > _SCHEMA_VERSION:
        raise StateError(
            f"the ledger is of version {version}, this is {_SCHEMA_VERSION}",
            tip="use the newer cxr-edge again, or another --state",
        )
    return version


def _prepare(connection: sqlite3.Connection) -> None:
    """Make the tables of a new ledger, or bring those of an older one up to date.

    Raises:
        _DamagedError: they are not as this version makes them.
    """
    if _check_version(connection) == 0:
        connection.executescript(
            f"BEGIN; {_SCHEMA} PRAGMA application_id = {_APPLICATION_ID}; "
            f"PRAGMA user_version = {_SCHEMA_VERSION}; COMMIT;"
        )
    _upgrade(connection)
    with closing(sqlite3.connect(":memory:")) as model:
        model.executescript(_SCHEMA)
        if _shape(connection) != _shape(model):
            raise _DamagedError


def _shape(connection: sqlite3.Connection) -> set[tuple[Any, ...]]:
    return set(connection.execute(_SHAPE).fetchall())


def _upgrade(connection: sqlite3.Connection) -> None:
    """Bring the tables of an older version up to date; a file without any is left alone."""
    if not 0 < _check_version(connection) < _SCHEMA_VERSION:
        return
    with _all_or_nothing(connection):
        for version in range(_check_version(connection), _SCHEMA_VERSION):
            for statement in _UPGRADES[version]:
                connection.execute(statement)
        connection.execute(f"PRAGMA user_version = {_SCHEMA_VERSION}")


def _set_aside(path: Path) -> Path:
    """Rename a ledger and what SQLite keeps beside it."""
    stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%S.%fZ")
    target = path.with_name(f"{path.name}.damaged-{stamp}")
    for suffix in (*_BESIDE, ""):  # the ledger last: until then the next run tries again
        with contextlib.suppress(FileNotFoundError):
            path.with_name(path.name + suffix).rename(target.with_name(target.name + suffix))
    return target
