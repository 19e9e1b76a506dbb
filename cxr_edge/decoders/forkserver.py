"""A process that forks another for each connection that it is sent, and does nothing else.

It is single-threaded and reads nothing but its parent's requests, so that what it forks starts as
clean as a fresh interpreter, and at once.
"""

from __future__ import annotations

import ctypes
import os
import signal
import socket
import struct
import time
from collections.abc import Callable

# A start, which comes with the connection, or an end; and of which process. Answered is an end
# alone, with the exit code.
REQUEST = struct.Struct("!?i")
ANSWER = struct.Struct("!i")
GRACE_SECONDS = 10.0
_SECONDS_BETWEEN_LOOKS = 0.0005
_PR_SET_PDEATHSIG = 1  # prctl(2)

_libc = ctypes.CDLL(None)


def serve(control: socket.socket, work: Callable[[int], None]) -> None:
    """Until the parent closes its end; what has been forked dies with this process.

    Args:
        control: packets of `REQUEST` and `ANSWER`.
        work: what a forked process does, with the descriptor of its connection.
    """
    processes: dict[int, int] = {}
    while True:
        said, descriptors, _, _ = socket.recv_fds(control, REQUEST.size, 1)
        if not said:
            return
        starts, number = REQUEST.unpack(said)
        if not starts:
            control.send(ANSWER.pack(_ended(processes.pop(number, None))))
        for descriptor in descriptors:
            if process := _forked(control, descriptor, work):
                processes[number] = process
            os.close(descriptor)  # else nobody would see the other end of it close


def _forked(control: socket.socket, descriptor: int, work: Callable[[int], None]) -> int | None:
    """None where the system refuses: whoever asked sees the connection close."""
    server = os.getpid()
    try:
        process = os.fork()
    except OSError:
        return None
    if process:
        return process
    try:
        control.close()
        _die_with(server)
        work(descriptor)
        os._exit(0)
    finally:  # whatever it was: nothing of the server's may run here
        os._exit(1)


def _die_with(server: int) -> None:
    """Nobody else could end this process, whatever it may be doing then."""
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != server:  # it was faster
        os._exit(1)


def _ended(process: int | None) -> int:
    """Its exit code; 0 for one that hangs in the kernel and is left there."""
    if process is None:
        return os.EX_OSERR
    os.kill(process, signal.SIGKILL)
    deadline = time.monotonic() + GRACE_SECONDS
    while time.monotonic() < deadline:
        found, status = os.waitpid(process, os.WNOHANG)
        if found:
            return os.waitstatus_to_exitcode(status)
        time.sleep(_SECONDS_BETWEEN_LOOKS)
    return 0
