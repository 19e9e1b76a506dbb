"""Reads one file so that the bytes scored and the bytes hashed are the same bytes."""

from __future__ import annotations

import errno
import hashlib
import os
import stat
from datetime import UTC, datetime
from pathlib import Path

from cxr_edge.errors import ImageError
from cxr_edge.types import FileContent, Reason
from cxr_edge.utc import utc_text

MAX_BYTES = 256 * 1024 * 1024

_OPEN_ERRORS = {
    errno.ENOENT: Reason.MISSING,
    errno.EACCES: Reason.PERMISSION,
    errno.EPERM: Reason.PERMISSION,
    errno.ELOOP: Reason.SYMLINK,
    errno.ENXIO: Reason.NOT_A_FILE,
}


def read_file(path: Path) -> FileContent:
    """The whole file, once.

    Raises:
        ImageError: not a regular file, a link, unreadable, over 256 MiB, or changed meanwhile.
    """
    # O_NONBLOCK: opening a pipe must not wait for a writer. O_NOFOLLOW: a link could leave the
    # folder.
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    try:
        descriptor = os.open(path, flags)
        try:
            before = os.fstat(descriptor)
            _check(before)
            with os.fdopen(descriptor, "rb", closefd=False) as stream:
                data = stream.read(MAX_BYTES + 1)
            after = os.fstat(descriptor)
        finally:
            os.close(descriptor)
    except OSError as error:
        reason = _OPEN_ERRORS.get(error.errno or 0, Reason.IO_ERROR)
        raise ImageError(reason, error.strerror or "") from error
    if len(data) != before.st_size or _state(before) != _state(after):
        raise ImageError(Reason.CHANGED_WHILE_READ)
    return FileContent(data, hashlib.sha256(data).hexdigest(), _utc(before.st_mtime))


def _check(facts: os.stat_result) -> None:
    if not stat.S_ISREG(facts.st_mode):
        raise ImageError(Reason.NOT_A_FILE)
    if facts.st_size > MAX_BYTES:
        raise ImageError(Reason.TOO_LARGE, f"{facts.st_size} bytes")


def _state(facts: os.stat_result) -> tuple[int, int, int]:
    return facts.st_size, facts.st_mtime_ns, facts.st_ctime_ns


def _utc(seconds: float) -> str:
    """ISO 8601 to the second; a stamp that no calendar holds is left out."""
    try:
        return utc_text(datetime.fromtimestamp(int(seconds), UTC))
    except (OverflowError, ValueError, OSError):
        return ""
