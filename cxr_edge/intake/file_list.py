"""Lists of paths, as `--files-from` takes them."""

from __future__ import annotations

import codecs
import contextlib
import errno
import os
import select
import stat
import sys
from collections.abc import Iterator
from pathlib import Path

from cxr_edge.errors import InputError
from cxr_edge.support.files import read_bounded, read_opened
from cxr_edge.support.locks import opened

_MAX_BYTES = 256 * 10**6  # a million long paths
_SECONDS_FOR_A_WRITER = 10


def read_file_list(source: str) -> Iterator[str]:
    """Read paths, one a line or each ended by a null byte; empty lines do not count.

    Args:
        source: name of a file, or `-` for stdin.

    Raises:
        InputError: it cannot be read, is UTF-16, or was not copied to its end.
    """
    if source == "-" and sys.stdin is None:
        raise InputError("--files-from - needs an open stdin")
    try:
        content = _content(source)
    except OSError as error:
        raise InputError(f"--files-from {source} cannot be read: {error.strerror}") from error
    if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        raise InputError(f"--files-from {source} is UTF-16", tip="write it as UTF-8")
    text = os.fsdecode(content.removeprefix(codecs.BOM_UTF8))  # file names need not be UTF-8
    if "\0" not in text:
        return (line.removesuffix("\r") for line in text.split("\n") if line.strip())
    paths = text.removesuffix("\0").split("\0")  # no name has a null byte: find -print0 wrote it
    if "" in paths:
        raise InputError(
            f"--files-from {source} has null bytes in a row",
            tip="was it copied to its end? find -print0 ends each path with one",
        )
    return iter(paths)


def _content(source: str) -> bytes:
    if source == "-":
        return read_bounded(sys.stdin.buffer, _MAX_BYTES)
    with opened(Path(source), os.O_RDONLY | os.O_NONBLOCK) as descriptor:
        if stat.S_ISFIFO(os.fstat(descriptor).st_mode):  # a shell makes one of `<(find ...)`
            _wait_for_writer(descriptor)
            with os.fdopen(descriptor, "rb", closefd=False) as file:
                return read_bounded(file, _MAX_BYTES)
        return read_opened(descriptor, _MAX_BYTES)


def _wait_for_writer(pipe: int) -> None:
    """Let reads wait, as on stdin, once somebody has the other end."""
    waiting = select.poll()
    waiting.register(pipe, select.POLLIN)
    if not waiting.poll(1000 * _SECONDS_FOR_A_WRITER):
        with contextlib.suppress(BlockingIOError):  # there is one, who is slow
            if not os.read(pipe, 1):
                raise OSError(errno.EPIPE, "nobody writes to this pipe")
    os.set_blocking(pipe, True)
