"""The spool without a network: what is on disk after each step, and after a failing one."""

from __future__ import annotations

import contextlib
import errno
import os
from pathlib import Path

import pytest

from cxr_edge.errors import StateBusyError, StateError
from cxr_edge.hospital import spool as module
from cxr_edge.hospital import spool_arrival
from cxr_edge.hospital.spool import Kept, ObjectName, Refusal, RefusedError, Spool, held
from cxr_edge.hospital.spool_arrival import Arrival
from tests.factories import failing, names_in

ONE = ObjectName("1.2.3", "1.2")


def put(spool: Spool, data: bytes, name: ObjectName = ONE) -> Kept:
    arrival = Arrival(spool)
    arrival.write(data)
    return arrival.keep(name)


def test_an_object_is_marked_as_owed_and_settled_once(tmp_path: Path) -> None:
    with held(tmp_path / "spool") as spool:
        assert put(spool, b"a") is Kept.NEW
        owed = spool.owed()
        assert names_in(spool.waiting) == [ONE.folder]
        spool.settle(owed)
        assert (names_in(spool.waiting), spool.owed()) == ([], {})


def test_what_comes_during_a_run_is_owed_the_next(tmp_path: Path) -> None:
    with held(tmp_path / "spool") as spool:
        put(spool, b"a")
        owed = spool.owed()
        put(spool, b"b", ObjectName("1.2.4", "1.2"))
        spool.settle(owed)
        assert names_in(spool.waiting) == [ONE.folder]


def test_the_next_holder_owes_it_and_removes_halves(tmp_path: Path) -> None:
    with held(tmp_path / "spool") as spool:
        put(spool, b"a")
        Arrival(spool).write(b"half")
        assert len(names_in(spool.arriving)) == 1
    with held(tmp_path / "spool") as spool:
        assert names_in(spool.arriving) == []
        assert (list(spool.owed()), spool.stored) == ([ONE.folder], 1)
        assert spool.is_due(0.0) and not spool.is_due(60.0)


def test_the_same_object_is_the_same_file(tmp_path: Path) -> None:
    with held(tmp_path / "spool") as spool:
        kept = [put(spool, data) for data in (b"a", b"a", b"b", b"b")]
        assert kept == [Kept.NEW, Kept.AGAIN, Kept.OTHER_BYTES, Kept.AGAIN]
        assert len(names_in(spool.films / ONE.folder)) == spool.stored == 2
        assert names_in(spool.arriving) == []


def test_one_holder_at_a_time(tmp_path: Path) -> None:
    with (
        held(tmp_path / "spool"),
        pytest.raises(StateBusyError, match="another receiver"),
        held(tmp_path / "spool"),
    ):
        pytest.fail("two receivers")


@pytest.mark.parametrize(
    ("most", "largest", "why"), [(5, 100, Refusal.QUOTA), (None, 5, Refusal.SIZE)]
)
def test_there_is_an_end_to_what_is_taken(
    most: int | None, largest: int, why: Refusal, tmp_path: Path
) -> None:
    with held(tmp_path / "spool", most, largest) as spool:
        arrival = Arrival(spool)
        arrival.write(b"12345")
        with pytest.raises(RefusedError, match=why):
            arrival.write(b"6")
        arrival.discard()
        assert names_in(spool.arriving) == []
        assert put(spool, b"12345") is Kept.NEW, "its room was given back"


@pytest.mark.parametrize("call", ["write", "fsync", "rename", "mkdir"])
def test_a_disk_that_fails_refuses_and_leaves_nothing(
    call: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with held(tmp_path / "spool") as spool:
        with monkeypatch.context() as patch:
            target = Path if call in ("rename", "mkdir") else module.os
            patch.setattr(target, call, failing(errno.ENOSPC))
            arrival = Arrival(spool)
            with pytest.raises(RefusedError, match="No space left"):
                arrival.write(b"a")
                arrival.keep(ONE)
            arrival.discard()
        assert names_in(spool.arriving) == []
        assert list(spool.films.rglob("*.dcm")) == []
        assert put(spool, b"a") is Kept.NEW, "and takes it when there is room"


def test_a_film_is_synced_before_it_has_its_name_and_its_folder_after(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps: list[str] = []
    fsync, rename, sync_folder = os.fsync, Path.rename, module.sync_folder
    with held(tmp_path / "spool") as spool:
        monkeypatch.setattr(module.os, "fsync", lambda d: (steps.append("fsync"), fsync(d))[1])
        monkeypatch.setattr(Path, "rename", lambda p, t: (steps.append("rename"), rename(p, t))[1])
        for each in (module, spool_arrival):
            monkeypatch.setattr(
                each, "sync_folder", lambda f: (steps.append(f.name), sync_folder(f))[1]
            )
        put(spool, b"a")
    order = [step for step in steps if step in ("rename", "films", "waiting", ONE.folder)]
    assert steps[0] == "fsync"
    assert order == ["films", "waiting", "rename", ONE.folder]


@pytest.mark.parametrize("is_left", [False, True], ids=["new", "of a killed receiver"])
def test_a_study_whose_folder_a_power_cut_may_take_is_refused(
    is_left: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with held(tmp_path / "spool") as spool:
        if is_left:
            (spool.films / ONE.folder).mkdir()
        films, fsync = spool.films.stat(), os.fsync

        def fail(descriptor: int) -> None:
            if os.path.samestat(os.fstat(descriptor), films):
                raise OSError(errno.EIO, os.strerror(errno.EIO))
            fsync(descriptor)

        with monkeypatch.context() as patch:
            patch.setattr(module.os, "fsync", fail)
            for _ in range(2):
                with pytest.raises(RefusedError, match="Input/output"):
                    put(spool, b"a")
        assert list(spool.films.rglob("*.dcm")) == []
        assert put(spool, b"a") is Kept.NEW, "the disk is well again"


def test_films_is_synced_once_for_a_study(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[str] = []
    sync_folder = module.sync_folder
    with held(tmp_path / "spool") as spool:
        monkeypatch.setattr(
            module, "sync_folder", lambda f: (synced.append(f.name), sync_folder(f))[1]
        )
        for data in (b"a", b"b"):
            put(spool, data)
        assert synced.count("films") == 1
        spool.settle(spool.owed())
        put(spool, b"c", ObjectName("1.2.4", "1.2"))
    assert synced.count("films") == 2, "nothing is kept in mind of what was handed on"


def test_a_spool_behind_a_link_is_a_spool(tmp_path: Path) -> None:
    (tmp_path / "disk").mkdir()
    (tmp_path / "spool").symlink_to(tmp_path / "disk")
    with held(tmp_path / "spool") as spool:
        assert put(spool, b"a") is Kept.NEW
    assert len(list((tmp_path / "disk/films").rglob("*.dcm"))) == 1


def test_only_halves_of_ours_are_removed(tmp_path: Path) -> None:
    (tmp_path / "spool/arriving").mkdir(parents=True)
    (tmp_path / "spool/arriving/thesis.odt").write_bytes(b"years of work")
    with held(tmp_path / "spool") as spool:
        assert put(spool, b"a") is Kept.NEW
    assert names_in(tmp_path / "spool/arriving") == ["thesis.odt"]


def test_folders_that_were_deleted_as_empty_are_made_again(tmp_path: Path) -> None:
    with held(tmp_path / "spool") as spool:
        for folder in (spool.arriving, spool.waiting):
            folder.rmdir()
        assert put(spool, b"a") is Kept.NEW
        for path in spool.films.rglob("*.dcm"):
            path.unlink()
        (spool.films / ONE.folder).rmdir()
        assert put(spool, b"b") is Kept.NEW


UNUSABLE = {"a link to nowhere": "nowhere", "a link to a file": "file"}


@pytest.mark.parametrize("target", UNUSABLE.values(), ids=UNUSABLE)
def test_a_spool_that_cannot_be_is_refused(target: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    (tmp_path / "spool").symlink_to(tmp_path / target)
    with pytest.raises(StateError, match="cannot be used"), held(tmp_path / "spool"):
        pytest.fail("held")


@pytest.mark.parametrize(("number", "is_usable"), [(errno.EROFS, False), (errno.ENOSPC, True)])
def test_a_disk_that_takes_nothing_is_refused_and_a_full_one_waited_for(
    number: int, is_usable: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with held(tmp_path / "spool"):
        pass
    make = os.open

    def fail(path: str | Path, flags: int, *more: int, **options: int) -> int:
        if flags & os.O_CREAT:
            raise OSError(number, os.strerror(number))
        return make(path, flags, *more, **options)

    monkeypatch.setattr(os, "open", fail)
    expected = contextlib.nullcontext() if is_usable else pytest.raises(StateError)
    with expected, held(tmp_path / "spool") as spool, pytest.raises(RefusedError):
        put(spool, b"a")


def test_a_disk_that_becomes_read_only_costs_an_answer_and_no_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with held(tmp_path / "spool", most=10) as spool:
        with monkeypatch.context() as patch:
            patch.setattr(module.os, "fsync", failing(errno.EROFS))
            patch.setattr(Path, "unlink", failing(errno.EROFS))
            with pytest.raises(RefusedError, match="Read-only"):
                put(spool, b"12345")
        assert put(spool, b"1234567890") is Kept.NEW, "its room was given back"
