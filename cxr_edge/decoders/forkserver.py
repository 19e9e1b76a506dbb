"""A process that forks another for each connection that it is sent, and does nothing else.

It is single-threaded and reads only its parent's requests, so that a forked process starts as clean
as a fresh interpreter, and at once.

The fork server of `multiprocessing` would not do. It imports the caller's `__main__` again, so that
a script without the usual guard, or a notebook, fails. It takes 27 ms more and a socket in the
temporary folder. Its pools unpickle what a process sends that has read files nobody trusts.
"""

from __future__ import annotations

import ctypes
import os
import signal
import socket
import struct
import time
from collections.abc import Callable, Mapping

# A request starts a process (its connection comes along) or ends one: which kind starts, and the
# number of the process. Only an end is answered, with the exit code. Or it says that films will be
# DICOM.
REQUEST = struct.Struct("!Bi")
ANSWER = struct.Struct("!i")
END, READER, DECODER, DICOM = range(4)
GRACE_SECONDS = 10.0
_SECONDS_TO_END = 1.0  # a killed process that takes longer waits for a share that is gone
_SECONDS_BETWEEN_LOOKS = 0.0005
_PR_SET_PDEATHSIG = 1  # prctl(2)

_libc = ctypes.CDLL(None)


def serve(
    control: socket.socket,
    works: Mapping[int, Callable[[int], None]],
    import_dicom: Callable[[], None],
) -> None:
    """Serve requests until the parent closes its end; forked processes die with this one.

    Args:
        control: packets of `REQUEST` and `ANSWER`.
        works: by kind, what runs in the forked process, with the descriptor of its connection.
        import_dicom: what is forked later finds imported what DICOM needs.
    """
    processes: dict[int, int] = {}
    while True:
        request, descriptors, _, _ = socket.recv_fds(control, REQUEST.size, 1)
        if not request:
            return
        kind, number = REQUEST.unpack(request)
        if kind == END:
            control.send(ANSWER.pack(_ended(processes.pop(number, None))))
        elif kind == DICOM:
            import_dicom()
        for descriptor in descriptors:
            if process := _forked(control, descriptor, works[kind]):
                processes[number] = process
            os.close(descriptor)  # else nobody would see the other end of it close


def _forked(control: socket.socket, descriptor: int, work: Callable[[int], None]) -> int | None:
    """Fork; None if the system refuses, and then the parent sees the connection close."""
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
    finally:  # also after an exception: the server's own code must not run here
        os._exit(1)


def _die_with(server: int) -> None:
    """Let the kernel kill this process when the server dies: nothing else would end it."""
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != server:  # the server died before the call
        os._exit(1)


def _ended(process: int | None) -> int:
    """Kill a process; its exit code, or 0 if it hangs in the kernel and is left there."""
    if process is None:
        return os.EX_OSERR
    os.kill(process, signal.SIGKILL)
    deadline = time.monotonic() + _SECONDS_TO_END
    while time.monotonic() < deadline:
        ended, status = os.waitpid(process, os.WNOHANG)
        if ended:
            return os.waitstatus_to_exitcode(status)
        time.sleep(_SECONDS_BETWEEN_LOOKS)
    return 0
