"""One process at a time in a RUN folder or a study, and none without its parent."""

from __future__ import annotations

import multiprocessing
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cxr_edge.errors import StateBusyError
from cxr_edge.support.locks import lock, opened


@contextmanager
def locked(path: Path, what: str) -> Iterator[None]:
    """Hold the lock of a file or folder that exists; it ends with the process in any case.

    Args:
        path: what to lock.
        what: it is called, for the message.

    Raises:
        StateBusyError: another process holds it.
    """
    with opened(path, os.O_RDONLY) as descriptor:
        try:
            lock(descriptor)
        except BlockingIOError:
            raise StateBusyError(
                f"another process works on {what}", tip="wait for it, or choose another place"
            ) from None
        except OSError:  # a share that knows no locks
            pass
        yield


def end_with_the_parent() -> None:
    """End this process when its parent does: a kill of the one is meant for both."""
    if parent := multiprocessing.parent_process():

        def end() -> None:
            parent.join()
            os._exit(1)

        threading.Thread(target=end, daemon=True).start()
