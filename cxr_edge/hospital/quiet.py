"""Keeps objects on the wire out of logs: the DICOM library would quote them."""

from __future__ import annotations

import contextlib
import logging
import threading
import warnings
from collections.abc import Callable, Iterator


@contextlib.contextmanager
def quiet_library(thread_failed: Callable[[threading.ExceptHookArgs], None]) -> Iterator[None]:
    """Silence warnings, log lines and tracebacks of pynetdicom.

    Args:
        thread_failed: called with an error that ends one of its threads.
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
