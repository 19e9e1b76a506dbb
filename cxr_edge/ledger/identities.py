"""Identities of films from their headers: apart from scores, by the bytes of the file."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from cxr_edge.ledger.checksums import checksum
from cxr_edge.support.text import REPLACED
from cxr_edge.types import ACQUIRED, ISSUER, MAX_TEXT, PATIENT_ID, STUDY_UID

_EARLIER_SHOWN = 3
MOST_FILMS = 100  # of a patient; an ID of more is a placeholder, such as ANONYMOUS
_DAY = len("2026-11-30")

_RECORD = "INSERT OR REPLACE INTO identity (checksum, sha256, field, value) VALUES (?, ?, ?, ?)"
_FIELDS = "SELECT field, value, checksum FROM identity WHERE sha256 = ?"
_ORPHANS = (
    "DELETE FROM identity WHERE NOT EXISTS (SELECT 1 FROM item WHERE item.sha256 = identity.sha256)"
)
_HAS_MORE_FILMS = (
    f"SELECT 1 FROM identity WHERE field = ? AND value = ? LIMIT 1 OFFSET {MOST_FILMS}"
)
# Other films of the patient, each with its latest score, of this run or of those before it.
_OTHERS = (
    "SELECT identity.sha256, probability, modified_utc FROM identity "
    "JOIN item ON item.rowid = (SELECT rowid FROM item WHERE sha256 = identity.sha256 "
    "AND run <= ? AND status = 'scored' ORDER BY run DESC LIMIT 1) "
    "WHERE field = ? AND value = ? AND identity.sha256 <> ?"
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

    def earlier(self, sha256: str, run: int, day: str) -> list[EarlierScore]:
        """The last scores of films with the same patient ID, but those of the same study.

        None for a patient ID of more than `MOST_FILMS`: it is a placeholder and no patient, and to
        go through its films for each of them costs the square of their number. Nor for one that
        was cut or could not be decoded, and none of a film whose ID another issuer gave: they may
        be another patient's.

        Args:
            sha256: of the film that they are shown with.
            run: number of its run; later ones do not count.
            day: of the film, as `YYYY-MM-DD`; younger films do not count. Empty where nobody knows.

        Returns:
            The latest first.
        """
        film = self.of(sha256)
        patient, study = (PATIENT_ID, film.get(PATIENT_ID)), film.get(STUDY_UID)
        if not _is_exact(film.get(PATIENT_ID, "")):
            return []
        if self.connection.execute(_HAS_MORE_FILMS, patient).fetchone():
            return []
        found: list[EarlierScore] = []
        rows = self.connection.execute(_OTHERS, (run, *patient, bytes.fromhex(sha256)))
        for key, probability, modified in rows:
            other = self.of(key.hex())
            acquired = other.get(ACQUIRED) or modified
            in_time = not day or acquired[:_DAY] <= day
            is_same = other.get(ISSUER, "") == film.get(ISSUER, "")
            if in_time and is_same and (not study or other.get(STUDY_UID) != study):
                found.append(EarlierScore(acquired, probability))
        found.sort(key=lambda each: (each.acquired, each.probability), reverse=True)
        return found[:_EARLIER_SHOWN]

    def forget_orphans(self) -> None:
        """Drop what belongs to no file of any run, inside a transaction of the caller's."""
        self.connection.execute(_ORPHANS)


def _is_exact(text: str) -> bool:
    """Whether a header's text stands here as it is in the header, and says something."""
    return bool(text) and REPLACED not in text and len(text) < MAX_TEXT
