"""One file, read once: the bytes that are hashed are the bytes that are scored."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import mmap
import os
import socket
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from cxr_edge.errors import ImageError
from cxr_edge.intake import read as read_module
from cxr_edge.intake.read import MAX_BYTES, NoRoomError, content, hold, read_film
from cxr_edge.support import beneath
from cxr_edge.types import FoundFile, Reason, Root, Stamp
from tests.factories import failing, raising, write_tree


def reason_of(path: Path, expected: Stamp | None = None) -> Reason:
    with pytest.raises(ImageError) as caught:
        read_film(FoundFile(path, path.name, stamp=expected))
    return caught.value.reason


def read(path: Path, expected: Stamp | None = None) -> bytes:
    """The bytes that are held of a file."""
    held = read_film(FoundFile(path, path.name, stamp=expected))
    with contextlib.closing(held):
        data = content(held.descriptor)
    assert (held.size, held.sha256) == (len(data), hashlib.sha256(data).hexdigest())
    assert held.stamp == Stamp.of(path.stat())
    return data


@pytest.fixture
def film(tmp_path: Path) -> Path:
    path = tmp_path / "film.png"
    path.write_bytes(b"pixels")
    return path


def test_regular_file(film: Path) -> None:
    os.utime(film, ns=(0, 1_795_000_000_900_000_001))
    assert read(film) == b"pixels"
    assert film.stat().st_mtime_ns == 1_795_000_000_900_000_001


def test_empty_file(tmp_path: Path) -> None:
    (tmp_path / "empty").touch()
    assert read(tmp_path / "empty") == b""


def link(path: Path) -> None:
    path.with_name("target").write_bytes(b"outside")
    path.symlink_to("target")


def listening_socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as endpoint:
        endpoint.bind(str(path))


NOT_FILES: dict[str, tuple[Callable[[Path], Any], Reason]] = {
    "missing": (lambda path: None, Reason.MISSING),
    "folder": (Path.mkdir, Reason.NOT_A_FILE),
    "socket": (listening_socket, Reason.NOT_A_FILE),
    "link": (link, Reason.SYMLINK),
}


@pytest.mark.parametrize(("make", "reason"), NOT_FILES.values(), ids=NOT_FILES)
def test_what_is_no_file(make: Callable[[Path], Any], reason: Reason, tmp_path: Path) -> None:
    make(tmp_path / "thing")
    assert reason_of(tmp_path / "thing") is reason


def test_a_pipe_does_not_block(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    found: list[Reason] = []
    reader = threading.Thread(
        target=lambda: found.append(reason_of(tmp_path / "pipe")), daemon=True
    )
    reader.start()
    reader.join(5)
    assert found == [Reason.NOT_A_FILE]


def test_no_descriptor_stays_open(tmp_path: Path) -> None:
    before = os.listdir("/proc/self/fd")  # noqa: PTH208
    for _ in range(3):
        reason_of(tmp_path)
    assert os.listdir("/proc/self/fd") == before  # noqa: PTH208


ERRORS = {
    errno.EACCES: Reason.PERMISSION,
    errno.EPERM: Reason.PERMISSION,
    errno.ENOENT: Reason.MISSING,
    errno.EIO: Reason.IO_ERROR,
    errno.ESTALE: Reason.IO_ERROR,
}


@pytest.mark.parametrize(
    ("code", "reason"), ERRORS.items(), ids=[errno.errorcode[code] for code in ERRORS]
)
def test_what_the_system_says(
    code: int, reason: Reason, film: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "open", failing(code))
    assert reason_of(film) is reason


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_unreadable_file(film: Path) -> None:
    film.chmod(0)
    assert reason_of(film) is Reason.PERMISSION


def test_too_large_is_known_before_reading(tmp_path: Path) -> None:
    with (tmp_path / "sparse").open("wb") as stream:
        stream.truncate(MAX_BYTES + 1)
    assert reason_of(tmp_path / "sparse") is Reason.TOO_LARGE


def test_the_limit_itself_is_fine(film: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(read_module, "MAX_BYTES", len(b"pixels"))
    assert read(film) == b"pixels"


def rewrite(path: Path) -> None:
    path.write_bytes(b"PIXELS")
    os.utime(path, (0, 1))


MEANWHILE: dict[str, Callable[[Path], Any]] = {
    "grows": lambda path: path.write_bytes(b"pixels and more"),
    "shrinks": lambda path: path.write_bytes(b"pix"),
    "is rewritten": rewrite,
}


@pytest.mark.parametrize("change", MEANWHILE.values(), ids=MEANWHILE)
def test_file_that_changes_while_it_is_read(
    change: Callable[[Path], Any], film: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, looks = os.fstat, [0]

    def fstat(descriptor: int) -> os.stat_result:
        """The second look comes after the bytes: change the file just before it."""
        looks[0] += 1
        if looks[0] == 2:
            change(film)
        return real(descriptor)

    monkeypatch.setattr(os, "fstat", fstat)
    assert reason_of(film) is Reason.STILL_CHANGING


def test_file_that_is_what_it_was_before(film: Path) -> None:
    assert read(film, Stamp.of(film.stat())) == b"pixels"


def copied_over(path: Path) -> None:
    """Another file of the same size and time takes the name."""
    before = path.stat()
    other = path.with_name("other")
    other.write_bytes(b"PIXELS")
    os.utime(other, ns=(before.st_atime_ns, before.st_mtime_ns))
    other.replace(path)


def rewritten_in_secret(path: Path) -> None:
    """Same size, and the time of the last change set back."""
    before = path.stat()
    path.write_bytes(b"PIXELS")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


SINCE = {**MEANWHILE, "is replaced": copied_over, "hides it": rewritten_in_secret}


@pytest.mark.parametrize("change", SINCE.values(), ids=SINCE)
def test_file_that_changed_since_it_was_watched(change: Callable[[Path], Any], film: Path) -> None:
    """Nothing happens while it is read: only what was seen before tells."""
    os.utime(film, (0, 1_795_000_000))
    seen = Stamp.of(film.stat())
    time.sleep(0.02)  # more than a tick of the clock that stamps files
    change(film)
    assert reason_of(film, seen) is Reason.STILL_CHANGING


def test_disk_that_gives_less_than_it_promised(film: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    true = film.stat()
    names = ("st_mode", "st_mtime_ns", "st_ctime_ns", "st_ino")
    promised = SimpleNamespace(**{name: getattr(true, name) for name in names})
    promised.st_size = true.st_size + 1
    monkeypatch.setattr(read_module.os, "fstat", lambda _: promised)
    assert reason_of(film) is Reason.STILL_CHANGING


def test_file_that_grows_before_it_is_read(film: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(read_module, "_check", lambda facts: film.write_bytes(b"pixels and more"))
    assert reason_of(film) is Reason.STILL_CHANGING


def test_bytes_that_are_held_cannot_be_changed() -> None:
    held = hold([b"pix", b"els"])
    assert (held.size, held.stamp) == (6, None)
    for change in (
        lambda: os.pwrite(held.descriptor, b"P", 0),
        lambda: os.truncate(held.descriptor, 3),
        lambda: os.truncate(held.descriptor, 9),
        lambda: mmap.mmap(held.descriptor, 6, mmap.MAP_SHARED),
        lambda: fcntl.fcntl(held.descriptor, fcntl.F_ADD_SEALS, fcntl.F_SEAL_WRITE),
    ):
        with pytest.raises(PermissionError):
            change()
    assert content(held.descriptor) == content(held.descriptor) == b"pixels"
    held.close()


def test_bytes_that_the_system_has_no_memory_for(
    film: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = os.listdir("/proc/self/fd")  # noqa: PTH208
    monkeypatch.setattr(fcntl, "fcntl", raising(OSError(errno.ENOSPC, "No space left")))
    assert reason_of(film) is Reason.IO_ERROR
    assert os.listdir("/proc/self/fd") == before  # noqa: PTH208


def test_no_room() -> None:
    """The file stays what it is, and its size is told."""
    film = FoundFile(Path(__file__), "test")
    with pytest.raises(NoRoomError) as caught:
        read_film(film, most=10)
    assert caught.value.size == Path(__file__).stat().st_size


def below(folder: Path, name: str) -> FoundFile:
    facts = folder.stat()
    return FoundFile(folder / name, name, root=Root(folder, facts.st_dev, facts.st_ino))


def folder_becomes_a_link(root: Path) -> None:
    (root / "sub").rename(root / "was")
    (root / "sub").symlink_to(root.parent / "outside")


def root_becomes_a_link(root: Path) -> None:
    root.rename(root.with_name("was"))
    root.symlink_to(root.with_name("outside"))
    (root / "sub").mkdir()
    (root / "film").rename(root / "sub/film")


def film_becomes_a_link(root: Path) -> None:
    (root / "sub/film").unlink()
    (root / "sub/film").symlink_to(root.parent / "outside/film")


SWAPPED: dict[str, tuple[Callable[[Path], Any], Reason]] = {
    "a folder on the way": (folder_becomes_a_link, Reason.SYMLINK),
    "the INPUT itself": (root_becomes_a_link, Reason.MISSING),
    "the film": (film_becomes_a_link, Reason.SYMLINK),
}


@pytest.mark.parametrize("kernel", ["of today", "before 5.6"])
@pytest.mark.parametrize(("swap", "reason"), SWAPPED.values(), ids=SWAPPED)
def test_no_link_leads_out_of_the_folder(
    swap: Callable[[Path], Any],
    reason: Reason,
    kernel: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if kernel == "before 5.6":
        monkeypatch.setattr(beneath, "_OPENAT2", 100_000)
    write_tree(tmp_path, {"in/sub/film": b"inside", "outside/film": b"outside"})
    film = below(tmp_path / "in", "sub/film")
    with contextlib.closing(read_film(film)) as held:
        assert content(held.descriptor) == b"inside"
    swap(tmp_path / "in")
    with pytest.raises(ImageError) as caught:
        read_film(film)
    assert caught.value.reason is reason
