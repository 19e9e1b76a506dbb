"""Decoder processes: as many as there are cores, each replaced when it dies.

Their answers are checked like any other input: see `messages`.
"""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from multiprocessing.connection import wait

import msgspec
import numpy as np
from numpy.typing import NDArray

from cxr_edge.decoders import messages
from cxr_edge.decoders.channel import Channel
from cxr_edge.decoders.messages import MAX_SECONDS
from cxr_edge.decoders.start import Decoders
from cxr_edge.errors import DecoderError
from cxr_edge.intake.prepared import IntakeSettings, Prepared
from cxr_edge.preprocess import VIEW_SIDE
from cxr_edge.support.text import display_name
from cxr_edge.types import FoundFile, Reason, Result

_Finished = tuple[FoundFile, Prepared]

_log = logging.getLogger(__name__)

# Requests that wait in a worker's socket, so that it goes on while the network computes.
DEPTH = 8
# Another process is started for films that would wait behind so many: its start takes the CPU time
# of two JPEGs.
_FILMS_PER_START = 2
# Bytes of an answer besides pixels: a name, facts, and a traceback of a deep recursion.
_HEAD_BYTES = 1024 * 1024
_STARTS_TRIED = 3
_SECONDS_WITH_FEWER = 10.0
_GRACE_SECONDS = 10.0
_LOOK_UP_SECONDS = 0.2  # between two calls of `stop` while nothing arrives


class Workers:
    """A pool of decoder processes; a context manager that leaves none behind."""

    def __init__(
        self, count: int, settings: IntakeSettings, decoders: Decoders | None = None
    ) -> None:
        """Nothing starts before the first file needs it.

        Args:
            count: the most processes that there may be.
            settings: sent to each.
            decoders: starts the processes; by default one of the pool's own.
        """
        if count < 1:
            raise ValueError(f"at least one worker, not {count}")
        self._count = count
        self._fewer, self._fewer_until = count, 0.0  # what the system allowed last, and until when
        self._settings = settings
        self._decoders = decoders or Decoders()
        self._is_own = decoders is None
        self._workers: list[_Worker] = []
        self._returned: deque[_Job] = deque()  # of processes that could not be replaced
        self._deaths_at_start = 0

    def __enter__(self) -> Workers:
        """Start nothing yet."""
        return self

    def __exit__(self, *_: object) -> None:
        """Kill every process, whatever it is doing."""
        for worker in self._workers:
            worker.kill()
        self._workers.clear()
        if self._is_own:
            self._decoders.end()

    def prepare(
        self, files: Iterable[FoundFile], stop: Callable[[], bool]
    ) -> Iterator[tuple[FoundFile, Prepared]]:
        """Decode files, in any order, a bounded number ahead of the caller.

        Args:
            files: read lazily.
            stop: called often; once it returns true, no further file is begun or waited for.

        Yields:
            Every file with its outcome, also one that kills two workers or takes each longer than
            `MAX_SECONDS`.

        Raises:
            DecoderError: no process can be started.
        """
        waiting = iter(files)
        while not stop():
            self._feed(waiting)
            busy = {worker.channel.fileno(): worker for worker in self._workers if worker.jobs}
            if not busy:
                return
            answering = set(wait(list(busy), _LOOK_UP_SECONDS))
            for descriptor, worker in busy.items():
                yield from self._collect(worker, readable=descriptor in answering)

    def _feed(self, waiting: Iterator[FoundFile]) -> None:
        """Keep every worker supplied with `DEPTH` requests."""
        for worker in self._places():
            if (job := self._next(waiting)) is None:
                return
            try:
                (worker or self._started()).send(job)
            except DecoderError as error:
                self._do_without(error, [job])
                return

    def _next(self, waiting: Iterator[FoundFile]) -> _Job | None:
        return self._returned.popleft() if self._returned else next(map(_Job, waiting), None)

    def _places(self) -> Iterator[_Worker | None]:
        """Yield the worker for each next film, the least busy first; None for a new process."""
        for waiting in range(DEPTH):
            while waiting == _FILMS_PER_START and len(self._workers) < self._most():
                yield None
                yield from [self._workers[-1]] * (_FILMS_PER_START - 1)
            yield from [worker for worker in self._workers if len(worker.jobs) == waiting]

    def _most(self) -> int:
        """The most processes that there may be now."""
        return self._fewer if time.monotonic() < self._fewer_until else self._count

    def _started(self) -> _Worker:
        self._workers.append(_Worker(self._settings, self._decoders))
        if len(self._workers) == self._count:
            self._fewer = self._count
        return self._workers[-1]

    def _collect(self, worker: _Worker, *, readable: bool) -> list[_Finished]:
        """Take its answers; a worker that has died, or lies, is replaced."""
        finished: list[_Finished] = []
        try:
            if readable:
                worker.channel.listen()
            while (message := worker.channel.next()) is not None:
                if worker.ready:
                    finished.append(worker.receive(message, self._settings))
                else:
                    worker.greet(message)
                    self._deaths_at_start = 0
            if worker.is_overdue():  # also one that sends a byte now and then
                raise TimeoutError
        except (EOFError, OSError, ValueError):
            finished += self._replace(worker)
        return finished

    def _replace(self, worker: _Worker) -> list[_Finished]:
        """Start a new process for a dead one; its first file is to blame, the others go on."""
        code = worker.kill()
        jobs, finished = _blamed(worker, code)
        self._deaths_at_start = 0 if worker.ready else self._deaths_at_start + 1
        try:
            fresh = self._in_place_of(worker, code)
        except DecoderError as error:
            self._do_without(error, jobs)
        else:
            for job in jobs:
                fresh.send(job)
        return finished

    def _in_place_of(self, worker: _Worker, code: int) -> _Worker:
        self._workers.remove(worker)
        if self._deaths_at_start == _STARTS_TRIED:
            raise DecoderError(f"decoder processes cannot be started here (exit code {code})")
        return self._started()

    def _do_without(self, error: DecoderError, jobs: Iterable[_Job]) -> None:
        """Let the others do its work for a while, if there are any: a system may allow no more."""
        if not self._workers:
            raise error
        if self._fewer == self._count:
            done_by = f"{len(self._workers)} of {self._count}"
            _log.warning("warning: %s; %s decode, others are tried later", error, done_by)
        self._fewer = len(self._workers)
        self._fewer_until = time.monotonic() + _SECONDS_WITH_FEWER
        self._deaths_at_start = 0
        self._returned.extend(jobs)


@dataclass(frozen=True)
class _Job:
    file: FoundFile
    repeated: bool = False


class _Worker:
    """One decoder process and the files sent to it, oldest first."""

    def __init__(self, settings: IntakeSettings, decoders: Decoders) -> None:
        """Start one."""
        try:
            self._decoder = decoders.start()
        except OSError as error:
            raise DecoderError(
                f"decoder processes cannot be started here: {error.strerror}"
            ) from error
        most = _HEAD_BYTES + settings.size**2 + VIEW_SIDE**2
        self.channel = Channel(self._decoder.socket, most)
        self._send(msgspec.convert(settings, messages.Settings, from_attributes=True))
        self.jobs: deque[_Job] = deque()
        self.ready = False
        self._heard = time.monotonic()

    def is_overdue(self) -> bool:
        """Whether its own alarm should have ended it: it is stopped, or waits for a dead share."""
        return time.monotonic() - self._heard > MAX_SECONDS + _GRACE_SECONDS

    def send(self, job: _Job) -> None:
        """Request one more file. A worker that has just died is noticed on receiving."""
        if not self.jobs:
            self._heard = time.monotonic()
        self.jobs.append(job)
        file = job.file
        stamp = messages.stamp_message(file.stamp)
        self._send(messages.Request(os.fsencode(file.path), file.display, stamp))

    def _send(self, message: messages.Settings | messages.Request) -> None:
        with contextlib.suppress(OSError):
            self.channel.send(messages.encode(message))

    def greet(self, message: bytes) -> None:
        """Check the first message of a worker, which shows that it could be started at all."""
        self._heard = time.monotonic()
        if message != messages.READY:
            raise ValueError("no greeting")
        self.ready = True

    def receive(self, message: bytes, settings: IntakeSettings) -> _Finished:
        """Read the next answer.

        Raises:
            ValueError: it makes no sense, so that its worker cannot be trusted.
        """
        self._heard = time.monotonic()
        if not self.jobs:
            raise ValueError("an answer to nothing")
        head, _, pixels = message.partition(b"\n")
        answer = messages.read_answer(head)
        job = self.jobs[0]
        if answer.result.path != job.file.display:
            raise ValueError("an answer about another file")
        if answer.trouble:
            _log.error("%s", "\n".join(map(display_name, answer.trouble.splitlines())))
        if (answer.view is not None) != (settings.view and bool(pixels)):
            raise ValueError("a view that was not requested, or none")
        square, view = _planes(pixels, settings.size, answer.view)
        result = Result.without_score(**msgspec.structs.asdict(answer.result))
        self.jobs.popleft()
        return job.file, Prepared(result, square, messages.stamp_of(answer.stamp), view)

    def kill(self) -> int:
        """Kill it; returns its exit code, or 0 if it hangs in the kernel and is left there."""
        return self._decoder.end()


def _blamed(worker: _Worker, code: int) -> tuple[list[_Job], list[_Finished]]:
    """Split a dead worker's jobs into those to repeat and the outcome of one that is to blame."""
    if not (worker.ready and worker.jobs):
        return list(worker.jobs), []
    blamed, *others = worker.jobs
    if not blamed.repeated:  # the machine may have run out of memory, or a share stood still
        return [replace(blamed, repeated=True), *others], []
    timed_out = code == -signal.SIGALRM or worker.is_overdue()
    reason = Reason.TIMEOUT if timed_out else Reason.DECODER_CRASHED
    result = Result.without_score(blamed.file.display, reason)
    return others, [(blamed.file, Prepared(result))]


def _planes(
    pixels: bytes, size: int, view: tuple[int, int] | None
) -> tuple[NDArray[np.uint8] | None, NDArray[np.uint8] | None]:
    """Uint8 [S, S, 1] and the view, None for no bytes; ValueError for a wrong number of them."""
    if not pixels:
        return None, None
    square, rest = pixels[: size**2], pixels[size**2 :]
    if rest and view is None:
        raise ValueError("more bytes than a film has")
    if view is not None and not all(1 <= side <= VIEW_SIDE for side in view):
        raise ValueError(f"a view of {view}")
    shown = None if view is None else np.frombuffer(rest, np.uint8).reshape(view)
    return np.frombuffer(square, np.uint8).reshape(size, size, 1), shown
