"""Rights that a decoder process gives up first, so that code in a film finds nothing.

It keeps the connection to its parent, the memory it has, and the libraries that it may still have
to import. What the kernel does not offer, or what surrounds the run forbids, is said and left out.
"""

from __future__ import annotations

import contextlib
import ctypes
import functools
import importlib.util
import os
import resource
import sys
from collections.abc import Callable
from pathlib import Path

from cxr_edge.decoders import landlock, seccomp

MAX_ADDRESS_SPACE = 1024 * 1024 * 1024

_LIMITS = {
    resource.RLIMIT_AS: MAX_ADDRESS_SPACE,
    resource.RLIMIT_CORE: 0,
    resource.RLIMIT_FSIZE: 0,
    resource.RLIMIT_NPROC: 0,
}
# Packages that decoding may import when a film needs them.
_PACKAGES = ("numpy", "PIL", "msgspec", "pydicom", "gdcm", "jpeg_ls")
_SYSTEM_LIBRARIES = ("/lib", "/lib64", "/usr/lib", "/usr/lib64", "/etc/ld.so.cache")
_FIRST_DESCRIPTOR = 3  # behind the standard streams, which lead nowhere
_PR_SET_DUMPABLE, _PR_SET_NO_NEW_PRIVS = 4, 38  # prctl(2)

_libc = ctypes.CDLL(None)


def enter(connection: int) -> str:
    """Give up everything but one descriptor, for good.

    Returns:
        What protects from now on, and what does not and why: `landlock ABI 7, seccomp, no new
        privileges`.
    """
    _close_all_but(connection)
    _libc.prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)  # else others of this user may look inside
    limit_resources(_LIMITS)
    privileges = _said("no new privileges", _give_up_privileges)
    landlocked = _said("landlock", lambda: f" ABI {landlock.restrict(readable())}")
    filtered = _said("seccomp", seccomp.restrict)
    return f"{landlocked}, {filtered}, {privileges}"


def limit_resources(limits: dict[int, int]) -> None:
    """Set limits of getrlimit(2) that nobody can raise again; lower ones stay."""
    for kind, limit in limits.items():
        hard = resource.getrlimit(kind)[1]
        limit = limit if hard == resource.RLIM_INFINITY else min(limit, hard)
        resource.setrlimit(kind, (limit, limit))


@functools.cache
def readable() -> tuple[str, ...]:
    """Folders of the interpreter and of the libraries that decoding imports; no user's files.

    An entry of `sys.path` may be the folder of the films: it counts where it holds a library.
    """
    paths = [str(Path(os.__file__).parent), *_SYSTEM_LIBRARIES]
    paths += [str(Path(prefix, "lib")) for prefix in (sys.prefix, sys.base_prefix)]
    paths += os.environ.get("LD_LIBRARY_PATH", "").split(":")
    paths += map(_folder_of, _PACKAGES)
    paths.append(str(Path(__file__).parents[1]))
    return tuple(dict.fromkeys(filter(os.path.isabs, paths)))


def _folder_of(package: str) -> str:
    """The folder that a package or module lies in: an entry of `sys.path`."""
    spec = importlib.util.find_spec(package)
    if spec is None or spec.origin is None:
        return ""
    return str(Path(spec.origin).parents[1 if spec.submodule_search_locations else 0])


def _close_all_but(connection: int) -> None:
    os.closerange(_FIRST_DESCRIPTOR, connection)
    os.closerange(max(connection + 1, _FIRST_DESCRIPTOR), _most_descriptors())


def _most_descriptors() -> int:
    """The highest that may be open is one less."""
    return max(int(name) for name in os.listdir("/proc/self/fd")) + 1  # noqa: PTH208 - numbers


def _give_up_privileges() -> None:
    if _libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0):
        raise OSError(0, "refused by the kernel")


def _said(name: str, protect: Callable[[], str | None]) -> str:
    """Protect, and put into words whether that went well."""
    with contextlib.suppress(seccomp.UnknownArchitectureError):
        try:
            return name + (protect() or "")
        except OSError as error:
            return f"WITHOUT {name} ({error.strerror})"
    return f"WITHOUT {name} (unknown on {os.uname().machine})"
