"""A PACS that answers as a test wants it to, and what a `send` to it brings about."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydicom.dataset import Dataset
from pynetdicom import AE, AllStoragePresentationContexts, evt
from pynetdicom.sop_class import (  # type: ignore[attr-defined]
    StorageCommitmentPushModel,
    StorageCommitmentPushModelInstance,
)

from cxr_edge.hospital.send import Delivery, send
from cxr_edge.hospital.send_job import SendJob
from cxr_edge.ledger.outbox import Outbox, Sending
from cxr_edge.ledger.runs import read_ledger


@dataclass
class Peer:
    """A PACS that answers as a test wants it to."""

    port: int = 0
    answers: list[int] = field(default_factory=list)  # statuses before it says Success
    got: list[str] = field(default_factory=list)
    commits: Callable[[Any, Dataset], None] | None = None
    offers_commitment: bool = True

    def store(self, event: evt.Event) -> int:
        status = self.answers.pop(0) if self.answers else 0x0000
        if status == 0x0000:
            request: Any = event.request
            self.got.append(str(request.AffectedSOPInstanceUID))
        return status

    def action(self, event: evt.Event) -> tuple[int, None]:
        if self.commits is not None:
            threading.Thread(
                target=self.commits, args=(event.assoc, event.action_information)
            ).start()
        return 0x0000, None


@contextlib.contextmanager
def serving(peer: Peer, **options: Any) -> Iterator[Peer]:
    entity = AE("PACS")
    for context in AllStoragePresentationContexts:
        entity.add_supported_context(str(context.abstract_syntax))
    if peer.offers_commitment:
        entity.add_supported_context(StorageCommitmentPushModel, scu_role=True, scp_role=True)
    handlers: list[Any] = [(evt.EVT_C_STORE, peer.store), (evt.EVT_N_ACTION, peer.action)]
    server = entity.start_server(
        ("127.0.0.1", peer.port), block=False, evt_handlers=handlers, **options
    )
    assert server is not None
    peer.port = int(server.server_address[1])
    try:
        yield peer
    finally:
        server.shutdown()


def report(association: Any, asked: Dataset, failed: int = 0) -> None:
    """The answer of a PACS that has lost the first objects."""
    told, items = Dataset(), list(asked.ReferencedSOPSequence)
    told.TransactionUID = asked.TransactionUID
    for item in items[:failed]:
        item.FailureReason = 0x0112
    told.ReferencedSOPSequence = items[failed:]
    if failed:
        told.FailedSOPSequence = items[:failed]
    association.send_n_event_report(
        *(told, 2 if failed else 1),
        *(StorageCommitmentPushModel, StorageCommitmentPushModelInstance),
    )


def on_the_same(association: Any, asked: Dataset) -> None:
    time.sleep(0.5)
    report(association, asked)


def free_port() -> int:
    """One that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass
class Sent:
    """What a run of `send` has brought about."""

    delivery: Delivery
    log: str
    states: Counter[str]


def sent(folder: Path, port: int, state: Path, **options: Any) -> Sent:
    lines: list[str] = []
    to = f"PACS@127.0.0.1:{port}"
    job = SendJob(folder, to, **{"patience": 0.0, **options})
    delivery = send(job, state, lines.append)
    with read_ledger(state) as ledger:
        outbox = Outbox(ledger.connection)
        counted = {s: len(outbox.in_state(to, s)) for s in Sending}
    return Sent(delivery, "\n".join(lines), Counter({s.value: n for s, n in counted.items() if n}))
