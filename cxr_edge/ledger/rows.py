"""A file's row as the ledger holds it, and back."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any

from cxr_edge.errors import StateError
from cxr_edge.types import FoundFile, InputWarning, Reason, Result, Stamp, Status

# A file can change twice within one tick of the file system's clock and keep its stamp.
_STAMP_TICK_NS = 2 * 10**9


@dataclass(frozen=True)
class Entry:
    """One file's row as it is recorded."""

    file: FoundFile
    result: Result
    stamp: Stamp | None = None


def values(entry: Entry, *, new: bool) -> tuple[Any, ...]:
    """The columns of `checksums.ROW`."""
    result = entry.result
    return (
        os.fsencode(entry.file.path),
        stamp_text(entry.stamp) if entry.stamp and _is_quiet(entry, entry.stamp) else None,
        bytes.fromhex(result.sha256) or None,
        result.path,
        result.status.value,
        result.reason and result.reason.value,
        None if result.probability is None else float(result.probability),
        ",".join(result.warnings),
        result.width,
        result.height,
        result.format,
        result.modified_utc,
        result.device,
        ",".join(["" if value is None else f"{value:.6g}" for value in result.features]),
        int(new),
    )


def result_of(facts: tuple[Any, ...], display: str, first: str | None = None) -> Result:
    """A row as a result.

    Args:
        facts: the columns of `checksums.FACTS`.
        display: the name that this run gives the file.
        first: the name that the first file with these bytes has.
    """
    sha256, _, status, reason, probability, warnings, *shape, kind, modified, device = facts[:-2]
    width, height = shape
    features, new = facts[-2:]
    return Result(
        display,
        Status(status),
        Reason(reason) if reason else None,
        probability,
        tuple(map(InputWarning, names(warnings))),
        width,
        height,
        kind,
        sha256.hex() if sha256 else "",
        modified,
        first if sha256 and first and first != display else "",
        device,
        features_of(features),
        bool(new),
    )


def checked_result(facts: tuple[Any, ...], first: str | None) -> Result:
    """A row for a report; one that is damaged otherwise than by its checksum cannot be in it."""
    try:
        return result_of(facts, facts[1], first)
    except (ValueError, TypeError, AttributeError):
        raise StateError("a row of the ledger is damaged", tip="run score again") from None


def names(joined: str) -> list[str]:
    """Warnings or features of a row, as `values` joined them."""
    return joined.split(",") if joined else []


def features_of(joined: str) -> tuple[float | None, ...]:
    """Features of a row; empty where none was measured, None for one that was not."""
    return tuple([float(each) if each else None for each in names(joined)])


def stamp_text(stamp: Stamp) -> str:
    """A stamp as a row has it."""
    text = f"{stamp.size}:{stamp.mtime_ns}:{stamp.ctime_ns}:{stamp.inode}"
    return f"{text}:{stamp.version}" if stamp.version else text


def stamp_of(text: str | None) -> Stamp | None:
    """A stamp out of its text."""
    if text is None:
        return None
    size, mtime, ctime, inode, *version = text.split(":", 4)
    return Stamp(int(size), int(mtime), int(ctime), int(inode), *version)


def _is_quiet(entry: Entry, stamp: Stamp) -> bool:
    """A stamp that tells a later change; one that waits to settle is only compared in this run."""
    if entry.result.reason is Reason.STILL_CHANGING:
        return True
    return entry.file.seen_ns - max(stamp.ctime_ns, stamp.mtime_ns) > _STAMP_TICK_NS
