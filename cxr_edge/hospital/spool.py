"""The spool: films as they came, on disk before their sender hears Success.

    DIR/films/<study>/<instance>.dcm     what is scored: whole files alone
    DIR/arriving/<number>.part           what is on its way; removed when a receiver starts
    DIR/waiting/<study>                  empty: a run over this study is owed

Names are hashes of UIDs, never text of a sender. A study is marked as waiting before its film gets
its name, so that a kill at any moment leaves no film that nobody will score.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import hashlib
import itertools
import os
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from cxr_edge.errors import StateBusyError, StateError
from cxr_edge.intake.read import MAX_BYTES
from cxr_edge.support.atomic import FILE_MODE, make_folder, sync_folder
from cxr_edge.support.locks import lock, opened
from cxr_edge.support.text import display_name

RUN_LOCK = "run.lock"
_SECONDS_BETWEEN_COUNTS = 30.0
_CHUNK = 1 << 20
_HINT_EVERY = 2 << 20  # bytes
_SYNC_FILE_RANGE_WRITE = 2
_libc = ctypes.CDLL(None)


class Refusal(StrEnum):
    """Why an object is not kept."""

    QUOTA = "quota"  # --max-spool
    DISK = "disk"  # full, or not to be written
    SIZE = "size"  # more than is ever scored
    INVALID = "invalid"  # without a usable UID or without any content


class RefusedError(Exception):
    """An object is not kept.

    Attributes:
        why: of the closed vocabulary.
        detail: what the system says, for people.
    """

    def __init__(self, why: Refusal, detail: str = "") -> None:
        """Keep both."""
        super().__init__(f"{why}: {detail}" if detail else why.value)
        self.why, self.detail = why, detail


class Kept(StrEnum):
    """What became of an object that is on disk."""

    NEW = "new"
    AGAIN = "again"  # the same bytes are there already
    OTHER_BYTES = "other_bytes"  # beside another object with its UID


@dataclass(frozen=True)
class ObjectName:
    """The UIDs that an object is filed under.

    Attributes:
        instance: SOP Instance UID.
        study: Study Instance UID; empty where it could not be read.
    """

    instance: str
    study: str

    @property
    def folder(self) -> str:
        """Name of its study's folder; one whose study is not known stands alone."""
        kind = "study" if self.study else "instance"
        return f"{kind}-{_hashed(self.study or self.instance)}"

    @property
    def stem(self) -> str:
        """Name of its file, without `.dcm`."""
        return _hashed(self.instance)


def _hashed(uid: str) -> str:
    return hashlib.sha256(uid.encode()).hexdigest()[:32]


class Spool:
    """The folders of a spool that is held; see `held`. Its methods may be called by any thread."""

    def __init__(self, folder: Path, most: int | None = None, largest: int = MAX_BYTES) -> None:
        """Use `held`."""
        self.films, self.arriving = folder / "films", folder / "arriving"
        self.waiting, self.run_lock = folder / "waiting", folder / RUN_LOCK
        self.most, self.largest = most, largest
        self._lock = threading.Lock()
        self._numbers = itertools.count()
        self._under_way = 0  # bytes
        self._counted_at = 0.0
        self.stored = 0  # bytes
        self._arrivals: dict[str, tuple[int, float]] = {}  # by study: how many, and when the last

    def prepare(self) -> None:
        """Make the folders, remove what a killed receiver left half, read which studies wait.

        Raises:
            OSError: they cannot be made or read.
        """
        for folder in (self.films, self.arriving, self.waiting):
            make_folder(folder)
        for part in self.arriving.iterdir():
            part.unlink()
        now = time.monotonic()
        self._arrivals = {marker.name: (0, now) for marker in self.waiting.iterdir()}
        self.count()

    def count(self) -> None:
        """Count the bytes of the films anew: whoever looks after the disk may have deleted some."""
        stored = 0
        for folder, _, names in os.walk(self.films):
            for name in names:
                with contextlib.suppress(OSError):
                    stored += os.lstat(os.path.join(folder, name)).st_size  # noqa: PTH118
        with self._lock:
            self.stored, self._counted_at = stored, time.monotonic()

    def arrival(self) -> Arrival:
        """Begin an object.

        Raises:
            RefusedError: there is no room.
        """
        path = self.arriving / f"{next(self._numbers)}.part"
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, FILE_MODE)
        except OSError as error:
            raise RefusedError(Refusal.DISK, error.strerror or "") from error
        return Arrival(self, path, descriptor)

    def reserve(self, size: int) -> None:
        """Take room for bytes of an object under way.

        Raises:
            RefusedError: there is none within the quota.
        """
        if self.most is not None and self._is_short_of(size):
            if time.monotonic() - self._counted_at > _SECONDS_BETWEEN_COUNTS:
                self.count()
            if self._is_short_of(size):
                raise RefusedError(Refusal.QUOTA)
        with self._lock:
            self._under_way += size

    def _is_short_of(self, size: int) -> bool:
        return self.stored + self._under_way + size > (self.most or 0)

    def release(self, size: int, *, kept: bool) -> None:
        """Give the room of an object back, or count it as a film's from now on."""
        with self._lock:
            self._under_way -= size
            self.stored += size if kept else 0

    def place(self, part: Path, target: Path) -> bool:
        """Give a file its name, with its study marked as waiting; False where the name is taken.

        Raises:
            OSError: it cannot be done.
        """
        study = target.parent.name
        with self._lock:
            if not target.parent.is_dir():
                make_folder(target.parent)
            if os.path.lexists(target):
                return False
            self._mark(study)
            part.rename(target)
        sync_folder(target.parent)
        return True

    def _mark(self, study: str) -> None:
        number, _ = self._arrivals.get(study, (0, 0.0))
        if study not in self._arrivals:
            os.close(os.open(self.waiting / study, os.O_WRONLY | os.O_CREAT, FILE_MODE))
            sync_folder(self.waiting)
        self._arrivals[study] = (number + 1, time.monotonic())

    def owed(self) -> dict[str, int]:
        """The studies that wait for a run, and how many films each has got since."""
        with self._lock:
            return {study: number for study, (number, _) in self._arrivals.items()}

    def is_due(self, quiet: float) -> bool:
        """Whether a study that waits has got no film for so many seconds."""
        now = time.monotonic()
        with self._lock:
            return any(now - last >= quiet for _, last in self._arrivals.values())

    def settle(self, handed: dict[str, int]) -> None:
        """Owe nothing more to studies that a run has seen as `owed` said, and that got nothing new.

        Raises:
            OSError: a marker cannot be removed.
        """
        with self._lock:
            for study, number in handed.items():
                if self._arrivals.get(study, (-1, 0.0))[0] == number:
                    (self.waiting / study).unlink(missing_ok=True)
                    del self._arrivals[study]


class Arrival:
    """One object on its way to disk; written by one thread at a time."""

    def __init__(self, spool: Spool, path: Path, descriptor: int) -> None:
        """Use `Spool.arrival`."""
        self._spool, self._path, self._descriptor = spool, path, descriptor
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
        """Up to `size` bytes from `start` on."""
        return os.pread(self._descriptor, size, start)

    def keep(self, name: ObjectName) -> Kept:
        """Put it into its study, all of it on disk when this returns.

        Raises:
            RefusedError: that could not be done; nothing is left of it.
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
        """Move it to a name of its own; hashed only where its first name is taken already."""
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
        sync_folder(folder)  # whoever wrote it may have been killed before that
        self._path.unlink()
        return Kept.AGAIN

    def discard(self) -> None:
        """Leave nothing of it; harmless when it is done with."""
        if self._descriptor >= 0:
            self._path.unlink(missing_ok=True)
            self._close(kept=False)

    def _close(self, *, kept: bool) -> None:
        os.close(self._descriptor)
        self._descriptor = -1
        self._spool.release(self.size, kept=kept)


def _begin_to_write(descriptor: int, start: int, size: int) -> None:
    """Let the disk begin with what has come, so that less is left to sync; only a hint."""
    span = ctypes.c_int64(start), ctypes.c_int64(size)
    _libc.sync_file_range(descriptor, *span, _SYNC_FILE_RANGE_WRITE)


def _digest_of(path: Path) -> str:
    """Of a file's bytes; empty where it cannot be read."""
    digest = hashlib.sha256()
    try:
        with path.open("rb") as file:
            while chunk := file.read(_CHUNK):
                digest.update(chunk)
    except OSError:
        return ""
    return digest.hexdigest()


@contextlib.contextmanager
def held(folder: Path, most: int | None = None, largest: int = MAX_BYTES) -> Iterator[Spool]:
    """Hold a spool, made if need be; the lock ends with the process in any case.

    Args:
        folder: of the spool, on a disk that knows locks.
        most: bytes that its films may take; None for as many as the disk has.
        largest: bytes that one object may have.

    Raises:
        StateBusyError: another receiver holds it.
        StateError: it cannot be used.
    """
    with contextlib.ExitStack() as stack:
        try:
            make_folder(folder)
            descriptor = stack.enter_context(opened(folder, os.O_RDONLY | os.O_DIRECTORY))
            lock(descriptor)
            spool = Spool(folder.absolute(), most, largest)
            spool.prepare()
        except BlockingIOError:
            raise StateBusyError(
                f"another receiver holds the spool {display_name(folder)}",
                tip="give this one its own --spool",
            ) from None
        except OSError as error:
            raise StateError(
                f"the spool {display_name(folder)} cannot be used: {error.strerror}",
                tip="give --spool a folder on a local disk that this user may write",
            ) from error
        yield spool
