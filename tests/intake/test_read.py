"""One file, read once: the bytes that are hashed are the bytes that are scored."""

from __future__ import annotations

import errno
import hashlib
import os
import socket
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NoReturn

import pytest

from cxr_edge.errors import ImageError
from cxr_edge.intake import read
from cxr_edge.intake.read import MAX_BYTES, read_file
from cxr_edge.types import Reason, Stamp


def reason_of(path: Path, expected: Stamp | None = None) -> Reason:
    with pytest.raises(ImageError) as caught:
        read_file(path, expected)
    return caught.value.reason


@pytest.fixture
def film(tmp_path: Path) -> Path:
    path = tmp_path / "film.png"
    path.write_bytes(b"pixels")
    return path


def test_regular_file(film: Path) -> None:
    os.utime(film, ns=(0, 1_795_000_000_900_000_001))
    content = read_file(film)
    assert content.data == b"pixels"
    assert content.sha256 == hashlib.sha256(b"pixels").hexdigest()
    assert content.stamp == Stamp.of(film.stat())
    assert content.stamp.mtime_ns == 1_795_000_000_900_000_001


def test_empty_file(tmp_path: Path) -> None:
    (tmp_path / "empty").touch()
    assert read_file(tmp_path / "empty").data == b""


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
    "link to itself": (lambda path: path.symlink_to(path.name), Reason.SYMLINK),
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
    def fail(*_: Any) -> NoReturn:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(os, "open", fail)
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
    monkeypatch.setattr(read, "MAX_BYTES", len(b"pixels"))
    assert read_file(film).data == b"pixels"


def rewrite(path: Path) -> None:
    path.write_bytes(b"PIXELS")
    os.utime(path, (0, 1))


MEANWHILE: dict[str, Callable[[Path], Any]] = {
    "grows": lambda path: path.write_bytes(b"pixels and more"),
    "shrinks": lambda path: path.write_bytes(b"pix"),
    "is emptied": lambda path: path.write_bytes(b""),
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
    assert read_file(film, Stamp.of(film.stat())).data == b"pixels"


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
    monkeypatch.setattr(read.os, "fstat", lambda _: promised)
    assert reason_of(film) is Reason.STILL_CHANGING


def test_file_that_grows_before_it_is_read(film: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(read, "_check", lambda facts: film.write_bytes(b"pixels and more"))
    assert reason_of(film) is Reason.STILL_CHANGING
