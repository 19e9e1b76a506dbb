"""Senders that mean harm or are broken: the receiver stays, within its bounds, and says so."""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydicom.dataset import Dataset
from pynetdicom import AE
from pynetdicom.pdu import A_ASSOCIATE_RQ

from cxr_edge.hospital.peers import Address, Sender
from cxr_edge.hospital.receive_server import Limits, Server, ServerPlan
from cxr_edge.hospital.spool import Kept, RefusedError, Spool, held
from tests.hospital.receiving import PEER, TITLE, content, dataset, uid
from tests.images import dicoms


class Told:
    """Events, counted."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()

    def kept(self, kept: Kept, size: int) -> None:
        self.counts[kept] += 1

    def refused(self, error: RefusedError) -> None:
        self.counts[error.why] += 1

    def turned_away(self, reason: str, who: str) -> None:
        self.counts[reason] += 1


class Running:
    """A server with small limits."""

    def __init__(self, server: Server, spool: Spool, told: Told) -> None:
        self.server, self.spool, self.told = server, spool, told
        self.port = int(server.server_address[1])

    def connection(self) -> socket.socket:
        """A bare connection."""
        made = socket.create_connection(("127.0.0.1", self.port), 20)
        made.settimeout(20)
        return made

    def films(self) -> list[Path]:
        return sorted(self.spool.films.rglob("*.dcm"))

    def is_well(self) -> bool:
        """Whether an honest film is taken."""
        return store(self.port, dataset(999)) == 0x0000


@contextlib.contextmanager
def running(folder: Path, largest: int = 200_000, **limits: Any) -> Iterator[Running]:
    limited = Limits(**{"associations": 4, "seconds": 3.0, "object_seconds": 2.0, **limits})
    plan = ServerPlan(TITLE, Address("127.0.0.1", 0), (Sender(PEER),), None, limited)
    told = Told()
    with held(folder / "spool", None, largest) as spool:
        server = Server(plan, spool, told)
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield Running(server, spool, told)
        finally:
            server.stop(1.0)
            thread.join()


def store(port: int, made: Dataset, syntax: str = dicoms.EXPLICIT) -> int | None:
    """Send with pynetdicom; the status, None where there was no answer."""
    entity = AE(PEER)
    entity.add_requested_context(str(made.SOPClassUID), syntax)
    association = entity.associate("127.0.0.1", port, ae_title=TITLE)
    if not association.is_established:
        return None
    dicoms.written(made, syntax)
    made.file_meta.MediaStorageSOPInstanceUID = made.SOPInstanceUID
    answer = association.send_c_store(made)
    association.release()
    return int(answer.Status) if "Status" in answer else None


def until(condition: Any, seconds: float = 20) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.05)


def request() -> bytes:
    """An A-ASSOCIATE-RQ of a sender that is known."""
    from pynetdicom.pdu_primitives import (
        A_ASSOCIATE,
        ImplementationClassUIDNotification,
        MaximumLengthNotification,
    )
    from pynetdicom.presentation import build_context

    asked = A_ASSOCIATE()
    asked.application_context_name = "1.2.840.10008.3.1.1.1"
    asked.calling_ae_title, asked.called_ae_title = PEER, TITLE
    context = build_context(dicoms.DX, dicoms.EXPLICIT)
    context.context_id = 1
    asked.presentation_context_definition_list = [context]
    most, implementation = MaximumLengthNotification(), ImplementationClassUIDNotification()
    most.maximum_length_received = 16384
    implementation.implementation_class_uid = "1.2.3.4"  # type: ignore[assignment]
    asked.user_information = [most, implementation]
    pdu = A_ASSOCIATE_RQ()
    pdu.from_primitive(asked)
    return pdu.encode()


def received(connection: socket.socket) -> int:
    """Type of the next PDU; 0 where the connection has ended."""
    with contextlib.suppress(ConnectionError):
        head = connection.recv(6, socket.MSG_WAITALL)
        if len(head) == 6:
            connection.recv(struct.unpack(">I", head[2:])[0], socket.MSG_WAITALL)
            return head[0]
    return 0


ASSOCIATE_AC, ABORT = 2, 7
COMMAND_START = struct.pack(">BxIIBB", 4, 6 + 4, 6, 1, 1)


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


def fragment(data: bytes, control: int) -> bytes:
    """A PDU of one fragment."""
    return struct.pack(">BxIIBB", 4, len(data) + 6, len(data) + 2, 1, control) + data


def command_of(instance: str) -> bytes:
    """A C-STORE request."""
    from pynetdicom.dsutils import encode

    command = Dataset()
    command.AffectedSOPClassUID, command.CommandField = dicoms.DX, 0x0001
    command.MessageID, command.Priority, command.CommandDataSetType = 1, 0, 1
    command.AffectedSOPInstanceUID = instance
    body = encode(command, True, True) or b""
    length = struct.pack("<HHII", 0, 0, 4, len(body))
    return fragment(length + body, control=3)
