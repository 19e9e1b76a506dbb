"""Files, disks and ledgers that fail while objects go out: each costs itself alone."""

from __future__ import annotations

import errno
import os
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from pynetdicom import dimse_messages, evt

from cxr_edge.hospital import send, send_objects
from cxr_edge.ledger.file import LEDGER_NAME
from cxr_edge.ledger.outbox import Outgoing
from tests.hospital.peer import Peer, free_port, sent, serving
from tests.hospital.receiving import write_films


def test_a_file_that_is_deleted_while_objects_go_out_costs_itself_alone(tmp_path: Path) -> None:
    films = write_films(tmp_path / "films", 4)

    class Deleting(Peer):
        def store(self, event: evt.Event) -> int:
            (films / "2.dcm").unlink(missing_ok=True)
            return super().store(event)

    with serving(Deleting()) as peer:
        made = sent(films, peer.port, tmp_path / "state")
    assert (made.states, made.delivery.complete) == ({"lost": 1, "sent": 3}, False)
    assert "2.dcm was not sent: it is gone" in made.log


EXCHANGED = {"gone": None, "no DICOM": b"nothing", "no header": bytes(128) + b"DICM"}


@pytest.mark.parametrize("content", EXCHANGED.values(), ids=EXCHANGED)
def test_a_file_that_breaks_as_it_goes_out_costs_itself_alone(
    content: bytes | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    films = write_films(tmp_path / "films", 3)
    check_same = send.check_same

    def check(each: Outgoing) -> None:
        check_same(each)
        if each.path.name == "1.dcm":
            each.path.unlink()
            if content is not None:
                each.path.write_bytes(content)

    monkeypatch.setattr(send, "check_same", check)
    with serving(Peer()) as peer:
        made = sent(films, peer.port, tmp_path / "state")
        assert (made.states, made.delivery.complete) == ({"pending": 1, "sent": 2}, False)
        assert "1.dcm is left to the next send" in made.log
        monkeypatch.undo()
        (films / "1.dcm").unlink(missing_ok=True)
        made = sent(films, peer.port, tmp_path / "state")
    assert made.states == {"lost": 1, "sent": 2}


def test_half_an_object_is_followed_by_nothing_on_its_association(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    films = write_films(tmp_path / "films", 3)

    def read(path: Path, mode: str) -> Any:
        if Path(path).name == "1.dcm":
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return Path(path).open(mode)

    with serving(Peer()) as peer:
        with monkeypatch.context() as patch:
            patch.setattr(dimse_messages, "open", read, raising=False)
            made = sent(films, peer.port, tmp_path / "state")
        assert (made.states, made.delivery.complete) == ({"pending": 1, "sent": 2}, False)
        made = sent(films, peer.port, tmp_path / "state")
    assert (made.delivery.complete, len(peer.got)) == (True, 3)


@pytest.mark.parametrize("call", ["read_plain", "opened"])
def test_a_disk_that_fails_for_a_moment_gives_nothing_up(
    call: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    films, port = write_films(tmp_path / "films", 2), free_port()
    sent(films, port, tmp_path / "state")
    (tmp_path / "other").mkdir()
    read = getattr(send_objects, call)

    def fail(path: Path, number: int) -> Any:
        if path.name == "0.dcm":
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return read(path, number)

    with serving(Peer(port)) as peer:
        with monkeypatch.context() as patch:
            patch.setattr(send_objects, call, fail)
            made = sent(tmp_path / "other", port, tmp_path / "state")
        assert (made.states, made.delivery.complete) == ({"pending": 1, "sent": 1}, False)
        assert "0.dcm is left to the next send: Input/output error" in made.log
        made = sent(tmp_path / "other", port, tmp_path / "state")
    assert (made.states, made.delivery.complete, len(peer.got)) == ({"sent": 2}, True, 2)


def test_a_damaged_row_is_named_and_no_run_complete_until_its_folder_is_sent(
    tmp_path: Path,
) -> None:
    films, state, port = write_films(tmp_path / "films", 2), tmp_path / "state", free_port()
    sent(films, port, state)
    with closing(sqlite3.connect(state / LEDGER_NAME, isolation_level=None)) as connection:
        connection.execute("UPDATE outbox SET status = 1 WHERE rowid = 1")
    (tmp_path / "other").mkdir()
    with serving(Peer(port)) as peer:
        made = sent(tmp_path / "other", port, state)
        assert (made.states, made.delivery.complete) == ({"sent": 1}, False)
        assert "1 row is damaged in the outbox" in made.log
        assert made.delivery.line("PACS").endswith("1 sent, 1 damaged in the outbox")
        made = sent(films, port, state)
    assert (made.states, made.delivery.complete, len(peer.got)) == ({"sent": 2}, True, 2)


def test_a_send_that_finds_its_ledger_damaged_is_not_complete(tmp_path: Path) -> None:
    """What waited in it is not known."""
    films, state = write_films(tmp_path / "films", 2), tmp_path / "state"
    with serving(Peer()) as peer:
        sent(films, peer.port, state)
        ledger = state / LEDGER_NAME
        ledger.write_bytes(ledger.read_bytes()[:5000])
        made = sent(films, peer.port, state)
        assert (made.states, made.delivery.complete) == ({"sent": 2}, False)
        assert "the ledger was damaged and is set aside: " in made.log
        assert sent(films, peer.port, state).delivery.complete


def test_a_file_is_hashed_once_for_each_time_that_it_goes_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    films, read = write_films(tmp_path / "films", 4), send_objects.read_plain
    hashed: list[str] = []

    class Ending(Peer):
        def store(self, event: evt.Event) -> int:
            if event.request.MessageID % 2:  # the first time of each object
                event.assoc.abort()
            return super().store(event)

    monkeypatch.setattr(send, "_FIRST_PAUSE", 0.01)
    monkeypatch.setattr(
        send_objects,
        "read_plain",
        lambda path, most: (hashed.append(path.name), read(path, most))[1],
    )
    with serving(Ending()) as peer:
        made = sent(films, peer.port, tmp_path / "state", patience=20.0)
    assert made.states == {"sent": 4}
    assert sorted(hashed) == [f"{number}.dcm" for number in range(4) for _ in range(3)]
