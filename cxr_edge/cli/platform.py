"""Refuses the systems that this cannot run on, in one line, before an import fails there.

Decoders are forked by a process that they die with (`prctl`), get their connections over sequenced
Unix sockets and limit their own memory; the ledger's lock and the search for network shares read
`/proc` and use `flock`. Windows has none of these. macOS lacks `prctl`, `/proc`, sequenced Unix
sockets and CPU affinity.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable

from cxr_edge.errors import InputError

_NAMES = {"win32": "Windows", "cygwin": "Cygwin", "darwin": "macOS"}
_WAYS_OUT = {
    "win32": "install it in WSL 2, which is a Linux inside Windows",
    "cygwin": "install it in WSL 2, which is a Linux inside Windows",
}
_ANY_LINUX = "use a Linux machine, virtual machine or container"
_HELP = {"-h", "--help"}


def check_platform(arguments: Iterable[str]) -> None:
    """Let the help of a command through, and all else on Linux alone.

    Raises:
        InputError: this is another system; the tip names a way out.
    """
    if sys.platform == "linux" or _HELP.intersection(arguments):
        return
    name = _NAMES.get(sys.platform, sys.platform)
    raise InputError(
        f"cxr-edge runs on Linux, and this is {name}",
        tip=_WAYS_OUT.get(sys.platform, _ANY_LINUX),
    )
