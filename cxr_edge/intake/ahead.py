"""Asks the file system in threads: a share that hangs blocks a thread, never the run.

A call to a dead share cannot be ended, and no signal is heard in it. The main thread waits beside
it, looks up often, and leaves it behind when it is asked to stop.
"""

from __future__ import annotations

import contextlib
import errno
import logging
import os
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from cxr_edge.errors import ThreadError
from cxr_edge.types import FoundFile, Root

SILENCE_SECONDS = 60.0  # before a warning
FILES_AHEAD = 256
_LOOK_UP_SECONDS = 0.2
_NOT_THERE = (errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.ESTALE)
_SECONDS_FOR_A_FOLDER = 10.0  # during which a run may ignore a signal

_log = logging.getLogger(__name__)


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
    belt = _Belt()
    _started(_list, files, belt)
    silence = _Silence()
    try:
        while not stop():
            if not belt.has_more():
                silence.go_on()
                yield None
                continue
            file = belt.take()
            if file is None:
                return
            if isinstance(file, BaseException):
                raise file
            yield file
            silence = _Silence()
    finally:
        belt.is_over = True


def wait_for(inputs: Iterable[str]) -> None:
    """Wait until INPUTs answer, even with an error; a signal ends the wait.

    Raises:
        ThreadError: no thread can be started.
    """
    thread = _started(_touch, list(inputs))
    silence = _Silence()
    while thread.is_alive():
        thread.join(_LOOK_UP_SECONDS)
        silence.go_on()


def is_gone(root: Root) -> bool:
    """Whether a folder is no longer there, or another one has its name; False without an answer.

    Raises:
        ThreadError: no thread can be started.
    """
    gone = threading.Event()
    _started(_look_for, root, gone).join(_SECONDS_FOR_A_FOLDER)
    return gone.is_set()


class _Silence:
    """Warns once that the file system does not answer."""

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


class _Belt:
    """Carries files from one thread to another, which wake each other for many at once.

    A queue wakes somebody for each: a run of 600 films took 9 % more CPU time for it.
    """

    def __init__(self) -> None:
        self.is_over = False
        self._found: deque[FoundFile | BaseException | None] = deque()
        self._more, self._room = threading.Event(), threading.Event()

    def put(self, item: FoundFile | BaseException | None) -> bool:
        """Wait for room if there is none; False once no more files are wanted."""
        if len(self._found) >= FILES_AHEAD:
            self._room.clear()
            while len(self._found) > FILES_AHEAD // 2 and not self.is_over:
                self._room.wait(_LOOK_UP_SECONDS)
        self._found.append(item)
        if not self._more.is_set():
            self._more.set()
        return not self.is_over

    def has_more(self) -> bool:
        """Look for a while."""
        if not self._found:
            self._more.clear()
            if not self._found:  # nor since
                self._more.wait(_LOOK_UP_SECONDS)
        return bool(self._found)

    def take(self) -> FoundFile | BaseException | None:
        item = self._found.popleft()
        if len(self._found) == FILES_AHEAD // 2:
            self._room.set()
        return item


def _list(files: Iterable[FoundFile], belt: _Belt) -> None:
    end: BaseException | None = None
    try:
        for file in files:
            if not belt.put(file):
                return
    except BaseException as error:
        end = error
    belt.put(end)


def _touch(inputs: list[str]) -> None:
    for name in inputs:
        with contextlib.suppress(OSError, ValueError):
            os.lstat(os.path.realpath(name))


def _look_for(root: Root, gone: threading.Event) -> None:
    # Opened to be read: then a share's server is asked, and not what was kept of its last answer.
    flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NONBLOCK | os.O_CLOEXEC
    try:
        descriptor = os.open(root.path, flags)
    except OSError as error:
        if error.errno in _NOT_THERE:
            gone.set()
        return
    facts = os.fstat(descriptor)
    os.close(descriptor)
    if (facts.st_dev, facts.st_ino) != (root.device, root.inode):
        gone.set()
