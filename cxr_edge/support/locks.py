"""Locks on files and folders, by flock(2): each ends with its process in any case."""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

from cxr_edge.support.atomic import FILE_MODE


@contextlib.contextmanager
def opened(path: Path, flags: int, folder: int | None = None) -> Iterator[int]:
    """Open what is to be locked; the lock ends with the block.

    Args:
        path: a file or a folder.
        flags: as of open(2); a file that `O_CREAT` makes is private.
        folder: descriptor of the folder that a relative path begins in.
    """
    descriptor = os.open(path, flags | os.O_CLOEXEC, FILE_MODE, dir_fd=folder)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def lock(descriptor: int, *, wait: bool = False) -> None:
    """Take the exclusive lock of an open file or folder.

    Raises:
        BlockingIOError: another process holds it, and this one is not to wait.
        OSError: the file system knows no locks.
    """
    fcntl.flock(descriptor, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
