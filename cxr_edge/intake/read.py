"""Reads one file into sealed memory: the bytes scored are the bytes hashed."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import stat
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from cxr_edge.errors import ImageError
from cxr_edge.support.beneath import open_beneath
from cxr_edge.types import FoundFile, Place, Reason, Root, Stamp

MAX_BYTES = 256 * 1024 * 1024

_OPEN_ERRORS = {
    errno.ENOENT: Reason.MISSING,
    errno.EACCES: Reason.PERMISSION,
    errno.EPERM: Reason.PERMISSION,
    errno.ELOOP: Reason.SYMLINK,
    errno.ENXIO: Reason.NOT_A_FILE,
}
_BYTES_AT_ONCE = 1024 * 1024
_SEALS = fcntl.F_SEAL_SEAL | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_WRITE


class NoRoomError(Exception):
    """A file has more bytes than there is room for now.

    Attributes:
        size: as many.
    """

    def __init__(self, size: int) -> None:
        """Keep the size."""
        super().__init__(f"{size} bytes")
        self.size = size


@dataclass(frozen=True)
class Held:
    """The bytes of one file, in memory that is sealed against any change, and facts about them.

    Attributes:
        descriptor: of the memory, memfd_create(2); every process that has it may read it.
        size: bytes.
        sha256: of exactly these bytes.
        stamp: of the file while it was read; None for what was no file.
    """

    descriptor: int
    size: int
    sha256: str
    stamp: Stamp | None = None

    def close(self) -> None:
        """Let go of the memory; a process that has a descriptor of its own keeps it."""
        os.close(self.descriptor)


def hold(chunks: Iterable[bytes]) -> Held:
    """Put bytes into sealed memory.

    Raises:
        OSError: the system gives no memory.
    """
    import hashlib  # brings OpenSSL, which a decoder process need not have

    digest, size = hashlib.sha256(), 0
    descriptor = os.memfd_create("film", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    try:
        for chunk in chunks:
            digest.update(chunk)
            size += len(chunk)
            _write(descriptor, chunk)
        fcntl.fcntl(descriptor, fcntl.F_ADD_SEALS, _SEALS)
    except BaseException:
        os.close(descriptor)
        raise
    return Held(descriptor, size, digest.hexdigest())


def content(descriptor: int) -> bytes:
    """The bytes of sealed memory; its position, which others share, stays."""
    size = os.fstat(descriptor).st_size
    data = os.pread(descriptor, size, 0)
    while len(data) < size:
        data += os.pread(descriptor, size - len(data), len(data))
    return data


def read_film(file: FoundFile, most: int = MAX_BYTES) -> Held:
    """Read the whole file, once; the caller closes the result.

    Args:
        file: where it is, and what it must still look like if it was watched before.
        most: bytes that there is room for.

    Raises:
        ImageError: not a regular file, a link, unreadable, over 256 MiB, or changed meanwhile.
        NoRoomError: more than `most`, and not too large in itself.
    """
    try:
        with _opened(file) as descriptor:
            before = os.fstat(descriptor)
            _check(before)
            if before.st_size > most:
                raise NoRoomError(before.st_size)
            held = hold(_chunks(descriptor, before.st_size + 1))  # one more shows that it grew
            after = Stamp.of(os.fstat(descriptor))
    except OSError as error:
        reason = _OPEN_ERRORS.get(error.errno or 0, Reason.IO_ERROR)
        raise ImageError(reason, error.strerror or "") from error
    stamp = Stamp.of(before)
    if held.size != stamp.size or stamp != after or stamp != (file.stamp or stamp):
        held.close()
        raise ImageError(Reason.STILL_CHANGING)
    return Held(held.descriptor, held.size, held.sha256, stamp)


def current_stamp(path: Path) -> Stamp | None:
    """Stamp of a file now; None where it cannot be read."""
    try:
        return Stamp.of(path.lstat())
    except OSError:
        return None


@contextlib.contextmanager
def _opened(file: FoundFile) -> Iterator[int]:
    # O_NONBLOCK: opening a pipe must not wait for a writer. O_NOFOLLOW: a link could leave the
    # folder.
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    if file.root is None:
        descriptor = os.open(file.path, flags)
    else:
        with _opened_root(file.root) as root:
            descriptor = open_beneath(root, relative(file.path, file.root.path), flags)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def _opened_root(root: Root) -> Iterator[int]:
    """Open a folder that files lie below.

    Raises:
        FileNotFoundError: another folder has its name now.
        OSError: as the system says.
    """
    descriptor = os.open(root.path, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        facts = os.fstat(descriptor)
        if (facts.st_dev, facts.st_ino) != (root.device, root.inode):
            raise FileNotFoundError(errno.ENOENT, "the folder is another one now")
        yield descriptor
    finally:
        os.close(descriptor)


def relative(path: Place, root: Path) -> str:
    """A path from a folder above it on; a fifth of the time of `relative_to`."""
    return str(path)[len(str(root)) :].lstrip("/")


def _chunks(descriptor: int, most: int) -> Iterator[bytes]:
    while most > 0 and (chunk := os.read(descriptor, min(most, _BYTES_AT_ONCE))):
        most -= len(chunk)
        yield chunk


def _write(descriptor: int, data: bytes) -> None:
    while data:
        data = data[os.write(descriptor, data) :]


def _check(facts: os.stat_result) -> None:
    if not stat.S_ISREG(facts.st_mode):
        raise ImageError(Reason.NOT_A_FILE)
    if facts.st_size > MAX_BYTES:
        raise ImageError(Reason.TOO_LARGE, f"{facts.st_size} bytes")
