"""A checksum for every row: bits that flip on a disk must not come back as another score."""

from __future__ import annotations

import hashlib

# Columns of a file's row, in the order of its checksum: behind the run's number and settings.
FACTS = (
    *("sha256", "display", "status", "reason", "probability", "warnings", "width", "height"),
    *("format", "modified_utc", "device", "features", "new"),
)
ROW = ("path", "stamp", *FACTS)
_BYTES = 8


def checksum(*values: str | bytes | float | None) -> bytes:
    """Hash of values as SQLite gives them back, their types included; no secret is in it."""
    return hashlib.blake2b(ascii(values).encode(), digest_size=_BYTES).digest()
