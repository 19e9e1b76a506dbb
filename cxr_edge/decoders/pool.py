"""Reader and decoder processes: as many decoders as there are cores, each replaced when it dies.

    file -> reader -> sealed memory, hash -> this process -> decoder -> pixels

Readers are believed. Decoders are not: they are given bytes and no name, what they answer belongs
to the film that they were given, and is checked like any other input: see `messages`.
"""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from multiprocessing.connection import wait
from pathlib import Path

from cxr_edge.decoders.decoder import Decoder
from cxr_edge.decoders.films import Film, Room
from cxr_edge.decoders.messages import MAX_SECONDS
from cxr_edge.decoders.readers import Outcome, Readers
from cxr_edge.decoders.start import Decoders
from cxr_edge.errors import DecoderError
from cxr_edge.images.names import may_be_dicom
from cxr_edge.intake.prepare import refused
from cxr_edge.intake.prepared import Decoded, IntakeSettings, Prepared, Scope
from cxr_edge.intake.read import MAX_BYTES, hold
from cxr_edge.types import FoundFile, Reason

_Finished = tuple[FoundFile, Prepared]

_log = logging.getLogger(__name__)

# Requests that wait in a worker's socket, so that it goes on while the network computes.
DEPTH = 8
# Another process is started for films that would wait behind so many: its start takes the CPU time
# of two JPEGs.
_FILMS_PER_START = 2
_FILMS_PER_WAKE = 4  # half of what one decoder has waiting
_STARTS_TRIED = 3
_SECONDS_WITH_FEWER = 10.0
_LOOK_UP_SECONDS = 0.2  # between two calls of `stop` while nothing arrives
# After such an absence of the caller, an answer that fills the socket has time to come in whole.
_ABSENCE_SECONDS = 1.0
_ANY_SETTINGS = IntakeSettings(1, Scope((0.0, 0.0), ()))


class Workers:
    """A pool of reader and decoder processes; a context manager that leaves none behind."""

    def __init__(
        self, count: int, settings: IntakeSettings, decoders: Decoders | None = None
    ) -> None:
        """Nothing starts before the first file needs it.

        Args:
            count: the most decoder processes that there may be.
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
        self._readers = Readers(count, self._decoders)
        self._workers: list[Decoder] = []
        self._room = Room(DEPTH * count, count)
        self._unread: deque[Film] = deque()  # to be asked for again, or as soon as there is room
        self._ready: deque[Film] = deque()  # read, and with no decoder yet
        self._deaths_at_start = 0
        self._looked = self._back = time.monotonic()

    def __enter__(self) -> Workers:
        """Start nothing yet."""
        return self

    def __exit__(self, *_: object) -> None:
        """Kill every process, whatever it is doing."""
        self.forget()
        if self._is_own:
            self._decoders.end()

    def forget(self) -> None:
        """Give up every film on its way, and kill whoever has one; the next film finds others.

        For who was interrupted: an answer that comes later would be taken for that of another film.
        """
        for worker in self._workers:
            worker.kill()
        self._readers.end()
        for film in (*self._ready, *(film for each in self._workers for film in each.films)):
            film.let_go()
        for each in (self._workers, self._ready, self._unread):
            each.clear()
        self._room = Room(DEPTH * self._count, self._count)

    def prepare(
        self, files: Iterable[FoundFile | None], stop: Callable[[], bool]
    ) -> Iterator[tuple[FoundFile, Prepared]]:
        """Read and decode files, in any order, a bounded number ahead of the caller.

        Args:
            files: read lazily; None where there is none yet.
            stop: called often; once it returns true, no further file is begun or waited for.

        Yields:
            Every file with its outcome, also one that kills two workers or takes each longer than
            `MAX_SECONDS`.

        Raises:
            DecoderError: no process can be started.
        """
        waiting = (None if file is None else Film.of(file) for file in files)
        yield from self._through(waiting, stop)

    def identify(
        self, files: Iterable[FoundFile], stop: Callable[[], bool]
    ) -> Iterator[tuple[FoundFile, Prepared]]:
        """Read whom films are of, as `prepare` does, and decode no pixel."""
        yield from self._through((Film.of(each, header_only=True) for each in files), stop)

    def _through(
        self, waiting: Iterator[Film | None], stop: Callable[[], bool]
    ) -> Iterator[_Finished]:
        while not stop():
            more = self._ask_for(waiting)
            self._start_decoders()
            self._hand_out()
            if not self._room.films:
                if not more:
                    return
                continue
            yield from self._look()

    def prepare_bytes(self, data: bytes, name: str) -> Prepared:
        """Decode a film that this process has; DecoderError if no process can be started.

        Args:
            data: a whole file.
            name: what its row is called.
        """
        file = FoundFile(Path(name), name)
        if len(data) > MAX_BYTES:
            return refused(file, Reason.TOO_LARGE)
        try:
            held = hold([data])
        except OSError:  # a limit on the size of files counts sealed memory as well
            return refused(file, Reason.IO_ERROR)
        film = replace(Film.of(file), size=len(data), held=held)
        self._room.take(film)
        self._ready.append(film)
        ((_, prepared),) = self.prepare([], lambda: False)
        return prepared

    def _ask_for(self, waiting: Iterator[Film | None]) -> bool:
        """Have as many films read as there is room for, several at once: a reader wakes up once.

        Returns:
            whether there may be more.
        """
        if self._room.films > DEPTH * self._count - _FILMS_PER_WAKE:
            return True
        while True:
            try:
                film = self._unread.popleft() if self._unread else next(waiting)
            except StopIteration:
                return False
            if film is None:
                return True
            if not (self._room.has_place(film) and self._is_asked_for(film)):
                self._unread.appendleft(film)
                return True
            self._room.take(film)

    def _is_asked_for(self, film: Film) -> bool:
        try:
            is_asked_for = self._readers.send(film)
        except DecoderError:
            if not self._room.films:
                raise
            return False  # others are under way; a reader may be had later
        # Behind the reader, which is forked by the process that imports now.
        if len(self._workers) < self._count and may_be_dicom(film.file.path.name):
            self._decoders.expect_dicom()
        return is_asked_for

    def _start_decoders(self) -> None:
        """Start one for every few films, while these are being read."""
        wanted = -(-self._room.films // _FILMS_PER_START)
        while len(self._workers) < min(wanted, self._most()):
            try:
                self._start()
            except DecoderError as error:
                self._do_without(error)

    def _most(self) -> int:
        """The most decoders that there may be now."""
        return self._fewer if time.monotonic() < self._fewer_until else self._count

    def _start(self) -> None:
        self._workers.append(Decoder(self._settings, self._decoders))
        if len(self._workers) == self._count:
            self._fewer = self._count

    def _hand_out(self) -> None:
        """Give the films that are read to the decoders with the fewest."""
        while self._ready:
            worker = min(self._workers, key=lambda each: len(each.films))
            if len(worker.films) == DEPTH or not worker.send(self._ready[0]):
                return
            self._ready.popleft()

    def _look(self) -> Iterator[_Finished]:
        """Wait for answers and take them; whoever is overdue is ended."""
        now = time.monotonic()
        if now - self._looked > _ABSENCE_SECONDS:
            self._back = now
        readers = self._readers.waited_for()
        workers = {worker.channel.fileno(): worker for worker in self._workers}
        answering = set(wait([*readers, *workers], _LOOK_UP_SECONDS))
        is_idle = any(not worker.films for worker in self._workers)
        if readers and is_idle and answering.isdisjoint(readers):
            self._readers.support()
        finished: list[_Finished] = []
        for descriptor, reader in readers.items():
            outcomes = self._readers.collect(reader, readable=descriptor in answering)
            finished += self._sorted(outcomes)
        for descriptor, worker in workers.items():
            finished += self._collect(worker, readable=descriptor in answering)
        self._looked = time.monotonic()
        yield from finished

    def _sorted(self, outcomes: Iterable[Outcome]) -> Iterator[_Finished]:
        """Put films where they belong now; yields those that nobody can read."""
        for film, reason in outcomes:
            if reason is not None:
                yield self._done(film, refused(film.file, reason))
            elif film.held is not None:
                self._ready.append(self._room.measured(film, film.held.size))
            else:
                self._room.give(film)
                self._unread.append(film.once_more())

    def _collect(self, worker: Decoder, *, readable: bool) -> list[_Finished]:
        """Take its answers; a worker that has died, or lies, is replaced."""
        finished: list[_Finished] = []
        try:
            if readable:
                worker.channel.listen()
            while (message := worker.channel.next()) is not None:
                if worker.ready:
                    finished.append(self._received(worker, message))
                else:
                    self._decoders.sandbox = worker.greet(message)
                    self._deaths_at_start = 0
            if self._is_overdue(worker):  # also one that sends a byte now and then
                raise TimeoutError
        except (EOFError, OSError, ValueError):
            finished += self._replace(worker)
        return finished

    def _received(self, worker: Decoder, message: bytes) -> _Finished:
        """Join a decoder's answer with its film; ValueError where it makes no sense."""
        film, decoded = worker.receive(message, self._settings)
        if film.held is None:
            raise ValueError("an answer about a film that was not read")
        prepared = Prepared.of(film.file.display, film.held, decoded)
        worker.films.popleft()
        return self._done(film, prepared)

    def _done(self, film: Film, prepared: Prepared) -> _Finished:
        self._room.give(film)
        film.let_go()
        return film.file, prepared

    def _is_overdue(self, worker: Decoder) -> bool:
        """Whether its film takes too long: it computes without end, or is stopped."""
        return worker.waited() > MAX_SECONDS and time.monotonic() - self._back > _ABSENCE_SECONDS

    def _replace(self, worker: Decoder) -> list[_Finished]:
        """Start a new process for a dead one; its first film is to blame, the others go on."""
        is_overdue = self._is_overdue(worker)
        code = worker.kill()
        self._workers.remove(worker)
        again = list(worker.films)
        finished: list[_Finished] = []
        if worker.ready and worker.films:
            if again[0].repeated:
                finished = [self._given_up(again.pop(0), is_overdue=is_overdue)]
            else:  # the machine may have run out of memory, or stood still
                again[0] = replace(again[0], repeated=True)
        self._deaths_at_start = 0 if worker.ready else self._deaths_at_start + 1
        self._start_again(code, again)
        return finished

    def _given_up(self, film: Film, *, is_overdue: bool) -> _Finished:
        """The outcome of a film that was too much for two decoders."""
        reason = Reason.TIMEOUT if is_overdue else Reason.DECODER_CRASHED
        if film.held is None:
            return self._done(film, refused(film.file, reason))
        return self._done(film, Prepared.of(film.file.display, film.held, Decoded(reason)))

    def _start_again(self, code: int, films: list[Film]) -> None:
        """Start a process in place of one that has died; it gets the other's films.

        Another might have died as well, unnoticed, and a film would be blamed for that.
        """
        try:
            if self._deaths_at_start == _STARTS_TRIED:
                raise DecoderError(f"decoder processes cannot be started here (exit code {code})")
            self._start()
        except DecoderError as error:
            self._ready.extendleft(reversed(films))
            self._do_without(error)
        else:
            self._ready.extend(film for film in films if not self._workers[-1].send(film))

    def _do_without(self, error: DecoderError) -> None:
        """Let the others do the work for a while, if there are any: a system may allow no more."""
        if not self._workers:
            raise error
        if self._fewer == self._count:
            done_by = f"{len(self._workers)} of {self._count}"
            _log.warning("warning: %s; %s decode, others are tried later", error, done_by)
        self._fewer = len(self._workers)
        self._fewer_until = time.monotonic() + _SECONDS_WITH_FEWER
        self._deaths_at_start = 0


def sandbox() -> str:
    """Ask a decoder, started for it, which limits hold for it on this machine.

    Raises:
        DecoderError: none can be started.
    """
    with Decoders() as decoders, Workers(1, _ANY_SETTINGS, decoders) as workers:
        workers.prepare_bytes(b"", "nothing")
        return decoders.sandbox
