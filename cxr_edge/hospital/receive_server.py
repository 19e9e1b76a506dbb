"""The listening side of `cxr-edge receive`: whom it lets in, and what it answers."""

from __future__ import annotations

import socket
import threading
import time
from dataclasses import dataclass, field
from typing import Any

from pynetdicom import AE, _config, evt
from pynetdicom.association import Association
from pynetdicom.sop_class import Verification  # type: ignore[attr-defined]
from pynetdicom.transport import RequestHandler, ThreadedAssociationServer

from cxr_edge.hospital.peers import Address, Sender, bare_address, checked_uid
from cxr_edge.hospital.receive_contexts import StorageAcse
from cxr_edge.hospital.receive_header import study_of
from cxr_edge.hospital.receive_wire import (
    PDU_BYTES,
    BoundedSocket,
    Events,
    FilmDul,
    Incoming,
    Provider,
    remote,
)
from cxr_edge.hospital.spool import ObjectName, Refusal, RefusedError, Spool
from cxr_edge.hospital.statuses import STATUS, SUCCESS
from cxr_edge.hospital.tls import TlsFiles, shake_hands
from cxr_edge.support.text import display_name

# Result, source and reason of an A-ASSOCIATE-RJ (PS3.8, table 9-21).
REJECTIONS = {
    "called_title": (1, 1, 7),
    "unknown_sender": (1, 1, 3),
    "associations": (2, 3, 2),
}


@dataclass(frozen=True)
class Limits:
    """Limits on what senders can take, besides the disk.

    Attributes:
        associations: at a time; connections may be twice as many.
        seconds: without a whole PDU, a request or an answer being read.
        object_seconds: for one object, however steadily it drips.
    """

    associations: int = 16
    seconds: float = 60.0
    object_seconds: float = 600.0


@dataclass(frozen=True)
class ServerPlan:
    """Names and addresses: who listens, and to whom.

    Attributes:
        title: our AE title.
        address: where we listen.
        senders: who may send.
        tls: None for a connection in the clear.
        limits: what senders can take.
    """

    title: str
    address: Address
    senders: tuple[Sender, ...]
    tls: TlsFiles | None = None
    limits: Limits = field(default_factory=Limits)


class _Handler(RequestHandler):
    """Makes an association of a connection, with our bounds in it."""

    server: Server

    def _create_association(self) -> Association:
        association = super()._create_association()
        association.dimse = Provider(association, self.server.spool, self.server.events)
        # As pynetdicom does with its messages.
        association.dul.__class__, association.dul.socket.__class__ = FilmDul, BoundedSocket
        acse: Any = association.acse
        acse.__class__ = StorageAcse
        acse.on_nonsense = lambda: self.server.events.turned_away("protocol", remote(association))
        association.dul.daemon = True  # a sender that hangs must not keep the process alive
        return association


class Server(ThreadedAssociationServer):
    """Listens from the moment it is made."""

    request_queue_size = 64
    daemon_threads = True

    def __init__(self, plan: ServerPlan, spool: Spool, events: Events) -> None:
        """Listen, and accept nobody before `serve_forever`.

        Raises:
            OSError: the address cannot be used.
            InputError: a file of TLS cannot be.
        """
        self.plan, self.spool, self.events = plan, spool, events
        self._counting, self._starting = threading.Lock(), 0
        self.tls = plan.tls.for_server() if plan.tls else None
        entity = _entity(plan)
        handlers: list[Any] = [
            (evt.EVT_C_ECHO, lambda event: SUCCESS),
            (evt.EVT_C_STORE, self._store),
            (evt.EVT_REQUESTED, self._requested),
            (evt.EVT_CONN_CLOSE, lambda event: event.assoc.dimse.discard()),
        ]
        address = (plan.address.host, plan.address.port)
        contexts = entity.supported_contexts
        super().__init__(entity, address, plan.title, contexts, None, handlers, _Handler)
        entity._servers.append(self)

    def get_request(self) -> tuple[socket.socket, Any]:
        """Accept a connection; its TLS is shaken hands on later, in its own thread."""
        listening: Any = self.socket
        connection, address = listening.accept()
        connection.settimeout(self.plan.limits.seconds)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8 * PDU_BYTES)
        if self.tls is not None:
            connection = self.tls.wrap_socket(
                connection, server_side=True, do_handshake_on_connect=False
            )
        return connection, address

    def verify_request(self, request: Any, client_address: Any) -> bool:
        """Turn a flood of connections away before each costs two threads."""
        count = len(self.active_associations) + self._starting
        is_room = count < 2 * self.plan.limits.associations
        if not is_room:
            self.events.turned_away("connections", display_name(client_address[0]))
        return is_room

    def process_request(self, request: Any, client_address: Any) -> None:
        """Go on in a thread; it counts from now on, unless the system has no thread for it."""
        self._count(1)
        try:
            super().process_request(request, client_address)
        except BaseException:
            self._count(-1)
            raise

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """Make an association, which counts itself then."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._count(-1)

    def _count(self, change: int) -> None:
        with self._counting:
            self._starting += change

    def finish_request(self, request: Any, client_address: Any) -> None:
        """Shake hands, then make an association."""
        if self.tls is not None:
            shake_hands(request, self.plan.limits.seconds)
        super().finish_request(request, client_address)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say that a connection failed, without a traceback that would quote what came."""
        self.events.turned_away("connection", display_name(client_address[0]))

    def _requested(self, event: evt.Event) -> None:
        request: Any = event.assoc.requestor.primitive
        acse = event.assoc.acse
        sender = f"{display_name(request.calling_ae_title)}@{remote(event.assoc)}"
        established = sum(each.is_established for each in self.active_associations)
        if request.called_ae_title != self.plan.title:
            self._reject(acse, "called_title", sender)
        elif not self._is_known(request.calling_ae_title, event.assoc):
            self._reject(acse, "unknown_sender", sender)
        elif established >= self.plan.limits.associations:
            self._reject(acse, "associations", sender)

    def _reject(self, acse: Any, reason: str, who: str) -> None:
        acse.send_reject(*REJECTIONS[reason])
        acse.assoc.is_rejected = True
        acse.assoc.kill()
        self.events.turned_away(reason, who)

    def _is_known(self, title: str, association: Association) -> bool:
        return any(
            sender.title == title and (not sender.host or is_at(sender.host, remote(association)))
            for sender in self.plan.senders
        )

    def _store(self, event: evt.Event) -> int:
        """Keep what has come; the answer is the status of C-STORE."""
        request: Any = event.request
        incoming: Incoming = request.DataSet
        try:
            if incoming.refusal is not None:
                raise incoming.refusal
            if incoming.arrival is None:
                raise RefusedError(Refusal.INVALID)
            study = study_of(incoming.head(), str(event.context.transfer_syntax))
            instance = checked_uid(str(request.AffectedSOPInstanceUID))
            kept = incoming.arrival.keep(ObjectName(instance, study))
        except RefusedError as error:
            self.events.refused(error)
            return STATUS[error.why]
        self.events.kept(kept, incoming.arrival.size)
        return SUCCESS

    def cut_slow(self) -> None:
        """Cut connections whose object takes longer than any film does."""
        now, most = time.monotonic(), self.plan.limits.object_seconds
        for association in self.active_associations:
            began = getattr(association.dimse, "began", None)
            if began is not None and now - began > most:
                self.events.turned_away("slow", remote(association))
                _cut(association)

    def stop(self, seconds: float) -> None:
        """Accept nobody any more, let objects under way arrive for so long, then abort."""
        self.shutdown()
        end = time.monotonic() + seconds
        while (left := self.active_associations) and time.monotonic() < end:
            for association in left:
                if association.is_established and not _is_busy(association):
                    association.abort()
            time.sleep(0.05)
        for association in self.active_associations:
            _cut(association)


def _is_busy(association: Association) -> bool:
    provider: Any = association.dimse
    return provider.began is not None or provider.msg_queue.qsize() or not association._is_paused


def _cut(association: Association) -> None:
    connection = association.dul.socket
    if connection is not None and connection.socket is not None:
        connection._shutdown_socket()


def is_at(host: str, address: str) -> bool:
    """Whether a host, by name or number, has this address, as `remote` writes it."""
    return address in addresses_of(host)


def addresses_of(host: str) -> set[str]:
    """The addresses that a host, by name or number, has now; none where nobody knows it."""
    try:
        found = socket.getaddrinfo(host, None)
    except (OSError, UnicodeError):  # a name that cannot be one is no different
        return set()
    return {bare_address(str(each[4][0])) for each in found}


def _entity(plan: ServerPlan) -> AE:
    """Every storage class and transfer syntax, known to the library or not, and C-ECHO."""
    _config.UNRESTRICTED_STORAGE_SERVICE = True
    _config.LOG_HANDLER_LEVEL = "none"  # its lines would quote what senders send
    entity = AE(plan.title)
    entity.maximum_pdu_size = PDU_BYTES
    entity.maximum_associations = 10**6  # counted here, where it is said
    entity.acse_timeout = entity.dimse_timeout = plan.limits.seconds
    entity.network_timeout = plan.limits.seconds
    entity.add_supported_context(Verification)
    return entity
