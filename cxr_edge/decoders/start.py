"""Starts decoder processes, and imports nothing that takes long: `score` begins with it.

They are forked by a process that was started afresh, has imported what decoding needs and never
reads a film. A fork of this process would share the ledger's lock and the inference library's
threads; a fresh start for each would repeat the imports. `forkserver` says why the start method of
that name in `multiprocessing` is not used; `concurrent.futures` rests on it.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from contextlib import suppress

from cxr_edge.decoders.forkserver import (
    ANSWER,
    DECODER,
    DICOM,
    END,
    GRACE_SECONDS,
    READER,
    REQUEST,
)
from cxr_edge.errors import DecoderError
from cxr_edge.support.cores import usable_cores

# The child finds its modules where this process did; -P keeps the current folder out until then.
_START = (
    "import json, sys; sys.path[:] = json.loads(sys.argv.pop()); "
    "from cxr_edge.decoders.worker import main; main()"
)
# One core each; and pages that a film has freed serve the next one, mallopt(3): else they go back
# to the system and are asked for again, zeroed, film by film.
ENVIRONMENT = {
    "OPENBLAS_NUM_THREADS": "1",
    "OMP_NUM_THREADS": "1",
    "MALLOC_MMAP_THRESHOLD_": str(32 * 1024 * 1024),
    "MALLOC_TRIM_THRESHOLD_": str(64 * 1024 * 1024),
}


# A message to or from a reader is one packet; an answer of a decoder has more bytes than one holds.
_SOCKETS = {READER: socket.SOCK_SEQPACKET, DECODER: socket.SOCK_STREAM}


class ForkedProcess:
    """A decoder, which waits for its settings and for films, or a reader.

    Attributes:
        socket: our end of the connection to it.
    """

    def __init__(self, server: _Server, number: int, ours: socket.socket) -> None:
        """Keep the number under which a server forked the process, and our end of the socket."""
        self._server = server
        self._number = number
        self.socket = ours

    def end(self) -> int:
        """Kill it; returns its exit code, or 0 if it hangs in the kernel."""
        self.socket.close()
        return self._server.end(self._number)


class Decoders:
    """The source of decoder processes; a context manager that leaves none behind.

    Attributes:
        sandbox: what protects from the one that started last, see `prison`; empty without one.
    """

    def __init__(self) -> None:
        """Start nothing yet."""
        self.sandbox = ""
        self._server: _Server | None = None
        self._expects_dicom = False
        self._started = 0

    def __enter__(self) -> Decoders:
        """Start nothing yet."""
        return self

    def __exit__(self, *_: object) -> None:
        """End every process."""
        self.end()

    def end(self) -> None:
        """End every process, and the one that forks them."""
        if self._server is not None:
            self._server.kill()
            self._server = None

    def prepare(self) -> None:
        """Start the forking process early, so that it imports while this one does.

        Only if there is a second core: on a single one it would delay this process, and the night
        may have no film to decode. A failure is reported by `start`, once a process is needed.
        """
        with suppress(OSError):
            if usable_cores() > 1:
                self._server = _Server()

    def expect_dicom(self) -> None:
        """Have what DICOM needs imported once, for all processes that start from now on.

        Else each imports it with its first such film. Asked once: if the import crashes the server,
        the next one goes without.
        """
        if self._server is not None and not self._expects_dicom:
            self._expects_dicom = True
            with suppress(OSError):
                self._server.expect_dicom()

    def begin(self, kind: int = DECODER) -> ForkedProcess:
        """Start one more process, see `forkserver`; DecoderError if the system refuses."""
        try:
            return self.start(kind)
        except OSError as error:
            raise DecoderError(
                f"decoder processes cannot be started here: {error.strerror}"
            ) from error

    def start(self, kind: int = DECODER) -> ForkedProcess:
        """Start one more process, see `forkserver`; OSError if the system refuses."""
        self._started += 1
        ours, theirs = socket.socketpair(socket.AF_UNIX, _SOCKETS[kind])
        try:
            server = self._forked(kind, theirs.fileno())
        except OSError:
            ours.close()
            raise
        finally:
            theirs.close()
        return ForkedProcess(server, self._started, ours)

    def _forked(self, kind: int, descriptor: int) -> _Server:
        """Fork a process for the other end of a connection; returns the server that did."""
        if self._server is not None:
            with suppress(OSError):
                self._server.fork(kind, self._started, descriptor)
                return self._server
            self._server.kill()  # it has died
        self._server = _Server()
        self._server.fork(kind, self._started, descriptor)
        return self._server


class _Server:
    """The process that forks decoders, see `forkserver`."""

    def __init__(self) -> None:
        """Start it; OSError if the system refuses."""
        self._control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        # Longer than it tries to end a process.
        self._control.settimeout(2 * GRACE_SECONDS)
        try:
            self._process = _started(theirs.fileno())
        except OSError:
            self._control.close()
            raise
        finally:
            theirs.close()

    def fork(self, kind: int, number: int, descriptor: int) -> None:
        """Fork a process for this end of a connection; OSError if the server has died."""
        socket.send_fds(self._control, [REQUEST.pack(kind, number)], [descriptor])

    def expect_dicom(self) -> None:
        """Have it import what DICOM needs; OSError if it has died."""
        self._control.send(REQUEST.pack(DICOM, 0))

    def end(self, number: int) -> int:
        """End one process; its exit code, or the server's if that had to be killed, with all."""
        with suppress(OSError):
            self._control.send(REQUEST.pack(END, number))
            if answer := self._control.recv(ANSWER.size):
                return int(ANSWER.unpack(answer)[0])
        return self.kill()

    def kill(self) -> int:
        """Kill it and all that it has forked; returns its exit code as `ForkedProcess.end`."""
        self._control.close()
        self._process.kill()
        with suppress(subprocess.TimeoutExpired):
            return self._process.wait(GRACE_SECONDS)
        return 0


def _started(descriptor: int) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-P", "-c", _START, str(descriptor), json.dumps(sys.path)],
        pass_fds=[descriptor],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,  # decoders talk there, and may quote what they read
        env={**os.environ, **ENVIRONMENT},
    )
