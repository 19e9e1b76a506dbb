"""Plain files of bounded size are read, and nothing else is waited for."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from cxr_edge.support.files import read_bounded, read_plain


def test_a_plain_file_and_a_link_to_one(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"content")
    (tmp_path / "link").symlink_to("file")
    assert read_plain(tmp_path / "file", 7) == read_plain(tmp_path / "link", 7) == b"content"


@pytest.mark.parametrize("size", [8, 10**12])
def test_a_file_that_is_too_large(size: int, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    os.truncate(tmp_path / "file", size)
    with pytest.raises(OSError, match="larger than 0 MB") as caught:
        read_plain(tmp_path / "file", 7)
    assert caught.value.errno == errno.EFBIG


def test_what_is_no_plain_file(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", Path("/dev/zero")):
        with pytest.raises(OSError, match="no plain file"):
            read_plain(path, 7)
    with pytest.raises(IsADirectoryError):
        read_plain(tmp_path, 7)
    with pytest.raises(FileNotFoundError):
        read_plain(tmp_path / "none", 7)


def test_a_stream_without_end() -> None:
    with Path("/dev/zero").open("rb") as zeros, pytest.raises(OSError, match="larger than 1 MB"):
        read_bounded(zeros, 10**6)
