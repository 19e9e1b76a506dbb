"""Object storage that is not S3: folder by folder, patiently, and none is passed over."""

from __future__ import annotations

import errno

import pytest

from cxr_edge.errors import InputError
from cxr_edge.intake import storage
from cxr_edge.intake.discover import discover
from cxr_edge.types import FoundFile, Reason, Url
from tests.intake.buckets import FakeFolders, ThrottledError


def found(url: str) -> list[FoundFile]:
    return list(discover([Url(url)]))


@pytest.fixture
def folders(monkeypatch: pytest.MonkeyPatch) -> FakeFolders:
    made = FakeFolders({f"in/{name}": b"x" for name in ("a/1", "b/2", "b/c/3", "b/4", "d/5", "6")})
    monkeypatch.setattr(storage, "file_system", lambda scheme: made)
    monkeypatch.setattr(storage.time, "sleep", lambda seconds: None)
    return made


def test_other_storage_is_listed_folder_by_folder(folders: FakeFolders) -> None:
    """In the order that fsspec's own walk has."""
    files = [file.display for file in found("gs://films/in/")]
    assert files == ["6", "a/1", "b/2", "b/4", "b/c/3", "d/5"]
    assert folders.asked == ["films/in", *(f"films/in/{name}" for name in ("a", "b", "b/c", "d"))]
    folders.asked.clear()
    next(iter(discover([Url("gs://films/in/")])))
    assert folders.asked == ["films/in"], "as the run gets to them"


def test_a_folder_that_lists_itself_is_listed_once(
    folders: FakeFolders, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = folders.ls
    monkeypatch.setattr(
        *(folders, "ls"),
        lambda location, detail: [
            {"name": f"{location}/", "type": "directory"},
            *plain(location, detail=detail),
        ],
    )
    assert len(found("gs://films/in/")) == 6


BUSY = [ConnectionResetError(), OSError(errno.EBUSY, "busy"), ThrottledError()]


def test_a_folder_that_is_slow_to_answer_is_asked_again(folders: FakeFolders) -> None:
    folders.refusals = {"films/in/b": [*BUSY], "films/in": [*BUSY]}
    assert len(found("gs://films/in/")) == 6


@pytest.mark.parametrize("error", BUSY, ids=lambda error: type(error).__name__)
def test_a_folder_that_never_answers_is_not_passed_over(
    error: Exception, folders: FakeFolders
) -> None:
    folders.refusals = {"films/in/b": [error] * 100}
    with pytest.raises(InputError, match="cannot be listed"):
        found("gs://films/in/")
    assert folders.asked.count("films/in/b") == storage._TRIES


def test_a_folder_that_may_not_be_listed_is_a_row(folders: FakeFolders) -> None:
    folders.refusals = {"films/in/b": [PermissionError("AKIDSECRET")]}
    problems = {file.display: file.problem for file in found("gs://films/in/")}
    assert problems == {"6": None, "a/1": None, "b": Reason.UNREADABLE_FOLDER, "d/5": None}
    folders.refusals = {"films/in": [PermissionError("AKIDSECRET")]}
    with pytest.raises(InputError, match="may not be listed"):
        found("gs://films/in/")


def test_a_folder_whose_last_object_went_is_none(folders: FakeFolders) -> None:
    folders.refusals = {"films/in/b": [FileNotFoundError()]}
    assert [file.display for file in found("gs://films/in/")] == ["6", "a/1", "d/5"]
    with pytest.raises(InputError, match="does not exist"):
        found("gs://films/none/")


def test_nobody_waits_after_the_last_try(monkeypatch: pytest.MonkeyPatch) -> None:
    pauses: list[float] = []
    monkeypatch.setattr(storage.time, "sleep", pauses.append)

    def fail() -> None:
        raise ThrottledError

    with pytest.raises(storage.StorageError):
        storage.patiently(fail)
    assert len(pauses) == storage._TRIES - 1
    assert sum(pauses) < 6.5
