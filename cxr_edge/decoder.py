"""Starts decoder processes, and needs nothing that takes long to import: `score` begins with it.

They are started afresh and not forked: a fork would share the ledger's lock and the inference
library's threads.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from cxr_edge.cores import usable_cores

# The child finds its modules where this process did; -P keeps the current folder out until then.
_START = (
    "import json, sys; sys.path[:] = json.loads(sys.argv.pop()); "
    "from cxr_edge.worker import main; main()"
)
# One core each; and pages that a film has freed serve the next one, mallopt(3): else they go back
# to the system and are asked for again, zeroed, film by film.
ENVIRONMENT = {
    "OPENBLAS_NUM_THREADS": "1",
    "OMP_NUM_THREADS": "1",
    "MALLOC_MMAP_THRESHOLD_": str(32 * 1024 * 1024),
    "MALLOC_TRIM_THRESHOLD_": str(64 * 1024 * 1024),
}
_GRACE_SECONDS = 10.0


class DecoderProcess:
    """A process that imports what decoding needs, and then waits for its settings and for films.

    Attributes:
        process: the process.
        socket: our end of the connection to it.
    """

    def __init__(self) -> None:
        """OSError where the system refuses."""
        self.socket, theirs = socket.socketpair()
        try:
            self.process = _started(theirs.fileno())
        except OSError:
            self.socket.close()
            raise
        finally:
            theirs.close()

    def end(self) -> None:
        """For one that nobody has needed."""
        self.socket.close()
        self.process.kill()
        with suppress(subprocess.TimeoutExpired):  # one that hangs in the kernel is left there
            self.process.wait(_GRACE_SECONDS)


@contextmanager
def started_ahead() -> Iterator[list[DecoderProcess]]:
    """A process that may be taken out of the list, while this one still imports and checks.

    One, where there is a core for it: a second would take the time that this process needs, and
    the night may have no film to decode. If it cannot be started, whoever needs one will say so.
    """
    spare: list[DecoderProcess] = []
    try:
        with suppress(OSError):
            if usable_cores() > 1:
                spare.append(DecoderProcess())
        yield spare
    finally:
        for decoder in spare:
            decoder.end()


def _started(descriptor: int) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-P", "-c", _START, str(descriptor), json.dumps(sys.path)],
        pass_fds=[descriptor],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,  # decoders talk there, and may quote what they read
        env={**os.environ, **ENVIRONMENT},
    )
