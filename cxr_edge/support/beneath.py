"""Opens files below an open folder; a link on the way is refused, whenever it was put there."""

from __future__ import annotations

import ctypes
import errno
import os
import struct

_OPENAT2 = 437  # the same number on every architecture; Linux 5.6
_RESOLVE_NO_SYMLINKS, _RESOLVE_BENEATH = 0x04, 0x08
_NOT_HERE = {errno.ENOSYS, errno.EPERM}  # an older kernel, or a filter of system calls
_TRIES = 8  # EAGAIN: somebody renamed a folder in the same moment

_libc = ctypes.CDLL(None, use_errno=True)


def open_beneath(folder: int, relative: str, flags: int) -> int:
    """Open what lies below a folder.

    Args:
        folder: its descriptor.
        relative: names joined by `/`; empty for the folder itself.
        flags: as of open(2), for reading.

    Raises:
        OSError: ELOOP for a link, at the end or on the way; else as the system says.
    """
    name = os.fsencode(relative) or b"."
    if b"\0" in name:
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT))
    try:
        return _opened_at_once(folder, name, flags)
    except OSError as error:
        if error.errno not in _NOT_HERE:
            raise
    return _opened_step_by_step(folder, name.split(b"/"), flags)


def _opened_at_once(folder: int, name: bytes, flags: int) -> int:
    how = struct.pack("=QQQ", flags | os.O_CLOEXEC, 0, _RESOLVE_NO_SYMLINKS | _RESOLVE_BENEATH)
    for _ in range(_TRIES):
        opened = int(_libc.syscall(_OPENAT2, folder, name, how, ctypes.c_size_t(len(how))))
        if opened >= 0:
            return opened
        code = ctypes.get_errno()
        if code != errno.EAGAIN:
            break
    raise OSError(code, os.strerror(code))


def _opened_step_by_step(folder: int, names: list[bytes], flags: int) -> int:
    """Open as the system call does; with O_NOFOLLOW and O_DIRECTORY a link is ENOTDIR."""
    current = folder
    try:
        for name in names[:-1]:
            deeper = _step(current, name, os.O_PATH | os.O_DIRECTORY)
            if current != folder:
                os.close(current)
            current = deeper
        return _step(current, names[-1], flags)
    finally:
        if current != folder:
            os.close(current)


def _step(folder: int, name: bytes, flags: int) -> int:
    if name == b"..":
        raise OSError(errno.EXDEV, os.strerror(errno.EXDEV))
    try:
        return os.open(name, flags | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=folder)
    except NotADirectoryError:
        os.readlink(name, dir_fd=folder)  # OSError for what is no link
        raise OSError(errno.ELOOP, os.strerror(errno.ELOOP)) from None
