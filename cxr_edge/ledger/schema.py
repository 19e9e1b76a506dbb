"""The ledger's tables, and what makes those of an earlier version these."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from typing import Any

from cxr_edge.errors import StateError
from cxr_edge.ledger.checksums import ROW

APPLICATION_ID = 0x63787265  # "cxre"
SCHEMA_VERSION = 7

# `stamp` is NULL where the bytes were not read, or may change within one stamp; `device` is where
# it was scored, if not where the run began; `checksum` is over the run's number and settings, and
# over the row.
_ITEM = """
    run INTEGER NOT NULL REFERENCES run (number) ON DELETE CASCADE,
    path BLOB NOT NULL,
    stamp TEXT,
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
    device TEXT NOT NULL,
    features TEXT NOT NULL,
    new INTEGER NOT NULL,
    checksum BLOB,
    UNIQUE (path, run)
"""
_ITEM_INDEXES = """
CREATE INDEX item_run ON item (run);
CREATE INDEX item_bytes ON item (sha256, run);
"""
_IDENTITY = """
CREATE TABLE identity (     -- what headers say of whom a film is, where that was asked for
    sha256 BLOB NOT NULL,
    field TEXT NOT NULL,
    value TEXT NOT NULL,    -- empty where the header does not say
    checksum BLOB,
    PRIMARY KEY (sha256, field)
);
CREATE INDEX identity_value ON identity (field, value);
"""
_NIGHT = """
CREATE TABLE night (        -- what stays of a run when its rows are forgotten
    id TEXT PRIMARY KEY,
    started_utc TEXT NOT NULL,
    summary TEXT NOT NULL,
    checksum BLOB
);
"""
_READING = """
CREATE TABLE reading (      -- what readers answered about films of nights
    run TEXT NOT NULL,
    rank INTEGER NOT NULL,
    path TEXT NOT NULL,
    sha256 TEXT NOT NULL,
    probability REAL NOT NULL,
    flagged INTEGER NOT NULL,
    read_by TEXT NOT NULL,
    pneumonia TEXT NOT NULL,
    comment TEXT NOT NULL,
    checksum BLOB,
    PRIMARY KEY (run, path, read_by)
);
"""
_OUTBOX = """
CREATE TABLE outbox (       -- objects for other machines, and how far they are
    peer TEXT NOT NULL,
    instance_uid TEXT NOT NULL,
    sop_class TEXT NOT NULL,
    sha256 BLOB NOT NULL,
    path BLOB NOT NULL,
    state TEXT NOT NULL,
    status INTEGER,         -- what the peer last answered
    tries INTEGER NOT NULL,
    next_try REAL NOT NULL,
    changed_utc TEXT NOT NULL,
    checksum BLOB,
    PRIMARY KEY (peer, instance_uid)
);
"""
_MADE_REPORT = """
CREATE TABLE made_report (  -- DICOM reports of films: a changed one names the one before it
    film TEXT NOT NULL,
    run TEXT NOT NULL,
    content_uid TEXT NOT NULL,
    instance_uid TEXT NOT NULL,
    series_uid TEXT NOT NULL,
    sop_class TEXT NOT NULL,
    predecessor TEXT NOT NULL,
    checksum BLOB,
    PRIMARY KEY (film, run, content_uid)
);
"""
# `context` is what the report says about the run, NULL until every file has a row; `files` is how
# many rows a finished run has, and `checksum` is over it, see `Ledger.finished`; `reported` says
# that its report was put into its place, so that somebody can have read it, and whether it still
# owes results, see `Run.reported`.
_SCHEMA = f"""
CREATE TABLE run (
    number INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    settings_sha256 TEXT NOT NULL,
    context TEXT,
    files INTEGER,
    checksum BLOB,
    kind TEXT NOT NULL DEFAULT 'night',
    reported INTEGER NOT NULL DEFAULT 0
);
CREATE TABLE item ({_ITEM});
{_ITEM_INDEXES}{_IDENTITY}{_NIGHT}{_READING}{_OUTBOX}{_MADE_REPORT}
"""
_ROW_4 = (
    *("path", "stamp", "sha256", "display", "status", "reason", "probability", "warnings"),
    *("width", "height", "format", "modified_utc", "identifier", "device"),
)
_OF_RUN = "run, (SELECT settings_sha256 FROM run WHERE number = item.run)"
_KEPT_FROM_4 = ", ".join(each for each in _ROW_4 if each != "identifier")
_ROW_OF_4 = ", ".join({"features": "''", "new": "1"}.get(each, each) for each in ROW)
# What makes a ledger of a version one of the next.
_UPGRADES: dict[int, tuple[str, ...]] = {
    1: ("ALTER TABLE item ADD COLUMN device TEXT NOT NULL DEFAULT ''",),
    2: ("ALTER TABLE run RENAME COLUMN recipe TO settings_sha256",),
    3: (
        "ALTER TABLE item ADD COLUMN checksum BLOB",
        "ALTER TABLE run ADD COLUMN files INTEGER",
        "ALTER TABLE run ADD COLUMN checksum BLOB",
        f"UPDATE item SET checksum = checksum({_OF_RUN}, {', '.join(_ROW_4)})",
        "UPDATE run SET files = (SELECT COUNT(*) FROM item WHERE run = number) "
        "WHERE context IS NOT NULL",
        "UPDATE run SET checksum = checksum(number, id, settings_sha256, context, files) "
        "WHERE context IS NOT NULL",
    ),
    4: (
        "ALTER TABLE run ADD COLUMN kind TEXT NOT NULL DEFAULT 'night'",
        "ALTER TABLE run ADD COLUMN reported INTEGER NOT NULL DEFAULT 0",
        "UPDATE run SET reported = 1 WHERE context IS NOT NULL",
        *filter(str.strip, _IDENTITY.split(";")),
        _NIGHT,
        _READING,
        # The identifier of a row moves into a table of its own.
        "INSERT OR REPLACE INTO identity SELECT sha256, tag, identifier, "
        "checksum(sha256, tag, identifier) FROM (SELECT sha256, identifier, "
        "CASE WHEN json_valid(context) THEN json_extract(context, '$.id_tag') END AS tag "
        "FROM item JOIN run ON number = run "
        f"WHERE sha256 IS NOT NULL AND item.checksum = checksum({_OF_RUN}, {', '.join(_ROW_4)})) "
        "WHERE tag <> ''",
        # A row that was damaged before stays one: it gets no checksum that it would pass.
        f"CREATE TABLE item_5 ({_ITEM})",
        f"INSERT INTO item_5 (run, {_KEPT_FROM_4}, features, new, checksum) "
        f"SELECT run, {_KEPT_FROM_4}, '', 1, "
        f"CASE WHEN checksum = checksum({_OF_RUN}, {', '.join(_ROW_4)}) "
        f"THEN checksum({_OF_RUN}, {_ROW_OF_4}) END FROM item",
        "DROP TABLE item",
        "ALTER TABLE item_5 RENAME TO item",
        *filter(str.strip, _ITEM_INDEXES.split(";")),
    ),
    5: (_OUTBOX, _MADE_REPORT),
    # Version 6, of no release, did not say which run made a report, and took films for one another.
    6: ("DROP TABLE made_report", _MADE_REPORT),
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


class DamagedError(Exception):
    """The file is no ledger, or not as one was written."""


def recorded_version(connection: sqlite3.Connection) -> int:
    """Version of a ledger's tables; 0 for a file without any.

    Raises:
        StateError: it is later than this one.
    """
    version = int(connection.execute("PRAGMA user_version").fetchone()[0])
    if version > SCHEMA_VERSION:
        raise StateError(
            f"the ledger is of version {version}, this is {SCHEMA_VERSION}",
            tip="use the newer cxr-edge again, or another --state",
        )
    return version


def prepare(connection: sqlite3.Connection) -> None:
    """Make the tables of a new ledger, or bring those of an older one up to date.

    Raises:
        DamagedError: they are not as this version makes them.
    """
    if recorded_version(connection) == 0:
        connection.executescript(
            f"BEGIN; {_SCHEMA} PRAGMA application_id = {APPLICATION_ID}; "
            f"PRAGMA user_version = {SCHEMA_VERSION}; COMMIT;"
        )
    upgrade(connection)
    with closing(sqlite3.connect(":memory:")) as model:
        model.executescript(_SCHEMA)
        if _shape(connection) != _shape(model):
            raise DamagedError


def upgrade(connection: sqlite3.Connection) -> None:
    """Bring the tables of an older version up to date; a file without any is left alone."""
    if not 0 < recorded_version(connection) < SCHEMA_VERSION:
        return
    with all_or_nothing(connection):
        for version in range(recorded_version(connection), SCHEMA_VERSION):
            for statement in _UPGRADES[version]:
                connection.execute(statement)
        connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")


@contextlib.contextmanager
def all_or_nothing(connection: sqlite3.Connection) -> Iterator[None]:
    """One transaction, rolled back where anything goes wrong inside."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        with contextlib.suppress(sqlite3.Error):  # a full disk has already rolled it back
            connection.execute("ROLLBACK")
        raise


def _shape(connection: sqlite3.Connection) -> set[tuple[Any, ...]]:
    return set(connection.execute(_SHAPE).fetchall())
