"""A share that no longer answers holds a thread, and never whoever waits for files."""

from __future__ import annotations

import errno
import itertools
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from cxr_edge.errors import InputError, ThreadError
from cxr_edge.intake import ahead as module
from cxr_edge.intake.ahead import ahead, is_gone, wait_for
from cxr_edge.types import FoundFile, Root
from tests.factories import raising

FILES = [FoundFile(Path(str(n)), str(n)) for n in range(1000)]


def never() -> bool:
    return False


@pytest.fixture
def answer() -> Iterator[threading.Event]:
    """Set at the end, so that no thread outlives its test."""
    event = threading.Event()
    yield event
    event.set()


def test_every_file_in_its_order() -> None:
    assert [file for file in ahead(FILES, never) if file] == FILES


def test_no_more_than_some_ahead() -> None:
    looked_at = itertools.count()
    walk = ahead((file for file, _ in zip(FILES, looked_at, strict=False)), never)
    assert next(walk) == FILES[0]
    walk.close()  # type: ignore[attr-defined]
    assert next(looked_at) <= module.FILES_AHEAD + 3  # one in each hand, and the count itself


def test_an_error_of_the_walk_is_raised() -> None:
    def walk() -> Iterator[FoundFile]:
        yield FILES[0]
        raise InputError("gone")

    with pytest.raises(InputError, match="gone"):
        list(ahead(walk(), never))


def test_a_folder_that_went_or_was_replaced_is_gone(tmp_path: Path) -> None:
    folder = tmp_path / "study"
    folder.mkdir()
    root = Root(folder, folder.stat().st_dev, folder.stat().st_ino)
    assert not is_gone(root)
    folder.rename(tmp_path / "was")
    assert is_gone(root)
    folder.symlink_to("was")
    assert not is_gone(root), "the same folder; its films are read below it"
    folder.unlink()
    folder.mkdir()
    assert is_gone(root)
    folder.rmdir()
    folder.write_bytes(b"")
    assert is_gone(root)


@pytest.mark.parametrize("problem", [errno.EACCES, errno.EIO, errno.EMFILE])
def test_a_folder_that_cannot_be_looked_at_is_not_said_to_be_gone(
    problem: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module.os, "open", raising(OSError(problem, "no")))
    assert not is_gone(Root(tmp_path, 1, 1))


def test_nor_is_one_whose_share_does_not_answer(
    tmp_path: Path, answer: threading.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_SECONDS_FOR_A_FOLDER", 0.01)
    monkeypatch.setattr(module, "_look_for", lambda root, gone: answer.wait(10) and gone.set())
    assert not is_gone(Root(tmp_path, 1, 1))


def test_a_walk_that_hangs(
    answer: threading.Event, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Its first files are handed on, others can go on, the silence is said once, a stop ends it."""
    monkeypatch.setattr(module, "_LOOK_UP_SECONDS", 0.01)
    monkeypatch.setattr(module, "SILENCE_SECONDS", 0.02)

    def walk() -> Iterator[FoundFile]:
        yield FILES[0]
        answer.wait(60)

    handed_on: list[FoundFile | None] = []
    for file in ahead(walk(), lambda: len(handed_on) > 9):
        handed_on.append(file)
    assert handed_on[0] == FILES[0] and set(handed_on[1:]) == {None}
    assert caplog.text.count("does the share answer?") == 1


def test_an_input_that_hangs(
    answer: threading.Event, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(module, "_LOOK_UP_SECONDS", 0.01)
    monkeypatch.setattr(module, "SILENCE_SECONDS", 0.02)
    monkeypatch.setattr(module, "_touch", lambda _: answer.wait(0.2))
    wait_for(["in"])
    assert caplog.text.count("does the share answer?") == 1


def test_an_input_that_is_not_there_is_for_others_to_say(tmp_path: Path) -> None:
    wait_for([str(tmp_path / "none"), "a\0b"])


def test_no_thread_to_be_had(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threading.Thread, "start", raising(RuntimeError("can't start new thread")))
    with pytest.raises(ThreadError, match="can't start new thread"):
        next(ahead(FILES, never))
