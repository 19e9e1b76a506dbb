"""Bytes of one connection on their way from the socket into the spool.

pynetdicom holds a whole object in memory and believes every length. Here an object goes to disk as
its PDUs come, and a PDU, a command, a queue and the time for each of them have a limit.
"""

from __future__ import annotations

import io
import select
import socket
import ssl
import struct
import time
from collections.abc import Callable
from typing import Any, Protocol

from pydicom.uid import UID
from pynetdicom.association import Association
from pynetdicom.dimse import DIMSEServiceProvider
from pynetdicom.dimse_messages import C_STORE_RQ, DIMSEMessage
from pynetdicom.dsutils import create_file_meta, encode_file_meta
from pynetdicom.dul import DULServiceProvider
from pynetdicom.pdu_primitives import P_DATA
from pynetdicom.transport import AssociationSocket

from cxr_edge.hospital.peers import bare_address, checked_uid
from cxr_edge.hospital.receive_header import HEAD
from cxr_edge.hospital.spool import Kept, Refusal, RefusedError, Spool
from cxr_edge.hospital.spool_arrival import Arrival
from cxr_edge.support.text import display_name

PDU_BYTES = 131072  # the most that dcmtk sends
_P_DATA, _PDU_HEADER, _FRAGMENT_HEADER = 4, 6, 12  # PS3.8, 9.3.5 and annex E
_SECONDS_TO_NEXT_PDU = 0.05
_COMMAND_BYTES = 65536
_QUEUED = 8  # requests of one association that wait for their answers
# In the header of every file: the same bytes are the same file, whatever version wrote it first.
_IMPLEMENTATION = UID("2.25.169414384262870287245914098236434013701")
_IMPLEMENTATION_NAME = "CXR_EDGE"


class Events(Protocol):
    """Observer of what happens, called by any thread; text of a sender is fit to print."""

    def kept(self, kept: Kept, size: int) -> None:
        """An object is on disk."""

    def refused(self, error: RefusedError) -> None:
        """An object is not kept."""

    def turned_away(self, reason: str, who: str) -> None:
        """An association or a connection was turned away or cut."""


class Incoming(io.BytesIO):
    """Place where pynetdicom puts the data set of a message: the spool, if it is to be stored."""

    def __init__(self, spool: Spool, begin: Callable[[], bytes | None]) -> None:
        """`begin` gives the first bytes of the file, None for what is not to be stored."""
        super().__init__()
        self._spool, self._begin = spool, begin
        self.arrival: Arrival | None = None
        self.refusal: RefusedError | None = None
        self._start = 0  # of the data set, behind the header of the file

    def write(self, data: Any) -> int:
        """Take the bytes; of an object that is refused they lead nowhere."""
        if self.refusal is None:
            try:
                self._write(data)
            except RefusedError as error:
                self.refusal = error
                self.discard()
        return len(data)

    def _write(self, data: bytes | memoryview) -> None:
        if self.arrival is None:
            header = self._begin()
            if header is None:
                raise RefusedError(Refusal.INVALID)
            self.arrival, self._start = Arrival(self._spool), len(header)
            self.arrival.write(header)
        self.arrival.write(data)

    def head(self) -> bytes:
        """The first bytes of the data set, as far as its study may lie."""
        return b"" if self.arrival is None else self.arrival.head(self._start, HEAD)

    def discard(self) -> None:
        """Leave nothing of an object that was not kept."""
        if self.arrival is not None:
            self.arrival.discard()

    def close(self) -> None:
        """The same, when nobody holds it any more."""
        self.discard()
        super().close()


class _Command(io.BytesIO):
    """A command that does not grow for ever."""

    def write(self, data: Any) -> int:
        if self.tell() + len(data) > _COMMAND_BYTES:
            raise ValueError("a command of more than 64 KiB")
        return super().write(data)


class Provider(DIMSEServiceProvider):
    """Puts the messages of one association together."""

    def __init__(self, association: Association, spool: Spool, events: Events) -> None:
        """Put objects into the spool; tell `events` what goes wrong."""
        super().__init__(association)
        self._spool, self._events = spool, events
        self.buffer = bytearray(PDU_BYTES + _PDU_HEADER)
        self.began: float | None = None  # the message under way

    @property
    def incoming(self) -> Incoming | None:
        """Place of the object under way, once its command is there."""
        message = self.message
        if message is None or message.context_id is None:
            return None
        return message.data_set if isinstance(message.data_set, Incoming) else None

    def receive_primitive(self, primitive: P_DATA) -> None:
        """Take one more part of a message; what is none ends the association."""
        try:
            if self.msg_queue.qsize() >= _QUEUED:
                raise ValueError("too many requests without waiting for answers")
            if self.message is None:
                self._begin()
            super().receive_primitive(primitive)
        except Exception:  # the library raises anything at what it did not expect
            self.discard()
            self._events.turned_away("protocol", remote(self.assoc))
            self.dul.event_queue.put("Evt19")
        if self.message is None:
            self.began = None

    def _begin(self) -> None:
        message = DIMSEMessage()
        message.encoded_command_set = _Command()
        message.data_set = Incoming(self._spool, lambda: _header(message, self.assoc))
        self.message, self.began = message, time.monotonic()

    def discard(self) -> None:
        """Leave nothing of the message under way."""
        message, self.message, self.began = self.message, None, None
        if message is not None and isinstance(message.data_set, Incoming):
            message.data_set.discard()


def _header(message: DIMSEMessage, association: Association) -> bytes | None:
    """The first bytes of a file; None for what is not to be stored."""
    command = message.command_set
    context = association._accepted_cx.get(message.context_id or 0)
    instance = checked_uid(str(command.get("AffectedSOPInstanceUID", "")))
    sop_class = checked_uid(str(command.get("AffectedSOPClassUID", "")))
    if not isinstance(message, C_STORE_RQ) or context is None or not instance or not sop_class:
        return None
    meta = create_file_meta(
        sop_class_uid=UID(sop_class),
        sop_instance_uid=UID(instance),
        transfer_syntax=context.transfer_syntax[0],
        implementation_uid=_IMPLEMENTATION,
        implementation_version=_IMPLEMENTATION_NAME,
    )
    return b"\0" * 128 + b"DICM" + encode_file_meta(meta)


class BoundedSocket(AssociationSocket):
    """Reads what was promised: not more than a PDU holds, and not for ever."""

    def recv(self, nr_bytes: int) -> bytearray:
        """Read so many bytes, fewer where the connection ends.

        Raises:
            OSError: they are too many, or do not come.
        """
        if nr_bytes > PDU_BYTES + _PDU_HEADER:
            raise OSError("no PDU of this association")
        data = bytearray(nr_bytes)
        with memoryview(data) as view:
            done = self.fill(view)
        del data[done:]
        return data

    def fill(self, view: memoryview) -> int:
        """Read into a buffer; fewer bytes than it has where the connection ends.

        Raises:
            OSError: they do not come.
        """
        connection, done = self.socket, 0
        if connection is None:
            raise OSError("the connection is closed")
        end = time.monotonic() + (self.assoc.network_timeout or 0)
        while done < len(view) and (count := connection.recv_into(view[done:])):
            done += count
            if time.monotonic() > end:
                raise TimeoutError("a PDU that drips")
        return done

    def _shutdown_socket(self) -> None:
        """Close it also where the other side has gone, which the library forgets."""
        connection = self.socket
        super()._shutdown_socket()
        if connection is not None:
            connection.close()

    def peek(self, size: int) -> bytes:
        """Look at what comes next; empty where that cannot be said, as with TLS."""
        connection = self.socket
        if connection is None or isinstance(connection, ssl.SSLSocket):
            return b""
        try:
            return connection.recv(size, socket.MSG_PEEK)
        except OSError:
            return b""

    def is_readable(self, seconds: float) -> bool:
        """Whether something comes within so many seconds."""
        connection = self.socket
        try:
            return connection is not None and bool(select.select([connection], [], [], seconds)[0])
        except (OSError, ValueError):  # closed meanwhile
            return False


class FilmDul(DULServiceProvider):
    """Lets the content of objects go to the spool without a copy of each PDU for each layer.

    A PDU with one fragment that is neither a command nor the last is plain content. Anything else
    is the library's.
    """

    def _read_pdu_data(self) -> None:
        try:
            while (size := self._plain_content()) and self._take(size):
                if not self._goes_on():
                    return
        except OSError:
            self.event_queue.put("Evt17")  # the connection is gone
            return
        super()._read_pdu_data()

    def _plain_content(self) -> int:
        """Bytes of the next PDU, if it is one to take here; else 0."""
        reader, provider = self.socket, self.assoc.dimse
        if not isinstance(reader, BoundedSocket) or not isinstance(provider, Provider):
            return 0
        start = reader.peek(_FRAGMENT_HEADER) if provider.incoming is not None else b""
        if len(start) < _FRAGMENT_HEADER:
            return 0
        kind, length, fragment, context, control = struct.unpack(">BxIIBB", start)
        is_plain = kind == _P_DATA and control == 0 and fragment == length - 4
        is_ours = provider.message is not None and context == provider.message.context_id
        is_sound = _FRAGMENT_HEADER < length + _PDU_HEADER <= PDU_BYTES + _PDU_HEADER
        return length + _PDU_HEADER if is_plain and is_ours and is_sound else 0

    def _take(self, size: int) -> bool:
        """Write a PDU's content to the spool.

        Raises:
            OSError: it does not come.
        """
        reader, provider = self.socket, self.assoc.dimse
        if not isinstance(reader, BoundedSocket) or not isinstance(provider, Provider):
            return False
        with memoryview(provider.buffer)[:size] as view:
            if reader.fill(view) < size:
                raise OSError("the connection has ended within a PDU")
            if provider.incoming is not None:
                provider.incoming.write(view[_FRAGMENT_HEADER:])
        self._idle_timer.restart()
        return True

    def _goes_on(self) -> bool:
        """Whether the next PDU can be read now; the library looks a thousand times a second."""
        if self._kill_thread or not self.to_provider_queue.empty():
            return False
        return isinstance(self.socket, BoundedSocket) and self.socket.is_readable(
            _SECONDS_TO_NEXT_PDU
        )


def remote(association: Association) -> str:
    """The IP address of the other side."""
    address = association.requestor.address_info
    return "" if address is None else display_name(bare_address(address.address))
