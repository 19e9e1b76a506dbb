"""A file is there whole, or it is the old one."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path
from typing import NoReturn

import pytest

from cxr_edge.support.atomic import make_folder, sync_folder, write_atomically, write_new
from tests.factories import failing, names_in


def test_new_file_in_parts(tmp_path: Path) -> None:
    previous = os.umask(0)
    try:
        write_new(tmp_path / "a", iter([b"ne", b"", b"w"]))
    finally:
        os.umask(previous)
    assert (tmp_path / "a").read_bytes() == b"new"
    assert stat.S_IMODE((tmp_path / "a").stat().st_mode) == 0o600


def test_a_new_file_never_takes_the_place_of_another(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"old")
    with pytest.raises(FileExistsError):
        write_new(tmp_path / "a", [b"new"])
    assert (tmp_path / "a").read_bytes() == b"old"


@pytest.mark.parametrize("call", ["open", "fdopen", "fsync"])
def test_a_new_file_that_is_not_safe_is_said(
    call: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, call, failing(errno.ENOSPC))
    with pytest.raises(OSError, match="No space"):
        write_new(tmp_path / "a", [b"new"])


def test_new_file(tmp_path: Path) -> None:
    write_atomically(tmp_path / "a", b"new")
    assert (tmp_path / "a").read_bytes() == b"new"
    assert stat.S_IMODE((tmp_path / "a").stat().st_mode) == 0o600


def test_replaced_file(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"old")
    write_atomically(tmp_path / "a", b"new")
    assert (tmp_path / "a").read_bytes() == b"new"
    assert names_in(tmp_path) == ["a"]


@pytest.mark.parametrize("call", ["fdopen", "fsync", "replace"])
def test_a_fault_leaves_the_old_file_and_nothing_else(
    call: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a").write_bytes(b"old")
    with monkeypatch.context() as patched:
        patched.setattr(os, call, failing(errno.ENOSPC))
        with pytest.raises(OSError, match="No space"):
            write_atomically(tmp_path / "a", b"new")
    assert (tmp_path / "a").read_bytes() == b"old"
    assert names_in(tmp_path) == ["a"]


def test_a_full_disk_leaves_the_old_file_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a").write_bytes(b"old")
    full = os.open("/dev/full", os.O_WRONLY)
    real = os.fdopen
    monkeypatch.setattr(os, "fdopen", lambda fd, mode: (os.dup2(full, fd), real(fd, mode))[1])
    with pytest.raises(OSError, match="No space"):
        write_atomically(tmp_path / "a", b"new")
    os.close(full)
    assert (tmp_path / "a").read_bytes() == b"old"
    assert names_in(tmp_path) == ["a"]


def test_an_interruption_leaves_nothing_either(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(_: int) -> NoReturn:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", interrupt)
    with pytest.raises(KeyboardInterrupt):
        write_atomically(tmp_path / "a", b"new")
    assert names_in(tmp_path) == []


@pytest.mark.parametrize("code", [errno.EINVAL, errno.ENOTSUP], ids=errno.errorcode.get)
def test_a_share_that_cannot_sync_folders_is_no_fault(
    code: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "fsync", failing(code))
    sync_folder(tmp_path)


def test_a_disk_that_fails_to_sync_is_a_fault(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "fsync", failing(errno.EIO))
    with pytest.raises(OSError, match=r"Input/output"):
        sync_folder(tmp_path)


@pytest.mark.parametrize(
    "code", [errno.EINVAL, errno.ENOTSUP, errno.EACCES], ids=errno.errorcode.get
)
def test_a_folder_is_made_in_one_that_cannot_be_synced(
    code: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "fsync", failing(code))
    make_folder(tmp_path / "a/b")
    assert (tmp_path / "a/b").is_dir()


def test_a_folder_that_a_failing_disk_may_forget_is_a_fault(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "fsync", failing(errno.EIO))
    with pytest.raises(OSError, match=r"Input/output"):
        make_folder(tmp_path / "a")
