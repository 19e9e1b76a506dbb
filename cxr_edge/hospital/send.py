"""Sends the objects of the outbox until each was answered with Success."""

from __future__ import annotations

import itertools
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from pynetdicom.association import Association

from cxr_edge.errors import StateBusyError
from cxr_edge.hospital.peers import Address, Receiver, checked_title
from cxr_edge.hospital.send_job import SendJob
from cxr_edge.hospital.send_objects import (
    NoObjectError,
    check_same,
    files_below,
    has_changed_since,
    object_of,
    real_folder,
    syntax_of,
)
from cxr_edge.hospital.send_outbox import SharedOutbox
from cxr_edge.hospital.send_wire import (
    CONTEXTS,
    Commitment,
    Line,
    NoAssociationError,
    NotOfferedError,
    commitment,
    sending,
    store,
)
from cxr_edge.hospital.statuses import SUCCESS, state_after, words
from cxr_edge.hospital.tls import TlsFiles
from cxr_edge.ledger.outbox import DONE, Outbox, Outgoing, Sending
from cxr_edge.support.text import display_name

_FIRST_PAUSE, _LONGEST_PAUSE = 2.0, 60.0
_OF_ONE_QUESTION = 1000  # objects that a peer is asked at once to take into its care
_GONE = (FileNotFoundError, NotADirectoryError)
Say = Callable[[str], None]


@dataclass(frozen=True)
class Delivery:
    """Counts of the objects of a run, by outcome.

    Attributes:
        counts: by state, with the waiting objects of earlier runs.
        others: files left out because another object has their UID in the outbox.
        bad: files left out because they are not DICOM objects or cannot be read.
        damaged: rows of the outbox that may belong to waiting objects, of any peer.
        is_new: whether a new outbox was begun because the ledger was damaged.
        sent: objects that this run has sent.
        commit: whether commitment was asked for.
    """

    counts: Counter[Sending]
    others: int
    bad: int
    damaged: int
    is_new: bool
    sent: int
    commit: bool

    @property
    def complete(self) -> bool:
        """Whether everything has arrived, and is in the peer's care if that was asked for."""
        open_states = [Sending.PENDING, Sending.REFUSED, Sending.LOST]
        open_states += [Sending.SENT] if self.commit else []
        left_out = self.others or self.bad or self.damaged or self.is_new
        return not left_out and not any(self.counts[state] for state in open_states)

    def line(self, peer: str) -> str:
        """A summary in one line."""
        counts = ", ".join(f"{self.counts[s]} {s}" for s in Sending if self.counts[s])
        others = f", {self.others} not taken: another object has their UID"
        more = others if self.others else ""
        more += f", {self.bad} left out: no DICOM object, or not readable" if self.bad else ""
        more += f", {self.damaged} damaged in the outbox" if self.damaged else ""
        return f"{peer}: {self.sent} sent now; of its objects {counts or 'none'}{more}"


def send(job: SendJob, state: Path, say: Say) -> Delivery:
    """Put objects into the outbox, and send all that wait there for this peer.

    The state folder is held while objects go out, and never while the peer is waited for.

    Args:
        job: what is asked for.
        state: folder of the ledger.
        say: prints a line; no line contains patient data, unless a file name does.

    Raises:
        InputError: an address, a title, the folder or a file of TLS cannot be used.
        StateBusyError: another run holds the state folder now.
        StateError: the ledger cannot be written.
    """
    to = Receiver.parse(job.to)
    line = Line(checked_title(job.title), to, TlsFiles(*job.tls) if job.tls else None)
    shared, peer = SharedOutbox(state, say), str(to)
    folder = real_folder(job.folder)
    with shared.held() as outbox:
        arrived = outbox.gone_out(peer, folder)
    objects, bad = _objects(files_below(folder), peer, arrived, say)
    with shared.held() as outbox:
        others = outbox.add(objects)
        waiting = outbox.in_state(peer, Sending.PENDING)
    concerned = {each.instance for each in (*objects, *waiting)}
    with sending():
        sender = _Sender(line, shared, say, job.patience)
        sender.send_all()
        if job.commit:
            concerned |= _committed(job, line, shared, say)
    with shared.read() as outbox:
        states = [found.state for each in concerned if (found := outbox.find(peer, each))]
        damaged = outbox.damaged(set(DONE) - ({Sending.SENT} if job.commit else set()))
    if damaged:
        rows = "row is" if damaged == 1 else "rows are"
        say(f"warning: {damaged} {rows} damaged in the outbox; send again what has not arrived")
    is_new = shared.is_new
    return Delivery(Counter(states), len(others), bad, damaged, is_new, sender.sent, job.commit)


def _objects(
    paths: Iterable[Path], peer: str, arrived: Mapping[Path, tuple[Outgoing, datetime]], say: Say
) -> tuple[list[Outgoing], int]:
    """Objects to send, or sent already, and the number of files that are neither.

    A file that has arrived is not read again: a folder may hold the results of many nights.
    """
    objects, bad = [], 0
    for path in paths:
        known, moment = arrived.get(path, (None, None))
        if known is not None and moment is not None and not has_changed_since(path, moment):
            objects.append(known)
            continue
        try:
            objects.append(object_of(path, peer))
        except NoObjectError as error:
            bad += 1
            say(f"warning: {error}")
    return objects, bad


class _Sender:
    """Sends what waits for a peer, with a pause after each failure."""

    def __init__(self, line: Line, shared: SharedOutbox, say: Say, patience: float) -> None:
        self._line, self._shared, self._say, self._patience = line, shared, say, patience
        self._pause = _FIRST_PAUSE
        self._moved = time.monotonic()  # when something last got through
        self._numbers = itertools.count()
        self._why = ""  # nothing gets through
        # By file and hash: there may be many associations.
        self._syntaxes: dict[tuple[Path, str], str] = {}
        self._unreadable: set[str] = set()  # instances that are left to the next send
        self.sent = 0

    def send_all(self) -> None:
        """Send until nothing waits, or nothing has got through for `patience` seconds."""
        while waiting := self._waiting():
            due = [each for each in waiting if self._is_due(each)]
            try:
                if due and self._send(due):
                    continue
                for_good = False
            except NoAssociationError as error:
                self._why, for_good = str(error), error.for_good
            left = self._patience - (time.monotonic() - self._moved)
            if for_good or left < self._pause:
                self._tell(len(waiting), "left to the next send")
                return
            until = datetime.now(UTC) + timedelta(seconds=left)
            later = f"tried again in {self._pause:.0f} s, until {until:%H:%M:%S} UTC at the latest"
            self._tell(len(waiting), later)
            time.sleep(self._pause)
            self._pause = min(2 * self._pause, _LONGEST_PAUSE)

    def _waiting(self) -> list[Outgoing]:
        with self._shared.read() as outbox:
            waiting = outbox.in_state(str(self._line.to), Sending.PENDING)
        return [each for each in waiting if each.instance not in self._unreadable]

    def _tell(self, number: int, what: str) -> None:
        objects = "object waits" if number == 1 else "objects wait"
        why = f"{self._why}; " if self._why else ""
        self._say(f"warning: {self._line.to}: {why}{number} {objects}, {what}")

    def _is_due(self, each: Outgoing) -> bool:
        # A time further ahead comes from a clock that was wrong.
        return not 0 < each.next_try - time.time() <= _LONGEST_PAUSE

    def _send(self, due: list[Outgoing]) -> bool:
        """Send objects of as many kinds as one association takes; False while another run writes.

        Raises:
            NoAssociationError: it was lost, or never there.
        """
        kinds = self._kinds(due)
        proposed = list(dict.fromkeys(kinds.values()))[:CONTEXTS]
        if not proposed:
            return True
        ready = [each for each in due if kinds.get(each.instance) in proposed]
        with self._line.associated(proposed) as association:
            try:
                with self._shared.held() as outbox:
                    for each in ready:
                        waits = _still_waits(outbox, each)
                        if waits and not self._send_one(association, outbox, each):
                            break
            except StateBusyError as error:
                self._why = str(error)
                return False
        return True

    def _kinds(self, due: list[Outgoing]) -> dict[str, tuple[str, str]]:
        """SOP class and transfer syntax by instance, where the file can be read."""
        kinds, lost = {}, []
        for each in due:
            known = (each.path, each.sha256)
            try:
                if known not in self._syntaxes:
                    self._syntaxes[known] = syntax_of(each.path)
                kinds[each.instance] = (each.sop_class, self._syntaxes[known])
            except _GONE:
                lost.append(each)
            except OSError as error:
                self._leave(each, error)
        if lost:
            with self._shared.held_in_turn(lambda text: self._say(f"note: {text}")) as outbox:
                self._drop(outbox, *lost)
        return kinds

    def _send_one(self, association: Association, outbox: Outbox, each: Outgoing) -> bool:
        """Send an object if its file is what it was; False if the association is over with that.

        Raises:
            NoAssociationError: it was lost.
        """
        try:
            check_same(each)
        except _GONE:
            self._drop(outbox, each)
            return True
        except OSError as error:
            self._leave(each, error)
            return True
        try:
            status = store(association, each.path, next(self._numbers))
        except OSError as error:
            self._leave(each, error)
            return False
        self._note(outbox, each, status)
        return True

    def _leave(self, each: Outgoing, error: OSError) -> None:
        """Leave a file to the next send: a disk that fails now may work again by then."""
        self._unreadable.add(each.instance)
        why = error.strerror or "it cannot be read"
        self._say(f"warning: {display_name(each.path)} is left to the next send: {why}")

    def _drop(self, outbox: Outbox, *lost: Outgoing) -> None:
        """Give up objects whose file has gone or changed."""
        outbox.record(*(replace(each, state=Sending.LOST) for each in lost))
        for each in lost:
            name = display_name(each.path)
            self._say(f"warning: {name} was not sent: it is gone, or another file by now")

    def _note(self, outbox: Outbox, each: Outgoing, status: int) -> None:
        """Commit the peer's answer before the next object goes out."""
        state = state_after(status)
        pause = self._pause if state is Sending.PENDING else 0.0
        outbox.record(
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
            self._why = f"the last answer was {words(status)}"
            self._say(f"warning: {self._line.to}: {name} was answered with {words(status)}")


def _still_waits(outbox: Outbox, each: Outgoing) -> bool:
    """Whether an object still waits: another send may have sent it meanwhile."""
    found = outbox.find(each.peer, each.instance)
    return found is not None and found.state is Sending.PENDING and found.sha256 == each.sha256


def _committed(job: SendJob, line: Line, shared: SharedOutbox, say: Say) -> set[str]:
    """Ask the peer to commit to everything sent; returns the instances asked about."""
    listen = Address.parse(job.commit_bind) if job.commit_bind else None
    with shared.read() as outbox:
        sent = outbox.in_state(str(line.to), Sending.SENT)
    for start in range(0, len(sent), _OF_ONE_QUESTION):
        part = sent[start : start + _OF_ONE_QUESTION]
        try:
            answer = commitment(line, part, listen, job.commit_seconds)
        except NotOfferedError:
            say(f"warning: {line.to} does not offer storage commitment; what was sent stays sent")
            break
        except NoAssociationError as error:
            say(f"warning: {line.to}: {error}")
            break
        if answer is None:
            say(f"warning: {line.to}: no answer about storage commitment in time")
            break
        with shared.held_in_turn(lambda text: say(f"note: {text}")) as outbox:
            outbox.record(*_after_answer(outbox, part, answer, say))
    return {each.instance for each in sent}


def _after_answer(
    outbox: Outbox, part: list[Outgoing], answer: Commitment, say: Say
) -> Iterator[Outgoing]:
    """Objects after an answer; the next run sends again what the peer does not have."""
    for each in part:
        found = outbox.find(each.peer, each.instance)
        if found is None or found.state is not Sending.SENT:
            continue  # another send was faster
        if each.instance in answer.committed:
            yield replace(each, state=Sending.COMMITTED)
        elif (status := answer.failed.get(each.instance)) is not None:
            name = display_name(each.path)
            say(f"warning: {each.peer} has not kept {name}: {words(status)}; it is sent again")
            yield replace(each, state=Sending.PENDING, status=status)
