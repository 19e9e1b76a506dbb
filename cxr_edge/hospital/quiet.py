"""Keeps what a peer has sent, or is sent, out of logs: libraries would print it."""

from __future__ import annotations

import contextlib
import logging
import threading
import warnings
from collections.abc import Callable, Iterator


@contextlib.contextmanager
def quiet_library(thread_failed: Callable[[threading.ExceptHookArgs], None]) -> Iterator[None]:
    """Let pynetdicom print nothing, as a warning, a log line or a traceback.

    Args:
        thread_failed: told of an error that ends one of its threads.
    """
    library, former = logging.getLogger("pynetdicom"), threading.excepthook
    propagated, library.propagate = library.propagate, False
    threading.excepthook = thread_failed
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        threading.excepthook, library.propagate = former, propagated
