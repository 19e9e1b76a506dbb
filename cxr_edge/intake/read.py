"""Reads one file so that the bytes scored and the bytes hashed are the same bytes."""

from __future__ import annotations

import errno
import hashlib
import os
import stat
from pathlib import Path

from cxr_edge.errors import ImageError
from cxr_edge.types import FileContent, Reason, Stamp

MAX_BYTES = 256 * 1024 * 1024

_OPEN_ERRORS = {
    errno.ENOENT: Reason.MISSING,
    errno.EACCES: Reason.PERMISSION,
    errno.EPERM: Reason.PERMISSION,
    errno.ELOOP: Reason.SYMLINK,
    errno.ENXIO: Reason.NOT_A_FILE,
}


def read_file(path: Path, expected: Stamp | None = None) -> FileContent:
    """The whole file, once.

    Args:
        path: where it is.
        expected: what it must still look like, if it was watched before.

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
                data = stream.read(before.st_size + 1)  # one more shows that it grew
            after = os.fstat(descriptor)
        finally:
            os.close(descriptor)
    except OSError as error:
        reason = _OPEN_ERRORS.get(error.errno or 0, Reason.IO_ERROR)
        raise ImageError(reason, error.strerror or "") from error
    stamp = Stamp.of(before)
    if len(data) != stamp.size or stamp != Stamp.of(after) or stamp != (expected or stamp):
        raise ImageError(Reason.STILL_CHANGING)
    return FileContent(data, hashlib.sha256(data).hexdigest(), stamp)


def current_stamp(path: Path) -> Stamp | None:
    """Stamp of a file now; None where it cannot be read."""
    try:
        return Stamp.of(path.lstat())
    except OSError:
        return None


def _check(facts: os.stat_result) -> None:
    if not stat.S_ISREG(facts.st_mode):
        raise ImageError(Reason.NOT_A_FILE)
    if facts.st_size > MAX_BYTES:
        raise ImageError(Reason.TOO_LARGE, f"{facts.st_size} bytes")
