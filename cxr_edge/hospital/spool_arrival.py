"""An object on its way into the spool: written to a part file, synced, then given its name."""

from __future__ import annotations

import contextlib
import ctypes
import errno
import hashlib
import os
from pathlib import Path

from cxr_edge.hospital.spool import Kept, ObjectName, Refusal, RefusedError, Spool
from cxr_edge.support.atomic import sync_folder

_CHUNK = 1 << 20
_HINT_EVERY = 2 << 20  # bytes
_SYNC_FILE_RANGE_WRITE = 2
_libc = ctypes.CDLL(None)


class Arrival:
    """One object on its way to disk; written by one thread at a time."""

    def __init__(self, spool: Spool) -> None:
        """Begin it.

        Raises:
            RefusedError: nothing can be written.
        """
        try:
            self._path, self._descriptor = spool.part()
        except OSError as error:
            raise RefusedError(Refusal.DISK, error.strerror or "") from error
        self._spool = spool
        self.size = self._hinted = 0

    def write(self, data: bytes | memoryview) -> None:
        """Append.

        Raises:
            RefusedError: there is no room, or it is too large; `discard` then.
        """
        if self.size + len(data) > self._spool.largest:
            raise RefusedError(Refusal.SIZE)
        self._spool.reserve(len(data))
        self.size += len(data)
        if self.size - self._hinted >= _HINT_EVERY:
            _begin_to_write(self._descriptor, self._hinted, self.size - self._hinted)
            self._hinted = self.size
        view = memoryview(data)
        try:
            while view:
                view = view[os.write(self._descriptor, view) :]
        except OSError as error:
            raise RefusedError(Refusal.DISK, error.strerror or "") from error

    def head(self, start: int, size: int) -> bytes:
        """Read up to `size` bytes from `start` on."""
        return os.pread(self._descriptor, size, start)

    def keep(self, name: ObjectName) -> Kept:
        """Put it into its study; all of it is on disk when this returns.

        Raises:
            RefusedError: the disk failed; nothing of it is left.
        """
        try:
            os.fsync(self._descriptor)
            kept = self._placed(name)
        except OSError as error:
            self.discard()
            raise RefusedError(Refusal.DISK, error.strerror or "") from error
        self._close(kept=kept is not Kept.AGAIN)
        return kept

    def _placed(self, name: ObjectName) -> Kept:
        """Move it to its name; where that is taken, to one with a hash of its bytes."""
        folder = self._spool.films / name.folder
        first = folder / f"{name.stem}.dcm"
        if self._spool.place(self._path, first):
            return Kept.NEW
        digest = _digest_of(self._path)
        other = folder / f"{name.stem}-{digest[:16]}.dcm"
        if _digest_of(first) != digest:
            if self._spool.place(self._path, other):
                return Kept.OTHER_BYTES
            if _digest_of(other) != digest:
                raise OSError(errno.EEXIST, "a film of this name has been changed")
        sync_folder(folder)  # its writer may have been killed before it did so
        self._path.unlink()
        return Kept.AGAIN

    def discard(self) -> None:
        """Remove it; does nothing if it is kept or removed already.

        If the disk has become read-only, the next receiver removes it.
        """
        if self._descriptor >= 0:
            with contextlib.suppress(OSError):
                self._path.unlink()
            self._close(kept=False)

    def _close(self, *, kept: bool) -> None:
        os.close(self._descriptor)
        self._descriptor = -1
        self._spool.release(self.size, kept=kept)


def _begin_to_write(descriptor: int, start: int, size: int) -> None:
    """Hint that the disk may begin to write, so that less is left to sync."""
    span = ctypes.c_int64(start), ctypes.c_int64(size)
    _libc.sync_file_range(descriptor, *span, _SYNC_FILE_RANGE_WRITE)


def _digest_of(path: Path) -> str:
    """SHA-256 of a file's bytes; empty where it cannot be read."""
    digest = hashlib.sha256()
    try:
        with path.open("rb") as file:
            while chunk := file.read(_CHUNK):
                digest.update(chunk)
    except OSError:
        return ""
    return digest.hexdigest()
