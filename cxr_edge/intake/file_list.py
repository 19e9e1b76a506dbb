"""Lists of paths, as `--files-from` takes them."""

from __future__ import annotations

import codecs
import os
import sys
from collections.abc import Iterator
from pathlib import Path

from cxr_edge.errors import InputError


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
        content = sys.stdin.buffer.read() if source == "-" else Path(source).read_bytes()
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
