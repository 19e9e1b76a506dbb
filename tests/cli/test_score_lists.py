"""`cxr-edge score --files-from`: lists of files, of any kind and from anywhere."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from cxr_edge.intake.file_list import read_file_list
from tests.cli.conftest import Run
from tests.cli.reports import csv_rows
from tests.factories import (
    names_in,
)
from tests.images.films import png

LISTS = {
    "lines": b"in/bright.png\nin/sub/film.jpg\n",
    "no last newline": b"in/bright.png\nin/sub/film.jpg",
    "empty lines": b"\n\nin/bright.png\n\nin/sub/film.jpg\n\n",
    "made on Windows": b"in/bright.png\r\nin/sub/film.jpg\r\n",
    "with a byte order mark": b"\xef\xbb\xbfin/bright.png\nin/sub/film.jpg\n",
    "made by find -print0": b"in/bright.png\0in/sub/film.jpg\0",
    "twice": b"in/bright.png\nin/sub/film.jpg\nin/bright.png\n",
}


@pytest.mark.parametrize("text", LISTS.values(), ids=LISTS)
def test_a_list_is_read(text: bytes, tmp_path: Path) -> None:
    (tmp_path / "list").write_bytes(text)
    names = list(read_file_list(str(tmp_path / "list")))
    assert names[:2] == ["in/bright.png", "in/sub/film.jpg"]


@pytest.mark.parametrize("source", ["-", "list"])
def test_files_from(
    source: str, run: Run, films: Path, tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file that is named twice has one row."""
    monkeypatch.chdir(tmp_path)
    text = LISTS["twice"]
    Path("list").write_bytes(text)
    made = run("score", "--files-from", source, "--model", tiny, "--out", "out", "-q", stdin=text)
    assert made.code == 0
    assert [row["path"] for row in csv_rows(Path("out"))] == ["in/bright.png", "in/sub/film.jpg"]


def test_files_from_takes_any_name(
    run: Run, tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    names = [b"Gr\xc3\xb6\xc3\x9fe.png", b"latin\xff.png", b" space.png", b"nowhere.png"]
    for name in names[:3]:
        Path(os.fsdecode(name)).write_bytes(png())
    text = b"\n".join(names)
    made = run("score", "--files-from", "-", "--model", tiny, "--out", "out", "-q", stdin=text)
    assert made.code == 3
    assert {row["path"]: row["reason"] for row in csv_rows(Path("out"))} == {
        "Größe.png": "",
        r"latin\udcff.png": "",
        " space.png": "",
        "nowhere.png": "missing",
    }


def test_a_list_ended_by_null_bytes_takes_line_ends(
    run: Run, tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("a\nb.png").write_bytes(png())
    asked = ("score", "--files-from", "-", "--model", tiny, "--out", "out", "-q")
    made = run(*asked, stdin=b"a\nb.png\0")
    assert made.code == 0
    assert [row["path"] for row in csv_rows(Path("out"))] == [r"a\nb.png"]


def test_lists_of_a_folder_share_its_ledger(
    run: Run,
    films: Path,
    tiny: Path,
    own_state: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Tonight's list has another name than last night's, and the same films."""
    monkeypatch.chdir(tmp_path)
    for night in ("2026-11-29", "2026-11-30"):
        Path(night).write_bytes(b"in/bright.png\n")
        run("score", "--files-from", night, "--model", tiny, "--out", f"{night}.out", "-q")
    assert len(names_in(own_state)) == 1


HALF_LISTS = {
    "a tail of zeros": (b"in/bright.png\n" + bytes(64), "has null bytes in a row"),
    "an empty name": (b"in/bright.png\0\0in/sub/film.jpg\0", "has null bytes in a row"),
    "from PowerShell": ("in/bright.png\r\n".encode("utf-16"), "is UTF-16"),
}


@pytest.mark.parametrize(("text", "message"), HALF_LISTS.values(), ids=HALF_LISTS)
def test_a_list_that_cannot_be_meant(
    text: bytes, message: str, run: Run, films: Path, tiny: Path, tmp_path: Path
) -> None:
    made = run("score", "--files-from", "-", "--model", tiny, "--out", tmp_path / "out", stdin=text)
    assert made.code == 2
    assert made.err.startswith(f"error: --files-from - {message}\n  tip: ")
    assert not (tmp_path / "out").exists()
