"""Reads files that somebody else may have put where a name leads: at once, and not without end."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path
from typing import BinaryIO

from cxr_edge.support.locks import opened


def read_plain(path: Path, most: int) -> bytes:
    """The content of a plain file; a pipe would be waited for, and a device may never end.

    Args:
        path: links are followed.
        most: bytes that such a file may have.

    Raises:
        OSError: it cannot be read, is no plain file, or is larger.
    """
    with opened(path, os.O_RDONLY | os.O_NONBLOCK) as descriptor:
        return read_opened(descriptor, most)


def read_opened(descriptor: int, most: int) -> bytes:
    """The same of what was opened, without waiting for it.

    Raises:
        OSError: as `read_plain`.
    """
    facts = os.fstat(descriptor)
    if stat.S_ISDIR(facts.st_mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
    if not stat.S_ISREG(facts.st_mode):
        raise OSError(errno.EINVAL, "it is no plain file")
    if facts.st_size > most:
        raise _too_large(most)
    with os.fdopen(descriptor, "rb", closefd=False) as file:
        return read_bounded(file, most)


def read_bounded(file: BinaryIO, most: int) -> bytes:
    """Read the rest of an open file.

    Raises:
        OSError: it cannot be read, or there is more than `most` bytes.
    """
    content = file.read(most + 1)
    if len(content) > most:
        raise _too_large(most)
    return content


def _too_large(most: int) -> OSError:
    return OSError(errno.EFBIG, f"it is larger than {most / 1e6:.0f} MB")
