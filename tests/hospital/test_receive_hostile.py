"""Senders that mean harm or are broken: the receiver stays, within its bounds, and says so."""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from pynetdicom import AE

from tests.hospital.hostile import (
    ABORT,
    ASSOCIATE_AC,
    command_of,
    fragment,
    received,
    request,
    running,
    store,
    until,
)
from tests.hospital.receiving import PEER, TITLE, content, dataset, uid
from tests.images import dicoms


@pytest.mark.parametrize(
    "data",
    [
        b"GET / HTTP/1.1\r\n\r\n",
        b"\x01\x00\xff\xff\xff\xff" + b"\0" * 100,
        b"\x04\x00\x00\x00\x00\x04\0\0\0\0",
        b"\xff" * 1000,
        b"\x01",
        request()[:40],
        request()[:-3] + b"\xff\xff\xff",
    ],
    ids=["http", "4 GB", "data first", "noise", "a byte", "half a request", "a wrong item"],
)
def test_what_is_no_association_harms_nobody(data: bytes, tmp_path: Path) -> None:
    with running(tmp_path) as receiver:
        with receiver.connection() as connection:
            connection.sendall(data)
            connection.shutdown(socket.SHUT_WR)
            assert received(connection) in (0, ABORT, ASSOCIATE_AC)
        assert receiver.is_well()
    assert len(receiver.films()) == 1


@pytest.mark.parametrize(
    "data",
    [
        struct.pack(">BxI", 4, 2**32 - 1),
        struct.pack(">BxI", 4, 131073) + b"\0" * 131073,
        struct.pack(">BxIIBB", 4, 10, 100, 1, 0) + b"\0" * 4,
        struct.pack(">BxII", 4, 4, 0),
        struct.pack(">BxIIBB", 4, 6, 2, 9, 3),
        struct.pack(">BxIIBB", 4, 16, 12, 1, 3) + b"\xff" * 10,
        struct.pack(">BxIIBB", 4, 16, 12, 1, 2) + b"\xff" * 10,
    ],
    ids=["4 GB", "too long", "a wrong length", "empty", "no context", "no command", "data first"],
)
def test_a_pdu_that_lies_ends_its_association_alone(data: bytes, tmp_path: Path) -> None:
    with running(tmp_path) as receiver:
        with receiver.connection() as connection:
            connection.sendall(request())
            assert received(connection) == ASSOCIATE_AC
            with contextlib.suppress(ConnectionError):
                connection.sendall(data)
            assert received(connection) in (0, ABORT)
        assert receiver.is_well()
        until(lambda: list(receiver.spool.arriving.iterdir()) == [])


def test_a_command_without_end_is_cut(tmp_path: Path) -> None:
    with running(tmp_path) as receiver:
        with receiver.connection() as connection:
            connection.sendall(request())
            assert received(connection) == ASSOCIATE_AC
            fragment = struct.pack(">BxIIBB", 4, 10_006, 10_002, 1, 1) + b"\0" * 10_000
            with contextlib.suppress(ConnectionError):
                for _ in range(20):
                    connection.sendall(fragment)
            assert received(connection) in (0, ABORT)
        assert receiver.told.counts["protocol"] == 1
        assert receiver.is_well()


def test_a_flood_of_connections_leaves_room_for_the_next(tmp_path: Path) -> None:
    with running(tmp_path) as receiver:
        with contextlib.ExitStack() as stack:
            for _ in range(40):
                stack.enter_context(receiver.connection())
            until(lambda: receiver.told.counts["connections"] >= 20)
            assert len(receiver.server.active_associations) <= 8
        until(receiver.is_well)


def test_a_system_without_threads_for_a_moment_leaves_room_for_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with running(tmp_path) as receiver:
        with monkeypatch.context() as patch:
            patch.setattr(threading.Thread, "start", fail)
            for _ in range(2 * 4):  # as many as there may be connections
                with receiver.connection() as connection:
                    assert received(connection) == 0
        assert receiver.is_well()


def test_too_many_associations_are_told_to_come_again(tmp_path: Path) -> None:
    with running(tmp_path, associations=1) as receiver:
        entity = AE(PEER)
        entity.add_requested_context(dicoms.DX, dicoms.EXPLICIT)
        first = entity.associate("127.0.0.1", receiver.port, ae_title=TITLE)
        assert first.is_established
        second = entity.associate("127.0.0.1", receiver.port, ae_title=TITLE)
        answer: Any = second.acceptor.primitive
        assert (second.is_rejected, answer.result, answer.diagnostic) == (True, 2, 2)
        first.release()
        until(receiver.is_well)


def test_a_giant_is_refused_and_the_next_film_taken(tmp_path: Path) -> None:
    with running(tmp_path) as receiver:
        giant = dataset(1)
        giant.EncapsulatedDocument = b"\1\2" * 500_000
        assert store(receiver.port, giant) == 0xC000
        assert list(receiver.spool.arriving.iterdir()) == []
        assert receiver.is_well()
    assert receiver.told.counts["size"] == 1


def test_a_sender_that_drips_is_cut(tmp_path: Path) -> None:
    with running(tmp_path, seconds=60.0) as receiver:
        with receiver.connection() as connection:
            connection.sendall(request())
            assert received(connection) == ASSOCIATE_AC
            connection.sendall(struct.pack(">BxIIBB", 4, 8, 4, 1, 1) + b"\0\0")
            until(lambda: any(a.dimse.began for a in receiver.server.active_associations))
            time.sleep(2.1)
            receiver.server.cut_slow()
            assert received(connection) == 0
        assert receiver.told.counts["slow"] == 1
        assert receiver.is_well()


def test_a_sender_that_says_nothing_is_let_go(tmp_path: Path) -> None:
    with running(tmp_path, seconds=1.0) as receiver, receiver.connection() as connection:
        start = time.monotonic()
        assert received(connection) == 0
        assert time.monotonic() - start < 15


@pytest.mark.parametrize("bad", ["../../etc/passwd", "1.2/../3", "a\nb", "1.2.3;rm"])
def test_a_uid_that_is_none_is_refused(bad: str, tmp_path: Path) -> None:
    with running(tmp_path) as receiver:
        made = dataset(1)
        made.SOPInstanceUID = bad
        assert store(receiver.port, made) == 0x0117
        assert receiver.is_well()
    names = {path.name for path in tmp_path.rglob("*")}
    assert not any(".." in name or "passwd" in name or "\n" in name for name in names)


def test_a_study_that_is_none_is_stored_alone(tmp_path: Path) -> None:
    with running(tmp_path) as receiver:
        made = dataset(1)
        made.StudyInstanceUID = "../../x"
        assert store(receiver.port, made) == 0x0000
        (film,) = receiver.films()
    assert film.parent.name.startswith("instance-")


@pytest.mark.parametrize("sop_class", ["1.2.840.10008.5.1.4.1.1.999.1", "1.3.6.1.4.1.99999.1"])
@pytest.mark.parametrize("syntax", [dicoms.DEFLATED, dicoms.BIG_ENDIAN, dicoms.IMPLICIT])
def test_a_class_that_nobody_has_seen_is_kept(sop_class: str, syntax: str, tmp_path: Path) -> None:
    with running(tmp_path) as receiver:
        made = dataset(1)
        made.SOPClassUID = sop_class
        assert store(receiver.port, made, syntax) == 0x0000
        (film,) = receiver.films()
    assert content(film)
    assert film.parent.name.startswith("instance-" if syntax == dicoms.DEFLATED else "study-")


def test_any_bytes_are_kept_as_they_are(tmp_path: Path) -> None:
    """No preamble, no elements: it is for the decoders to say what it is."""
    with running(tmp_path) as receiver, receiver.connection() as connection:
        connection.sendall(request())
        assert received(connection) == ASSOCIATE_AC
        connection.sendall(command_of(uid(5)) + fragment(b"\xde\xad\xbe\xef" * 10, control=2))
        assert received(connection) == 4, "an answer"
        (film,) = receiver.films()
        assert content(film) == b"\xde\xad\xbe\xef" * 10
