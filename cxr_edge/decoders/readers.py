"""Reader processes as the pool sees them: one, and more where a share keeps them waiting."""

from __future__ import annotations

import contextlib
import logging
import math
import os
import resource
import time
from collections import deque
from dataclasses import replace

from cxr_edge.decoders import forkserver, messages
from cxr_edge.decoders.channel import received, sent
from cxr_edge.decoders.films import Film
from cxr_edge.decoders.messages import MAX_SECONDS, MOST_READ_BYTES
from cxr_edge.decoders.start import Decoders
from cxr_edge.errors import DecoderError
from cxr_edge.intake.read import MAX_BYTES, Held
from cxr_edge.types import Reason, Root

DEPTH = 8  # requests that wait in a reader's socket: it goes on while the network computes
_STARTS_TRIED = 3
_SECONDS_BETWEEN_STARTS = 0.2

_log = logging.getLogger(__name__)

# A film and why it cannot be read. Without a reason it has its bytes, or is to be asked for again.
Outcome = tuple[Film, Reason | None]


class Reader:
    """One reader process and the films that it was asked for, oldest first."""

    def __init__(self, decoders: Decoders) -> None:
        """Start one; DecoderError if the system refuses."""
        self._process = decoders.begin(forkserver.READER)
        self.socket = self._process.socket
        self.films: deque[Film] = deque()
        self.is_ready = False
        self._heard = time.monotonic()
        self.started = math.inf  # when it was ready

    def is_overdue(self) -> bool:
        """Whether it waits for a share that is gone."""
        return bool(self.films) and time.monotonic() - self._heard > MAX_SECONDS

    def send(self, film: Film) -> bool:
        """Ask for a film; False if its socket is full. One that has just died is noticed later."""
        with contextlib.suppress(OSError):
            if not sent(self.socket, messages.encode(_request(film))):
                return False
        if not self.films:
            self._heard = time.monotonic()
        self.films.append(film)
        return True

    def receive(self) -> Outcome | None:
        """The reader's next answer, if there is one.

        Raises:
            EOFError, OSError, ValueError: it has died, or was never the reader.
        """
        if (packet := received(self.socket, MOST_READ_BYTES)) is None:
            return None
        text, descriptors = packet
        if not text:
            raise EOFError
        self._heard = time.monotonic()
        if not self.is_ready:
            return self._greeted(text)
        try:
            outcome = _outcome(self.films[0], messages.read_read_answer(text), descriptors)
        except (ValueError, IndexError):  # a descriptor is lost where this process has no place
            for descriptor in descriptors:
                os.close(descriptor)
            raise ValueError("no answer of a reader") from None
        self.films.popleft()  # not before: of what is not answered, somebody else is asked
        return outcome

    def _greeted(self, text: bytes) -> Outcome | None:
        """Check the first message, which shows that it could be started at all."""
        if text != messages.READY:
            raise ValueError("no greeting")
        self.is_ready = True
        self.started = self._heard
        return self.receive()

    def kill(self) -> int:
        """Kill it; returns its exit code, or 0 if it hangs in the kernel and is left there."""
        return self._process.end()


class Readers:
    """The pool's readers; the first starts with the first film."""

    def __init__(self, most: int, decoders: Decoders) -> None:
        """Start none yet.

        Args:
            most: as many as there may be.
            decoders: starts the processes.
        """
        self._most = most
        self._decoders = decoders
        self._readers: list[Reader] = []
        self._deaths_at_start = 0
        self._is_warned = False

    def send(self, film: Film) -> bool:
        """Ask for a film; False if every reader has enough to do.

        Raises:
            DecoderError: none can be started.
        """
        if not self._readers:
            self._warn_of_limit()
            self._start()
        reader = min(self._readers, key=lambda each: len(each.films))
        return len(reader.films) < DEPTH and reader.send(film)

    def waited_for(self) -> dict[int, Reader]:
        """Readers that have films to answer for, by descriptor."""
        return {each.socket.fileno(): each for each in self._readers if each.films}

    def support(self) -> None:
        """Start another one, unless one has just started or the system refuses.

        For readers that have films to answer for, and do not, while decoders have nothing to do.
        """
        latest = max(each.started for each in self._readers)
        recently = time.monotonic() - latest < _SECONDS_BETWEEN_STARTS
        if len(self._readers) < self._most and not recently:
            with contextlib.suppress(DecoderError):
                self._start()

    def collect(self, reader: Reader, *, readable: bool) -> list[Outcome]:
        """Take its answers; of one that has died, its films to be asked for again.

        Raises:
            DecoderError: each that is started dies.
        """
        outcomes: list[Outcome] = []
        try:
            while readable and (outcome := reader.receive()) is not None:
                outcomes.append(outcome)
            if not reader.is_overdue():
                return outcomes
        except (EOFError, OSError, ValueError):
            pass
        return outcomes + self._without(reader)

    def end(self) -> None:
        """Kill every one, whatever it is doing."""
        for reader in self._readers:
            reader.kill()
        self._readers.clear()

    def _warn_of_limit(self) -> None:
        """Say once that larger films will be refused, which no copying again mends."""
        _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        if not self._is_warned and hard != resource.RLIM_INFINITY and hard < MAX_BYTES:
            self._is_warned = True
            _log.warning(
                "warning: no file may be larger than %d bytes here (ulimit -f): larger films "
                "are io_error",
                hard,
            )

    def _start(self) -> None:
        self._readers.append(Reader(self._decoders))

    def _without(self, reader: Reader) -> list[Outcome]:
        """End a reader; others read its films, of which the first is to blame."""
        is_overdue = reader.is_overdue()
        code = reader.kill()
        self._readers.remove(reader)
        self._deaths_at_start = 0 if reader.is_ready else self._deaths_at_start + 1
        if self._deaths_at_start == _STARTS_TRIED:
            raise DecoderError(f"decoder processes cannot be started here (exit code {code})")
        if not (reader.is_ready and reader.films):
            return [(film, None) for film in reader.films]
        blamed, *others = reader.films
        reason = Reason.TIMEOUT if is_overdue else Reason.IO_ERROR
        first = (blamed, reason) if blamed.repeated else (replace(blamed, repeated=True), None)
        return [first, *((film, None) for film in others)]


def _request(film: Film) -> messages.ReadRequest:
    file = film.file
    root, stamp = _root(file.root), messages.stamp_message(file.stamp)
    return messages.ReadRequest(os.fsencode(file.path), root, stamp, film.room)


def _root(root: Root | None) -> messages.RootMessage | None:
    if root is None:
        return None
    return messages.RootMessage(os.fsencode(root.path), root.device, root.inode)


def _outcome(film: Film, answer: messages.ReadAnswer, descriptors: list[int]) -> Outcome:
    """Turn an answer into the film's outcome; ValueError where it makes no sense."""
    if answer.size is None:
        return film, answer.reason or Reason.INTERNAL_ERROR
    if not answer.sha256:  # there was no room
        return replace(film, lacking=answer.size), None
    (descriptor,) = descriptors
    stamp = messages.stamp_of(answer.stamp)
    return film.read(Held(descriptor, answer.size, answer.sha256, stamp)), None
