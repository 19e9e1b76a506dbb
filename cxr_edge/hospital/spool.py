"""The spool: films as they arrived, on disk before their sender gets Success.

    DIR/films/<study>/<instance>.dcm     what is scored: whole files alone
    DIR/arriving/<number>.part           what is on its way; removed when a receiver starts
    DIR/waiting/<study>                  empty: a run over this study is owed

Names are hashes of UIDs, never text of a sender. A study is marked as waiting before its film gets
its name, so that no film is forgotten if the receiver is killed at any moment.
"""

from __future__ import annotations

import contextlib
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
from cxr_edge.support.atomic import FILE_MODE, FOLDER_MODE, make_folder, sync_folder
from cxr_edge.support.locks import lock, opened
from cxr_edge.support.text import display_name

RUN_LOCK = "run.lock"
_SECONDS_BETWEEN_COUNTS = 30.0
_FULL = (errno.ENOSPC, errno.EDQUOT)


class Refusal(StrEnum):
    """Reason why an object is not kept."""

    QUOTA = "quota"  # --max-spool is reached
    DISK = "disk"  # full, or not writable
    SIZE = "size"  # larger than any film that is scored
    INVALID = "invalid"  # no valid UID, or no content


class RefusedError(Exception):
    """An object is not kept.

    Attributes:
        why: the reason.
        detail: the system's error text, for people.
    """

    def __init__(self, why: Refusal, detail: str = "") -> None:
        """Keep both."""
        super().__init__(f"{why}: {detail}" if detail else why.value)
        self.why, self.detail = why, detail


class Kept(StrEnum):
    """Relation of a stored object to those stored before."""

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
        """Name of its study's folder; an object without a study gets a folder of its own."""
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
        self._safe: set[str] = set()  # studies whose folder survives a power cut

    def prepare(self) -> None:
        """Make the folders, remove partial files of a killed receiver, read which studies wait.

        Raises:
            OSError: the folders cannot be made or read.
        """
        for folder in (self.films, self.arriving, self.waiting):
            make_folder(folder)
        for part in self.arriving.glob("*.part"):
            part.unlink()
        if self.films.stat().st_dev != self.arriving.stat().st_dev:
            raise OSError(errno.EXDEV, "films/ and arriving/ lie on two disks")
        self._try()
        now = time.monotonic()
        self._arrivals = {marker.name: (0, now) for marker in self.waiting.iterdir()}
        self.count()

    def _try(self) -> None:
        """Check that a file can be written; a full disk passes, as it may have room later.

        Raises:
            OSError: it cannot be written.
        """
        try:
            path, descriptor = self.part()
        except OSError as error:
            if error.errno not in _FULL:
                raise
        else:
            os.close(descriptor)
            path.unlink()

    def count(self) -> None:
        """Count the bytes of the films anew: an administrator may have deleted some."""
        stored = 0
        for folder, _, names in os.walk(self.films):
            for name in names:
                with contextlib.suppress(OSError):
                    stored += os.lstat(os.path.join(folder, name)).st_size  # noqa: PTH118
        with self._lock:
            self.stored, self._counted_at = stored, time.monotonic()

    def part(self) -> tuple[Path, int]:
        """A new part file and its descriptor.

        Raises:
            OSError: it cannot be made.
        """
        _make_again(self.arriving)
        path = self.arriving / f"{next(self._numbers)}.part"
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
        return path, os.open(path, flags, FILE_MODE)

    def reserve(self, size: int) -> None:
        """Reserve bytes for an object under way.

        Raises:
            RefusedError: the quota has no room for them.
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
        """Free the bytes of an object, or count them as a stored film's from now on."""
        with self._lock:
            self._under_way -= size
            self.stored += size if kept else 0

    def place(self, part: Path, target: Path) -> bool:
        """Mark its study as waiting, then give a file its name; False if the name is taken.

        Raises:
            OSError: it cannot be renamed or marked.
        """
        study = target.parent.name
        with self._lock:
            self._make_study(target.parent)
            if os.path.lexists(target):
                return False
            self._mark(study)
            part.rename(target)
        sync_folder(target.parent)
        return True

    def _make_study(self, folder: Path) -> None:
        """Make and sync the folder of a study; a killed receiver may have left it unsynced."""
        if not folder.is_dir():
            make_folder(self.films)
            folder.mkdir(FOLDER_MODE)
            self._safe.discard(folder.name)
        if folder.name not in self._safe:
            sync_folder(self.films)
            self._safe.add(folder.name)

    def _mark(self, study: str) -> None:
        number, _ = self._arrivals.get(study, (0, 0.0))
        if study not in self._arrivals:
            _make_again(self.waiting)
            os.close(os.open(self.waiting / study, os.O_WRONLY | os.O_CREAT, FILE_MODE))
            sync_folder(self.waiting)
        self._arrivals[study] = (number + 1, time.monotonic())

    def owed(self) -> dict[str, int]:
        """The studies that wait for a run, with the number of films that arrived for each."""
        with self._lock:
            return {study: number for study, (number, _) in self._arrivals.items()}

    def is_due(self, quiet: float) -> bool:
        """Whether a waiting study has got no film for `quiet` seconds."""
        now = time.monotonic()
        with self._lock:
            return any(now - last >= quiet for _, last in self._arrivals.values())

    def settle(self, handed: dict[str, int]) -> None:
        """Unmark studies that a run has handled, as `owed` gave them, unless they got a new film.

        Raises:
            OSError: a marker cannot be removed.
        """
        with self._lock:
            for study, number in handed.items():
                if self._arrivals.get(study, (-1, 0.0))[0] == number:
                    (self.waiting / study).unlink(missing_ok=True)
                    del self._arrivals[study]
                    self._safe.discard(study)


def _make_again(folder: Path) -> None:
    """Make a folder again if a clean-up has removed it because it was empty."""
    if not folder.is_dir():
        folder.mkdir(FOLDER_MODE)


@contextlib.contextmanager
def held(folder: Path, most: int | None = None, largest: int = MAX_BYTES) -> Iterator[Spool]:
    """Hold a spool, made if need be; the lock ends with the process in any case.

    Args:
        folder: of the spool, on a file system with locks.
        most: bytes that its films may take; None for no limit but the disk.
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
