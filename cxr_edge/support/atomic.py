"""The one place that writes a file so that nobody ever sees half of it."""

from __future__ import annotations

import contextlib
import errno
import os
import tempfile
from collections.abc import Iterable
from pathlib import Path

FILE_MODE = 0o600
FOLDER_MODE = 0o700

_NOT_FOR_FOLDERS = (errno.EINVAL, errno.ENOTSUP)  # what network shares say to fsync on a folder


def make_folder(folder: Path) -> None:
    """Make it and its parents, all 0700: `mkdir` would give the parents the umask's mode.

    Raises:
        OSError: it cannot be made, or would not survive a power cut.
    """
    if not folder.is_dir():
        make_folder(folder.parent)
        folder.mkdir(FOLDER_MODE, exist_ok=True)
        with contextlib.suppress(PermissionError):  # a parent that may be entered but not read
            sync_folder(folder.parent)


def write_new(path: Path, chunks: Iterable[bytes]) -> None:
    """Write and fsync a new file, mode 0600, in a folder that nobody looks into yet.

    Raises:
        OSError: also where there is one of that name.
    """
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, FILE_MODE)
    with os.fdopen(descriptor, "wb") as stream:
        stream.writelines(chunks)
        stream.flush()
        os.fsync(stream.fileno())


def write_atomically(path: Path, data: bytes, mode: int = FILE_MODE) -> None:
    """Write beside the target, fsync, rename over it, fsync the folder.

    Raises:
        OSError: the old file, if any, is untouched and nothing else is left behind.
    """
    descriptor, partial = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(data)
            stream.flush()
            os.fchmod(stream.fileno(), mode)
            os.fsync(stream.fileno())
        os.replace(partial, path)  # noqa: PTH105 - the name is a str from mkstemp
    except BaseException:
        Path(partial).unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Make a rename inside `folder` survive a power cut, where its file system can."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in _NOT_FOR_FOLDERS:
            raise
    finally:
        os.close(descriptor)
