"""The state folder: whose it is, where it lies, and who holds it."""

from __future__ import annotations

import errno
import fcntl
import hashlib
import os
import platform
import re
import stat
from pathlib import Path
from typing import Any

import pytest

from cxr_edge.errors import StateBusyError, StateError
from cxr_edge.ledger import state
from cxr_edge.ledger.state import LOCK_NAME, default_state, held, states_folder
from tests.factories import failing
from tests.ledger.files import another_run


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "state"


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_everything_that_is_made_is_private(tmp_path: Path) -> None:
    folder = tmp_path / "states" / "cxr-edge" / "one"
    before = os.umask(0)
    try:
        with held(folder, ["cxr-edge"]):
            made = [folder.parent.parent, folder.parent, folder, folder / LOCK_NAME]
            assert [mode(path) for path in made] == [0o700, 0o700, 0o700, 0o600]
    finally:
        os.umask(before)


def test_a_lock_that_is_released_names_nobody(folder: Path) -> None:
    with held(folder, ["cxr-edge"]):
        assert (folder / LOCK_NAME).read_bytes()
    assert (folder / LOCK_NAME).read_bytes() == b""


def test_a_folder_that_is_there_is_used(folder: Path) -> None:
    folder.mkdir()
    (folder / "ledger").write_bytes(b"kept")
    for _ in range(2):
        with held(folder, ["cxr-edge"]):
            assert (folder / "ledger").read_bytes() == b"kept"


def test_the_loser_is_told_who_holds_it(folder: Path) -> None:
    with another_run(folder) as other:
        holder = f"process {other.pid} on {re.escape(platform.node())} since 20..-"
        with pytest.raises(StateBusyError, match=holder) as caught, held(folder, ["x"]):
            pytest.fail("two runs hold one folder")
    assert caught.value.exit_code == 75
    assert "--state" in caught.value.tip


def test_the_lock_ends_with_its_holder_even_by_a_kill(folder: Path) -> None:
    """And does not live on in the children that the holder leaves behind."""
    with another_run(folder) as other:
        other.kill()
        other.wait()
        with held(folder, ["x"]):
            assert f'"pid": {os.getpid()}' in (folder / LOCK_NAME).read_text()


def test_the_lock_ends_with_an_error(folder: Path) -> None:
    with pytest.raises(ZeroDivisionError), held(folder, ["x"]):
        raise ZeroDivisionError
    with held(folder, ["x"]):
        pass


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """The loser does not wait for the holder to say who it is."""
    monkeypatch.setattr(state, "_SECONDS_BETWEEN_LOOKS", 0.0)


RUBBISH = {
    "nothing": b"",
    "no text": bytes(range(256)),
    "cut short": b'{"pid": 7, "host": "h", "sin',
    "too deep": b"[" * 65536,
    "not all of it": b'{"pid": "' + b"9" * 70000,
}


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("content", RUBBISH.values(), ids=RUBBISH)
def test_rubbish_in_the_lock_file(content: bytes, folder: Path) -> None:
    folder.mkdir()
    (folder / LOCK_NAME).write_bytes(content)
    with (folder / LOCK_NAME).open() as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        with pytest.raises(StateBusyError, match="does not say which"), held(folder, ["x"]):
            pytest.fail("two runs hold one folder")
    assert (folder / LOCK_NAME).read_bytes() == content
    with held(folder, ["x"]):
        assert (folder / LOCK_NAME).read_bytes().endswith(b'"command": "x"}')


def test_a_full_disk_does_not_keep_a_run_from_its_lock(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "pwrite", failing(errno.ENOSPC))
    with (
        held(folder, ["x"]),
        pytest.raises(StateBusyError, match="does not say which"),
        held(folder, ["y"]),
    ):
        pytest.fail("two runs hold one folder")


def test_a_lock_that_cannot_be_had(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fcntl, "flock", failing(errno.ENOLCK))
    with pytest.raises(StateError, match=os.strerror(errno.ENOLCK)) as caught, held(folder, ["x"]):
        pytest.fail("held without a lock")
    assert not isinstance(caught.value, StateBusyError)


def test_a_lock_file_that_cannot_be_read(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with held(folder, ["x"]):
        monkeypatch.setattr(os, "pread", failing(errno.EIO))
        with pytest.raises(StateBusyError), held(folder, ["y"]):
            pytest.fail("two runs hold one folder")


BLOCKED = {
    "a file in the way": lambda path: path.write_bytes(b""),
    "a link to nowhere": lambda path: path.symlink_to("nowhere"),
    "a folder for a lock": lambda path: (path / LOCK_NAME).mkdir(parents=True),
}


@pytest.mark.parametrize("block", BLOCKED.values(), ids=BLOCKED)
def test_a_folder_that_cannot_be_used(block: Any, folder: Path) -> None:
    block(folder)
    with pytest.raises(StateError, match="cannot be used") as caught, held(folder, ["x"]):
        pytest.fail("no lock was held")
    assert "--state" in caught.value.tip


@pytest.mark.parametrize("given", ["", "not/absolute", "."])
def test_without_a_state_home_there_is_the_users(
    given: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_STATE_HOME", given)
    assert states_folder() == tmp_path / ".local/state/cxr-edge"
    monkeypatch.delenv("XDG_STATE_HOME")
    assert states_folder() == tmp_path / ".local/state/cxr-edge"


def test_a_user_without_a_home(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in a container that runs under a number."""

    def homeless(_: Path) -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.delenv("XDG_STATE_HOME")
    monkeypatch.setattr(Path, "expanduser", homeless)
    with pytest.raises(StateError, match="no home") as caught:
        default_state(["in"])
    assert "--state" in caught.value.tip


def test_one_folder_for_each_set_of_inputs(
    own_state: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    here = default_state(["a", "b"])
    assert (here.parent, len(here.name)) == (own_state, 16)
    same = [["b", "a"], ["a", "b", "a/"], [str(tmp_path / "a"), "./b"], ["a/../a", "b"]]
    assert {default_state(inputs) for inputs in same} == {here}
    others = [["a"], ["b"], ["a", "b", "c"], ["a/b"], ["ab"], [], ["a\udcff", "b"], ["A", "b"]]
    assert len({here, *map(default_state, others)}) == len(others) + 1
    assert default_state(["/a", "/b"]) != default_state(["/a/b"])
    (tmp_path / "a").symlink_to(tmp_path)
    assert default_state(["a", "b"]) == here


def test_the_folder_of_yesterday_is_found_again(own_state: Path) -> None:
    names = [f"/{letter}" for letter in "fadbec"]
    digest = hashlib.sha256(b"/a\0/b\0/c\0/d\0/e\0/f").hexdigest()
    assert default_state(names) == own_state / digest[:16]
