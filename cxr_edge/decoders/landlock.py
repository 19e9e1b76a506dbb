"""Landlock, landlock(7): from now on a process opens nothing but some folders, for reading.

A few calls of the kernel's stable interface. The packages for it are alpha, or do more than this.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import struct
from collections.abc import Iterable

# The same numbers on every architecture.
_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446
_ASK_VERSION = 1
_PATH_BENEATH = 1
_READ_FILE, _READ_DIR = 1 << 2, 1 << 3
# Rights that each version of the interface can take away, and how it wants to be told: those on
# files, on TCP ports, and the two scopes, abstract sockets and signals.
_FILE_RIGHTS = {1: 13, 2: 14, 3: 15, 5: 16}  # how many, from bit 0
_NETWORK_RIGHTS = {4: 2}
_SCOPES = {6: 2}

_libc = ctypes.CDLL(None, use_errno=True)


def restrict(readable: Iterable[str]) -> int:
    """Take from this process every right on files but reading these, and every other right.

    Args:
        readable: folders and files; what is not there is left out.

    Returns:
        The version of the interface that the kernel has.

    Raises:
        OSError: the kernel has no Landlock, or what surrounds the process does not allow it.
    """
    version = _call(_CREATE_RULESET, None, 0, _ASK_VERSION)
    rights = [_bits(kinds, version) for kinds in (_FILE_RIGHTS, _NETWORK_RIGHTS, _SCOPES)]
    known = rights[: 1 + (version >= 4) + (version >= 6)]  # an older kernel has a shorter structure
    attributes = struct.pack(f"={len(known)}Q", *known)
    ruleset = _call(_CREATE_RULESET, attributes, len(attributes), 0)
    try:
        for path in readable:
            with contextlib.suppress(FileNotFoundError, PermissionError):
                _allow(ruleset, path)
        _call(_RESTRICT_SELF, ruleset, 0)
    finally:
        os.close(ruleset)
    return version


def _bits(counts: dict[int, int], version: int) -> int:
    """The rights that the kernel's version of the interface knows."""
    return (1 << max([count for since, count in counts.items() if since <= version] or [0])) - 1


def _allow(ruleset: int, path: str) -> None:
    beneath = os.open(path, os.O_PATH | os.O_CLOEXEC)
    try:
        rights = _READ_FILE | _READ_DIR if os.path.isdir(path) else _READ_FILE  # noqa: PTH112
        _call(_ADD_RULE, ruleset, _PATH_BENEATH, struct.pack("=Qi", rights, beneath), 0)
    finally:
        os.close(beneath)


def _call(number: int, *arguments: int | bytes | None) -> int:
    """One system call; OSError as the kernel says."""
    values = [ctypes.c_long(each) if isinstance(each, int) else each for each in arguments]
    answer = int(_libc.syscall(ctypes.c_long(number), *values))
    if answer < 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
    return answer
