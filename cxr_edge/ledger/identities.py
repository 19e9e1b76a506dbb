"""Whom a film is of, as its header says: apart from its score, by the bytes of its file."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from cxr_edge.ledger.checksums import checksum
from cxr_edge.types import ACQUIRED, PATIENT_ID, STUDY_UID

_EARLIER_SHOWN = 3

_RECORD = "INSERT OR REPLACE INTO identity (checksum, sha256, field, value) VALUES (?, ?, ?, ?)"
_FIELDS = "SELECT field, value, checksum FROM identity WHERE sha256 = ?"
_ORPHANS = (
    "DELETE FROM identity WHERE NOT EXISTS (SELECT 1 FROM item WHERE item.sha256 = identity.sha256)"
)
# Other films of the patient, of this run or of those before it.
_EARLIER = (
    "SELECT DISTINCT identity.sha256, probability, modified_utc FROM identity "
    "JOIN item ON item.sha256 = identity.sha256 "
    "WHERE field = ? AND value = ? AND identity.sha256 <> ? AND run <= ? AND status = 'scored' "
    "ORDER BY run DESC, modified_utc DESC"
)


@dataclass(frozen=True)
class EarlierScore:
    """Another film of the same patient.

    Attributes:
        acquired: as its header says; else when its file was last changed.
        probability: its score.
    """

    acquired: str
    probability: float


@dataclass(frozen=True)
class Identities:
    """The identities in a ledger."""

    connection: sqlite3.Connection

    def record(self, films: Iterable[tuple[str, Mapping[str, str]]]) -> None:
        """Add or replace fields of films, inside a transaction of the caller's.

        Args:
            films: sha256 of a file, and values by field; empty ones too, or they would be looked
                for again.
        """
        rows = (
            (bytes.fromhex(sha256), field, value)
            for sha256, fields in films
            for field, value in fields.items()
        )
        self.connection.executemany(_RECORD, ((checksum(*row), *row) for row in rows))

    def of(self, sha256: str) -> dict[str, str]:
        """Identity that is known of the bytes of a file; a damaged value is not."""
        key = bytes.fromhex(sha256)
        return {
            field: value
            for field, value, checked in self.connection.execute(_FIELDS, (key,))
            if checked == checksum(key, field, value)
        }

    def earlier(self, sha256: str, run: int) -> list[EarlierScore]:
        """The latest scores of films with the same patient ID, but those of the same study.

        Args:
            sha256: of the film that they are shown with.
            run: number of its run; later ones do not count.
        """
        film = self.of(sha256)
        patient, study = film.get(PATIENT_ID), film.get(STUDY_UID)
        if not patient:
            return []
        found: dict[bytes, EarlierScore] = {}
        rows = self.connection.execute(_EARLIER, (PATIENT_ID, patient, bytes.fromhex(sha256), run))
        for key, probability, modified in rows:
            if len(found) == _EARLIER_SHOWN:
                break
            other = self.of(key.hex())
            if key not in found and (not study or other.get(STUDY_UID) != study):
                found[key] = EarlierScore(other.get(ACQUIRED) or modified, probability)
        return list(found.values())

    def forget_orphans(self) -> None:
        """Drop what belongs to no file of any run, inside a transaction of the caller's."""
        self.connection.execute(_ORPHANS)
