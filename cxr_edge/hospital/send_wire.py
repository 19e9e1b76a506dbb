"""The talking side: associations to a peer, C-STORE, and storage commitment."""

from __future__ import annotations

import contextlib
import errno
import threading
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydicom.dataset import Dataset
from pydicom.uid import UID, ImplicitVRLittleEndian, generate_uid
from pynetdicom import AE, _config, build_role, evt
from pynetdicom.association import Association
from pynetdicom.sop_class import (  # type: ignore[attr-defined]
    StorageCommitmentPushModel,
    StorageCommitmentPushModelInstance,
)
from pynetdicom.transport import AssociationSocket

from cxr_edge.errors import InputError
from cxr_edge.hospital.peers import Address, Receiver
from cxr_edge.hospital.quiet import quiet_library
from cxr_edge.hospital.statuses import NOT_OFFERED, SUCCESS, words
from cxr_edge.hospital.tls import TlsFiles
from cxr_edge.ledger.outbox import Outgoing

CONTEXTS = 120  # of the 128 that an association can negotiate
SECONDS = 30.0
_REQUEST_COMMITMENT = 1
_REJECTED_FOR_GOOD = 1


class NoAssociationError(Exception):
    """There is no association, or no longer.

    Attributes:
        for_good: whether trying again would not help.
    """

    def __init__(self, why: str, *, for_good: bool = False) -> None:
        """Keep both."""
        super().__init__(why)
        self.for_good = for_good


class NotOfferedError(NoAssociationError):
    """The peer offers none of the services that were proposed."""


class _Entity(AE):
    """An application entity whose process a peer that hangs does not keep alive."""

    def _create_socket(self, assoc: Association, *arguments: Any) -> AssociationSocket:
        assoc.dul.daemon = True  # the library's thread on the connection, which is about to start
        return super()._create_socket(assoc, *arguments)


@dataclass(frozen=True)
class Line:
    """Way to reach a peer: address, titles, TLS, timeouts.

    Attributes:
        title: our AE title.
        to: who the peer is, and where.
        tls: None for a connection in the clear.
        seconds: limit for each step, from the connection to an answer.
    """

    title: str
    to: Receiver
    tls: TlsFiles | None = None
    seconds: float = SECONDS

    @contextlib.contextmanager
    def associated(
        self, kinds: Iterable[tuple[str, str]], handlers: Iterable[Any] = (), roles: Any = None
    ) -> Iterator[Association]:
        """An association; released, or aborted after an error.

        Args:
            kinds: pairs of a SOP class and a transfer syntax, each a context of its own.
            handlers: of pynetdicom.
            roles: of pynetdicom.

        Raises:
            NoAssociationError: none could be established.
        """
        entity = self._entity()
        for sop_class, syntax in kinds:
            entity.add_requested_context(UID(sop_class), UID(syntax))
        address = self.to.address
        secured: Any = (self.tls.for_client(), address.host) if self.tls else None
        try:
            association = entity.associate(
                *(address.host, address.port),
                ae_title=self.to.title,
                evt_handlers=list(handlers),
                ext_neg=roles,
                tls_args=secured,
            )
        except OSError as error:  # its name cannot be resolved
            raise NoAssociationError(error.strerror or "no such host") from error
        if not association.is_established:
            raise _no_association(association)
        try:
            yield association
        except BaseException:
            association.abort()
            raise
        association.release()

    def _entity(self) -> AE:
        entity = _Entity(self.title)
        entity.connection_timeout = entity.acse_timeout = self.seconds
        entity.dimse_timeout = entity.network_timeout = self.seconds
        return entity


def _no_association(association: Association) -> NoAssociationError:
    answer: Any = association.acceptor.primitive
    if association.is_rejected and answer is not None:
        reason = getattr(answer, "reason_str", "") or "no reason given"
        for_good = answer.result == _REJECTED_FOR_GOOD
        return NoAssociationError(f"the association was rejected: {reason}", for_good=for_good)
    if association.rejected_contexts and not association.accepted_contexts:
        return NotOfferedError("it takes no object of these SOP classes", for_good=True)
    return NoAssociationError("nobody answers, or the association was aborted")


def store(association: Association, path: Path, number: int) -> int:
    """Send a file as it is; returns the status of the answer.

    Raises:
        NoAssociationError: nothing was answered.
        OSError: the file cannot be read; the association is aborted, as a part may have gone out.
    """
    try:
        answer = association.send_c_store(path, msg_id=number % 65535 + 1)
    except ValueError:  # no context for it was accepted
        return NOT_OFFERED
    except RuntimeError as error:
        raise NoAssociationError("the association was aborted") from error
    except OSError:
        association.abort()
        raise
    except Exception as error:  # pydicom may raise anything if the file was just replaced
        association.abort()
        raise OSError(errno.EINVAL, "it is no DICOM object") from error
    if "Status" not in answer:
        raise NoAssociationError("an object was not answered")
    return int(answer.Status)


@dataclass(frozen=True)
class Commitment:
    """Answer of a peer to a request for storage commitment.

    Attributes:
        committed: SOP Instance UIDs.
        failed: reason by SOP Instance UID.
    """

    committed: frozenset[str]
    failed: dict[str, int]


class _Answer:
    """Waits for an N-EVENT-REPORT, whichever association brings it."""

    def __init__(self) -> None:
        self.transaction = generate_uid(prefix=None)
        self.came = threading.Event()
        self.found: Commitment | None = None

    @property
    def handlers(self) -> list[Any]:
        """Handlers of pynetdicom."""
        return [(evt.EVT_N_EVENT_REPORT, self._take), (evt.EVT_PDU_SENT, self._answered)]

    def _take(self, event: evt.Event) -> tuple[int, None]:
        """Keep the answer if it belongs to our transaction."""
        report: Any = event.event_information
        if str(report.get("TransactionUID", "")) == self.transaction:
            kept = report.get("ReferencedSOPSequence") or []
            failed = report.get("FailedSOPSequence") or []
            self.found = Commitment(
                frozenset(str(each.ReferencedSOPInstanceUID) for each in kept),
                {str(e.ReferencedSOPInstanceUID): int(e.get("FailureReason", 0)) for e in failed},
            )
        return 0x0000, None

    def _answered(self, _: evt.Event) -> None:
        """The peer has our confirmation, so the association may end."""
        if self.found is not None:
            self.came.set()


def commitment(
    line: Line, objects: Iterable[Outgoing], listen: Address | None, seconds: float
) -> Commitment | None:
    """Ask a peer for storage commitment; None if it does not answer in time.

    Args:
        line: to the peer.
        objects: sent to it before.
        listen: where it may answer in an association of its own.
        seconds: to wait.

    Raises:
        NoAssociationError: it could not be asked, or refuses.
        InputError: the address to listen at cannot be used.
    """
    answer = _Answer()
    role = build_role(StorageCommitmentPushModel, scu_role=True, scp_role=True)
    kinds = [(str(StorageCommitmentPushModel), str(ImplicitVRLittleEndian))]
    with (
        _listening(line, listen, answer.handlers),
        line.associated(kinds, answer.handlers, [role]) as association,
    ):
        try:
            status, _ = association.send_n_action(
                *(_question(answer.transaction, objects), _REQUEST_COMMITMENT),
                *(StorageCommitmentPushModel, StorageCommitmentPushModelInstance),
            )
        except ValueError as error:  # it would ask itself
            raise NotOfferedError("it does not offer storage commitment") from error
        except RuntimeError as error:
            raise NoAssociationError("the association was aborted") from error
        if (code := status.get("Status")) != SUCCESS:
            outcome = "not answered" if code is None else f"answered with {words(code)}"
            raise NoAssociationError(f"storage commitment was {outcome}")
        return answer.found if answer.came.wait(seconds) else None


def _question(transaction: str, objects: Iterable[Outgoing]) -> Dataset:
    question = Dataset()
    question.TransactionUID = transaction
    question.ReferencedSOPSequence = []
    for each in objects:
        item = Dataset()
        item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = each.sop_class, each.instance
        question.ReferencedSOPSequence.append(item)
    return question


def _let_go(event: evt.Event) -> None:
    """Let whoever connects, and then says nothing, not keep the process alive."""
    event.assoc.dul.daemon = True  # not started yet


@contextlib.contextmanager
def _listening(line: Line, listen: Address | None, handlers: list[Any]) -> Iterator[None]:
    """Listen for the peer's answer in an association that it opens."""
    if listen is None:
        yield
        return
    entity = line._entity()
    entity.require_called_aet = True
    entity.require_calling_aet = [line.to.title]
    entity.add_supported_context(StorageCommitmentPushModel, scu_role=True, scp_role=True)
    context = line.tls.for_server() if line.tls else None
    try:
        server = entity.start_server(
            (listen.host, listen.port),
            block=False,
            evt_handlers=[*handlers, (evt.EVT_CONN_OPEN, _let_go)],
            ssl_context=context,
        )
    except OSError as error:
        raise InputError(f"nobody can listen on {listen}: {error.strerror}") from error
    try:
        yield
    finally:
        if server is not None:
            server.shutdown()


@contextlib.contextmanager
def sending() -> Iterator[None]:
    """Set pynetdicom to print nothing, and to send files without decoding them."""
    _config.LOG_HANDLER_LEVEL = "none"
    _config.STORE_SEND_CHUNKED_DATASET = True
    with quiet_library(lambda _: None):  # a thread ends, and with it the association
        yield
