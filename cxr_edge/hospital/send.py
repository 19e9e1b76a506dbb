"""Sends what is in the outbox until each object was answered with Success."""

from __future__ import annotations

import itertools
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from cxr_edge.hospital.peers import Address, Receiver, checked_title
from cxr_edge.hospital.send_job import SendJob
from cxr_edge.hospital.send_objects import (
    NoObjectError,
    files_below,
    object_of,
    sha256_of,
    syntax_of,
)
from cxr_edge.hospital.send_wire import (
    CONTEXTS,
    Commitment,
    Line,
    NoAssociationError,
    commitment,
    sending,
    store,
)
from cxr_edge.hospital.statuses import SUCCESS, state_after, words
from cxr_edge.hospital.tls import TlsFiles
from cxr_edge.ledger.outbox import Outbox, Outgoing, Sending
from cxr_edge.ledger.runs import Ledger
from cxr_edge.support.text import display_name

_FIRST_PAUSE, _LONGEST_PAUSE = 2.0, 60.0
_OF_ONE_QUESTION = 1000  # objects that a peer is asked at once to take into its care
Say = Callable[[str], None]


@dataclass(frozen=True)
class Delivery:
    """What has become of the objects that a run had to do with.

    Attributes:
        counts: by state; objects of earlier runs that waited are among them.
        others: files that were left out, as another object goes, or has gone, out under their UID.
        bad: files that were left out, as they are no objects or cannot be read.
        sent: objects that this run has sent.
        commit: whether commitment was asked for.
    """

    counts: Counter[Sending]
    others: int
    bad: int
    sent: int
    commit: bool

    @property
    def complete(self) -> bool:
        """Everything has arrived, and is in the peer's care if that was asked for."""
        open_states = [Sending.PENDING, Sending.REFUSED, Sending.LOST]
        open_states += [Sending.SENT] if self.commit else []
        left_out = self.others or self.bad
        return not left_out and not any(self.counts[state] for state in open_states)

    def line(self, peer: str) -> str:
        """All of it in a line."""
        counts = ", ".join(f"{self.counts[s]} {s}" for s in Sending if self.counts[s])
        others = f", {self.others} not taken: another object has their UID"
        more = others if self.others else ""
        more += f", {self.bad} left out: no DICOM object, or not readable" if self.bad else ""
        return f"{peer}: {self.sent} sent now; of its objects {counts or 'none'}{more}"


def send(job: SendJob, ledger: Ledger, say: Say) -> Delivery:
    """Put objects into the outbox, and send all that wait there for this peer.

    Args:
        job: what is asked for.
        ledger: of the state folder, held.
        say: prints a line; none has a word about a patient, unless a file that is left out has one
            for a name.

    Raises:
        InputError: an address, a title, the folder or a file of TLS cannot be used.
        StateError: the ledger cannot be written.
    """
    to = Receiver.parse(job.to)
    line = Line(checked_title(job.title), to, TlsFiles(*job.tls) if job.tls else None)
    outbox, peer = Outbox(ledger.connection), str(to)
    objects, bad = _objects(job.folder, peer, say)
    others = outbox.add(objects)
    waiting = outbox.in_state(peer, Sending.PENDING)
    concerned = {each.instance for each in (*objects, *waiting)}
    with sending():
        sender = _Sender(line, outbox, say, job.patience)
        sender.send_all()
        if job.commit:
            concerned |= _committed(job, line, outbox, say)
    states = (found.state for each in concerned if (found := outbox.find(peer, each)))
    return Delivery(Counter(states), len(others), bad, sender.sent, job.commit)


def _objects(folder: Path, peer: str, say: Say) -> tuple[list[Outgoing], int]:
    """What is to be sent, and how many files had to be left out."""
    objects, bad = [], 0
    for path in files_below(folder):
        try:
            objects.append(object_of(path, peer))
        except NoObjectError as error:
            bad += 1
            say(f"warning: {error}")
    return objects, bad


class _Sender:
    """Sends what waits for a peer, with a pause after each failure."""

    def __init__(self, line: Line, outbox: Outbox, say: Say, patience: float) -> None:
        self._line, self._outbox, self._say, self._patience = line, outbox, say, patience
        self._pause = _FIRST_PAUSE
        self._moved = time.monotonic()  # when something last got through
        self._numbers = itertools.count()
        self.sent = 0

    def send_all(self) -> None:
        """Until nothing waits, or nothing has got through for as long as patience lasts."""
        while waiting := self._outbox.in_state(str(self._line.to), Sending.PENDING):
            due = [each for each in waiting if self._is_due(each)]
            try:
                if due:
                    self._send(due)
                    continue
            except NoAssociationError as error:
                self._say(f"warning: {self._line.to}: {error}")
                if error.for_good:
                    return
            if time.monotonic() - self._moved + self._pause > self._patience:
                return
            time.sleep(self._pause)
            self._pause = min(2 * self._pause, _LONGEST_PAUSE)

    def _is_due(self, each: Outgoing) -> bool:
        # A time far ahead is that of a clock that was wrong.
        return not 0 < each.next_try - time.time() <= _LONGEST_PAUSE

    def _send(self, due: list[Outgoing]) -> None:
        """Send objects of as many kinds as one association takes.

        Raises:
            NoAssociationError: it was lost, or never there.
        """
        ready = list(self._ready(due))
        kinds = list(dict.fromkeys((each.sop_class, syntax) for each, syntax in ready))[:CONTEXTS]
        if not kinds:
            return
        with self._line.associated(kinds) as association:
            for each, syntax in ready:
                if (each.sop_class, syntax) in kinds:
                    self._note(each, store(association, each.path, next(self._numbers)))

    def _ready(self, due: list[Outgoing]) -> Iterator[tuple[Outgoing, str]]:
        """Those whose files are what they were, with their transfer syntaxes."""
        for each in due:
            try:
                if sha256_of(each.path) == each.sha256:
                    yield each, syntax_of(each.path)
                    continue
            except OSError:
                pass
            self._outbox.record(replace(each, state=Sending.LOST))
            self._say("warning: an object was not sent: its file is gone, or another one")

    def _note(self, each: Outgoing, status: int) -> None:
        """Commit what the peer has answered before the next object goes out."""
        state = state_after(status)
        pause = self._pause if state is Sending.PENDING else 0.0
        self._outbox.record(
            replace(
                each,
                state=state,
                status=status,
                tries=each.tries + 1,
                next_try=time.time() + pause if pause else 0.0,
            )
        )
        if state is Sending.SENT:
            self.sent += 1
            self._moved, self._pause = time.monotonic(), _FIRST_PAUSE
        if status != SUCCESS:
            name = display_name(each.path)
            self._say(f"warning: {self._line.to}: {name} was answered with {words(status)}")


def _committed(job: SendJob, line: Line, outbox: Outbox, say: Say) -> set[str]:
    """Ask about everything that was sent; the instances that were asked about."""
    listen = Address.parse(job.commit_bind) if job.commit_bind else None
    sent = outbox.in_state(str(line.to), Sending.SENT)
    for start in range(0, len(sent), _OF_ONE_QUESTION):
        part = sent[start : start + _OF_ONE_QUESTION]
        try:
            answer = commitment(line, part, listen, job.commit_seconds)
        except NoAssociationError as error:
            say(f"warning: {line.to}: {error}")
            break
        if answer is None:
            say(f"warning: {line.to}: no answer about storage commitment in time")
            break
        outbox.record(*_told(part, answer))
    return {each.instance for each in sent}


def _told(part: list[Outgoing], answer: Commitment) -> Iterator[Outgoing]:
    """Objects after an answer; what the peer has not got is sent again by the next run."""
    for each in part:
        if each.instance in answer.committed:
            yield replace(each, state=Sending.COMMITTED)
        elif each.instance in answer.failed:
            yield replace(each, state=Sending.PENDING, status=answer.failed[each.instance])
