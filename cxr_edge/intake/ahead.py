"""Asks the file system in threads: a share that no longer answers holds those, and never the run.

A call to a dead share cannot be ended, and no signal is heard in it. The main thread waits beside
it, looks up often, and leaves it behind when it is asked to stop.
"""

from __future__ import annotations

import contextlib
import logging
import os
import queue
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from cxr_edge.errors import ThreadError
from cxr_edge.types import FoundFile

SILENCE_SECONDS = 60.0  # then somebody is told
FILES_AHEAD = 64
_LOOK_UP_SECONDS = 0.2

_log = logging.getLogger(__name__)

_Queue = queue.Queue[FoundFile | BaseException | None]


def ahead(files: Iterable[FoundFile], stop: Callable[[], bool]) -> Iterator[FoundFile | None]:
    """Hand on files that a thread looks for, which is a bounded number ahead.

    Args:
        files: what a walk finds; its errors are raised here.
        stop: called often; once it returns true, nothing further is handed on or waited for.

    Yields:
        A file; or None where none was found for a moment, so that the caller goes on elsewhere.

    Raises:
        ThreadError: no thread can be started.
    """
    found: _Queue = queue.Queue(FILES_AHEAD)
    over = threading.Event()
    _started(_list, files, found, over)
    silence = _Silence()
    try:
        while not stop():
            try:
                file = found.get(timeout=_LOOK_UP_SECONDS)
            except queue.Empty:
                silence.go_on()
                yield None
                continue
            if file is None:
                return
            if isinstance(file, BaseException):
                raise file
            yield file
            silence = _Silence()
    finally:
        over.set()


def wait_for(inputs: Iterable[str]) -> None:
    """Wait until INPUTs answer, be it with an error; a signal ends the waiting as any other.

    Raises:
        ThreadError: no thread can be started.
    """
    thread = _started(_touch, list(inputs))
    silence = _Silence()
    while thread.is_alive():
        thread.join(_LOOK_UP_SECONDS)
        silence.go_on()


class _Silence:
    """Says once that nothing is heard."""

    def __init__(self) -> None:
        self._since = time.monotonic()
        self._is_told = False

    def go_on(self) -> None:
        seconds = time.monotonic() - self._since
        if seconds > SILENCE_SECONDS and not self._is_told:
            self._is_told = True
            _log.warning(
                "warning: no file was found for %d s; does the share answer?\n"
                "  tip: the run waits, and SIGTERM ends it; what is recorded is safe",
                seconds,
            )


def _started(work: Callable[..., None], *arguments: Any) -> threading.Thread:
    thread = threading.Thread(target=work, args=arguments, daemon=True)
    try:
        thread.start()
    except RuntimeError as error:
        raise ThreadError(error) from error
    return thread


def _list(files: Iterable[FoundFile], found: _Queue, over: threading.Event) -> None:
    end: BaseException | None = None
    try:
        for file in files:
            if not _put(file, found, over):
                return
    except BaseException as error:
        end = error
    _put(end, found, over)


def _put(item: FoundFile | BaseException | None, found: _Queue, over: threading.Event) -> bool:
    """Wait for room; False once nobody wants any more."""
    while not over.is_set():
        with contextlib.suppress(queue.Full):
            found.put(item, timeout=_LOOK_UP_SECONDS)
            return True
    return False


def _touch(inputs: list[str]) -> None:
    for name in inputs:
        with contextlib.suppress(OSError, ValueError):
            os.lstat(os.path.realpath(name))
