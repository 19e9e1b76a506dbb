"""A receiver with small limits, and the bytes of senders that mean harm or are broken."""

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

from pydicom.dataset import Dataset
from pynetdicom import AE
from pynetdicom.dsutils import encode
from pynetdicom.pdu import A_ASSOCIATE_RQ
from pynetdicom.pdu_primitives import (
    A_ASSOCIATE,
    ImplementationClassUIDNotification,
    MaximumLengthNotification,
)
from pynetdicom.presentation import build_context

from cxr_edge.hospital.peers import Address, Sender
from cxr_edge.hospital.quiet import quiet_library
from cxr_edge.hospital.receive_server import Limits, Server, ServerPlan
from cxr_edge.hospital.spool import Kept, RefusedError, Spool, held
from cxr_edge.hospital.tls import TlsFiles
from tests.hospital.receiving import PEER, TITLE, dataset
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
def running(
    folder: Path, largest: int = 200_000, tls: TlsFiles | None = None, **limits: Any
) -> Iterator[Running]:
    limited = Limits(**{"associations": 4, "seconds": 3.0, "object_seconds": 2.0, **limits})
    plan = ServerPlan(TITLE, Address("127.0.0.1", 0), (Sender(PEER),), tls, limited)
    told = Told()
    failed = quiet_library(lambda failure: told.turned_away("connection", str(failure.exc_type)))
    with failed, held(folder / "spool", None, largest) as spool:
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


def request(count: int = 1) -> bytes:
    """An A-ASSOCIATE-RQ of a sender that is known, with so many contexts."""
    asked = A_ASSOCIATE()
    asked.application_context_name = "1.2.840.10008.3.1.1.1"
    asked.calling_ae_title, asked.called_ae_title = PEER, TITLE
    contexts = [build_context(dicoms.DX, dicoms.EXPLICIT) for _ in range(count)]
    for number, context in enumerate(contexts):
        context.context_id = 2 * number + 1
    asked.presentation_context_definition_list = contexts
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


def fragment(data: bytes, control: int) -> bytes:
    """A PDU of one fragment."""
    return struct.pack(">BxIIBB", 4, len(data) + 6, len(data) + 2, 1, control) + data


def command_of(instance: str) -> bytes:
    """A C-STORE request."""
    command = Dataset()
    command.AffectedSOPClassUID, command.CommandField = dicoms.DX, 0x0001
    command.MessageID, command.Priority, command.CommandDataSetType = 1, 0, 1
    command.AffectedSOPInstanceUID = instance
    body = encode(command, True, True) or b""
    length = struct.pack("<HHII", 0, 0, 4, len(body))
    return fragment(length + body, control=3)
