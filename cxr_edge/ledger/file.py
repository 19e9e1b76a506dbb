"""The ledger's file: SQLite, safe against a power cut, set aside when it is damaged."""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

from cxr_edge.errors import StateError
from cxr_edge.support.atomic import FILE_MODE

LEDGER_NAME = "ledger.sqlite3"
_APPLICATION_ID = 0x63787265  # "cxre"
_SCHEMA_VERSION = 3

_SCHEMA = """
CREATE TABLE run (
    number INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    settings_sha256 TEXT NOT NULL,
    context TEXT            -- what the report says about the run; NULL until every file has a row
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
    UNIQUE (path, run)
);
CREATE INDEX item_run ON item (run);
CREATE INDEX item_sha256 ON item (sha256);
"""
# What makes a ledger of a version one of the next.
_UPGRADES = {
    1: "ALTER TABLE item ADD COLUMN device TEXT NOT NULL DEFAULT ''",
    2: "ALTER TABLE run RENAME COLUMN recipe TO settings_sha256",
}


@contextlib.contextmanager
def opened(folder: Path) -> Iterator[tuple[sqlite3.Connection, Path | None]]:
    """A connection to the ledger of a state folder whose lock is held, made if need be.

    A damaged ledger is renamed, never deleted, and a new one is begun; where it lies now comes
    second.

    Raises:
        StateError: it cannot be read or written, or a later version made it.
    """
    path = folder / LEDGER_NAME
    with errors_translated():
        set_aside = _set_aside(path) if _is_damaged(path) else None
        connection = _connect(path)
    with closing(connection):
        with errors_translated():
            _prepare(connection)
        yield connection, set_aside


@contextlib.contextmanager
def opened_for_reading(folder: Path) -> Iterator[sqlite3.Connection]:
    """A connection to a ledger that is there, beside a run that may be writing it.

    Raises:
        StateError: there is none, or it cannot be read.
    """
    path = folder / LEDGER_NAME
    if not path.is_file() or not path.stat().st_size:  # a run that has only just begun
        raise StateError(f"there is no ledger in {folder}", tip="give the --state of the run")
    with errors_translated():
        connection = _connect(path)
    with closing(connection):
        with errors_translated():
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
    with errors_translated():
        connection.execute("BEGIN IMMEDIATE")
        try:
            yield connection
            connection.execute("COMMIT")
        except BaseException:
            with contextlib.suppress(sqlite3.Error):  # a full disk has already rolled it back
                connection.execute("ROLLBACK")
            raise


def _connect(path: Path) -> sqlite3.Connection:
    # Never 0644. One that is there is not opened here: closing it would end its locks.
    with contextlib.suppress(FileExistsError):
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
        os.close(os.open(path, flags, FILE_MODE))
    connection = sqlite3.connect(path, isolation_level=None)
    connection.text_factory = bytes.decode  # a damaged text is a UnicodeError
    try:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA foreign_keys = ON")
    except BaseException:
        connection.close()
        raise
    return connection


def _check_version(connection: sqlite3.Connection) -> int:
    version = int(connection.execute("PRAGMA user_version").fetchone()[0])
    if version > _SCHEMA_VERSION:
        raise StateError(
            f"the ledger is of version {version}, this is {_SCHEMA_VERSION}",
            tip="use the newer cxr-edge again, or another --state",
        )
    return version


def _prepare(connection: sqlite3.Connection) -> None:
    """Make the tables of a new ledger, or bring those of an older one up to date."""
    if _check_version(connection) == 0:
        connection.executescript(
            f"BEGIN; {_SCHEMA} PRAGMA application_id = {_APPLICATION_ID}; "
            f"PRAGMA user_version = {_SCHEMA_VERSION}; COMMIT;"
        )
    _upgrade(connection)


def _upgrade(connection: sqlite3.Connection) -> None:
    """Bring the tables of an older version up to date; a file without any is left alone."""
    if not 0 < _check_version(connection) < _SCHEMA_VERSION:
        return
    with transaction(connection):  # asked again inside: another process may have been faster
        for version in range(_check_version(connection), _SCHEMA_VERSION):
            connection.execute(_UPGRADES[version])
        connection.execute(f"PRAGMA user_version = {_SCHEMA_VERSION}")


def _is_damaged(path: Path) -> bool:
    """Not a ledger, or one whose pages do not hold together."""
    if not path.exists() or not path.stat().st_size:
        # SQLite would delete a log without its ledger, and the scores in it.
        return path.with_name(f"{path.name}-wal").exists()
    try:
        with closing(_connect(path)) as connection:
            application = connection.execute("PRAGMA application_id").fetchone()[0]
            empty = connection.execute("PRAGMA schema_version").fetchone()[0] == 0
            checked = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
    except UnicodeError:  # not even the name in SQLite's message can be read
        return True
    except sqlite3.DatabaseError as error:
        code = error.sqlite_errorcode & 0xFF
        if code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
            return True
        raise
    return checked != "ok" or (application != _APPLICATION_ID and not empty)


def _set_aside(path: Path) -> Path:
    """Rename a ledger and what SQLite keeps beside it."""
    stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%S.%fZ")
    target = path.with_name(f"{path.name}.damaged-{stamp}")
    for suffix in ("-wal", "-shm", ""):  # the ledger last: until then the next run tries again
        with contextlib.suppress(FileNotFoundError):
            path.with_name(path.name + suffix).rename(target.with_name(target.name + suffix))
    return target
