"""The state folder is this user's alone: no link, no other owner, no second run through a trick."""

from __future__ import annotations

import os
import socket
import stat
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from cxr_edge.errors import StateBusyError, StateError
from cxr_edge.ledger import file as ledger_file
from cxr_edge.ledger.file import LEDGER_NAME
from cxr_edge.ledger.runs import open_ledger, read_ledger
from cxr_edge.ledger.state import LOCK_NAME, held
from tests.factories import names_in
from tests.ledger.entries import SETTINGS, entry, everything
from tests.ledger.files import another_run, as_version, filled, killed

NAMES = (LOCK_NAME, *(f"{LEDGER_NAME}{suffix}" for suffix in ("", "-wal", "-shm", "-journal")))


def linked(target: Path, name: Path) -> None:
    name.symlink_to(target)


def linked_twice(target: Path, name: Path) -> None:
    os.link(target, name)


def dangling(target: Path, name: Path) -> None:
    name.symlink_to(target.with_name("nowhere"))


def pipe(_: Path, name: Path) -> None:
    os.mkfifo(name)


def socket_file(_: Path, name: Path) -> None:
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(os.fspath(name))


TRICKS = [linked, linked_twice, dangling, pipe, socket_file]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("trick", TRICKS, ids=lambda trick: trick.__name__)
def test_what_is_no_file_of_ours_is_refused(
    trick: Callable[[Path, Path], None], name: str, tmp_path: Path
) -> None:
    state, target = tmp_path / "state", tmp_path / "precious"
    state.mkdir(mode=0o700)
    target.write_bytes(b"precious")
    trick(target, state / name)
    with (
        pytest.raises(StateError, match=f"unable to open {name}: .* cannot be used"),
        held(state, ["x"]),
        open_ledger(state),
    ):
        pytest.fail("it was used")
    assert target.read_bytes() == b"precious"
    assert names_in(tmp_path) == ["precious", "state"]


@pytest.mark.parametrize("mode", [0o777, 0o770, 0o702, 0o1777], ids=oct)
@pytest.mark.parametrize("way", ["held", "open_ledger", "read_ledger"])
def test_a_folder_that_others_may_write_is_refused(way: str, mode: int, tmp_path: Path) -> None:
    state = tmp_path / "state"
    state.mkdir()
    filled(state)
    state.chmod(mode)
    use = {"held": held(state, ["x"]), "open_ledger": open_ledger(state)}.get(
        way, read_ledger(state)
    )
    with pytest.raises(StateError, match="other users may write") as caught, use:
        pytest.fail("it was used")
    assert "chmod go-w" in caught.value.tip
    assert LOCK_NAME not in names_in(state)


@pytest.mark.skipif(os.geteuid() != 0, reason="gives a folder to another user")
@pytest.mark.parametrize("way", ["held", "open_ledger", "read_ledger"])
def test_another_users_folder_is_refused_to_root_too(way: str, tmp_path: Path) -> None:
    """What root leaves in it would stop the service's next night."""
    state = tmp_path / "state"
    state.mkdir()
    filled(state)
    os.chown(state, 12345, 12345)
    use = {"held": held(state, ["x"]), "open_ledger": open_ledger(state)}.get(
        way, read_ledger(state)
    )
    with pytest.raises(StateError, match="another user's"), use:
        pytest.fail("it was used")
    assert names_in(state) == [LEDGER_NAME]


@pytest.mark.skipif(os.geteuid() != 0, reason="gives a file to another user")
@pytest.mark.parametrize("name", [LOCK_NAME, LEDGER_NAME])
def test_another_users_file_is_refused(name: str, tmp_path: Path) -> None:
    filled(tmp_path)
    (tmp_path / LOCK_NAME).touch(mode=0o600)
    os.chown(tmp_path / name, 12345, 12345)
    with (
        pytest.raises(StateError, match=f"unable to open {name}"),
        held(tmp_path, ["x"]),
        open_ledger(tmp_path),
    ):
        pytest.fail("it was used")


def test_the_folder_itself_may_be_behind_a_link(tmp_path: Path) -> None:
    """As systemd makes that of a dynamic user."""
    (tmp_path / "private").mkdir(mode=0o700)
    (tmp_path / "state").symlink_to("private")
    with held(tmp_path / "state", ["x"]), open_ledger(tmp_path / "state") as ledger:
        ledger.begin("first", SETTINGS)
    assert names_in(tmp_path / "private") == [LEDGER_NAME, LOCK_NAME]


@pytest.mark.parametrize("replaced", [False, True], ids=["deleted", "replaced"])
def test_a_lock_that_was_deleted_still_holds(replaced: bool, tmp_path: Path) -> None:
    state = tmp_path / "state"
    with another_run(state):
        (state / LOCK_NAME).unlink()
        if replaced:
            (state / LOCK_NAME).touch(mode=0o600)
        with pytest.raises(StateBusyError), held(state, ["x"]):
            pytest.fail("two runs hold one folder")
    with held(state, ["x"]):
        pass


def test_the_files_of_an_earlier_umask_become_private(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        (tmp_path / LEDGER_NAME).touch(mode=0o644)
        with held(tmp_path, ["x"]), open_ledger(tmp_path):
            modes = {stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()}
    finally:
        os.umask(before)
    assert modes == {0o600}


def test_a_ledger_that_is_exchanged_while_it_is_opened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The folder's own path leads elsewhere by the time that SQLite follows it."""
    state, other = tmp_path / "state", tmp_path / "other"
    for folder in (state, other):
        folder.mkdir(mode=0o700)
        filled(folder)
    connect = ledger_file.sqlite3.connect

    def swapped(path: Path | str, **options: object) -> object:
        if Path(path) == state / LEDGER_NAME:
            state.rename(tmp_path / "moved")
            state.symlink_to(other)
        return connect(path, **options)  # type: ignore[call-overload]

    monkeypatch.setattr(ledger_file.sqlite3, "connect", swapped)
    with pytest.raises(StateError, match="exchanged"), open_ledger(state):
        pytest.fail("another folder's ledger was used")


def mounted(folder: Path, *options: str) -> None:
    """A small disk, where this user may mount one."""

    command = ["mount", *options, os.fspath(folder)]
    if subprocess.run(command, capture_output=True).returncode:
        pytest.skip("no disk can be mounted here")


@pytest.mark.parametrize("version", [1, 4])
@pytest.mark.parametrize("fault", ["full", "read-only"])
def test_a_report_from_a_disk_that_cannot_be_written(
    fault: str, version: int, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    """With rows that only the log has, as a kill leaves them, and of every version."""
    disk, state = tmp_path / "disk", tmp_path / "disk" / "state"
    disk.mkdir()
    mounted(disk, "-t", "tmpfs", "-o", "size=1m,mode=700", "none")
    request.addfinalizer(lambda: os.system(f"umount {disk}"))
    state.mkdir(mode=0o700)
    with open_ledger(state) as ledger:
        run = ledger.begin("logged", SETTINGS)
        run.record([entry("a.png", 0.25)])
        run.finish({})
        kept = {path.name: path.read_bytes() for path in state.iterdir()}
    if version == 4:  # the earlier ones are made by a connection that empties the log
        for name, content in kept.items():
            (state / name).write_bytes(content)
        (state / f"{LEDGER_NAME}-shm").unlink()
    else:
        as_version(version, state / LEDGER_NAME)
    before = {path.name: path.read_bytes() for path in state.iterdir()}
    if fault == "full":
        with pytest.raises(OSError, match="space"), (disk / "full").open("wb") as file:
            while True:
                file.write(bytes(4096))
                file.flush()
    else:
        mounted(disk, "-o", "remount,ro")
    with read_ledger(state) as reader:
        (row,) = everything(reader.finished("logged")[0])
        assert row.probability == 0.25
    assert {name: (state / name).read_bytes() for name in before} == before


def test_what_a_kill_leaves_is_read(tmp_path: Path) -> None:
    filled(tmp_path)
    killed(tmp_path)
    with read_ledger(tmp_path) as ledger:
        assert ledger.finished_ids() == ["first"]
