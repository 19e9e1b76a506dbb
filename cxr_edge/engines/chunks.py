"""Hands out films in chunks to remote workers, and again if a worker dies with its chunk.

Whatever starts the workers and carries chunks to them is a `Pool`; nothing here knows which.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Protocol

from cxr_edge.engines.protocol import KnownScores
from cxr_edge.errors import CxrEdgeError
from cxr_edge.intake.prepare import refused
from cxr_edge.ledger.rows import Entry
from cxr_edge.types import FoundFile, Reason, Result, Stamp

FILMS_PER_CHUNK = 32  # two seconds of a core; lost and computed again if a worker dies
_LIVES = 4  # workers that may die with one film
_ROWS_TOGETHER = 1000  # handed on at once: a commit waits for the disk, however few they are
_SECONDS_TOGETHER = 1.0
_LOOK_UP_SECONDS = 0.2  # between two calls of `stop` while nothing arrives
_SECONDS_TO_STOP = 60.0  # for films under way; a lost node never answers

# Which film of its chunk, its row without `new`, and what its file looked like.
Row = tuple[int, Result, Stamp | None]


@dataclass(frozen=True)
class Chunk:
    """Films that go to a worker together.

    Attributes:
        files: at least one.
        header_only: read whose films they are, and decode no pixel.
        deaths: workers that have died with them.
    """

    files: list[FoundFile]
    header_only: bool = False
    deaths: int = 0

    def again(self) -> list[Chunk]:
        """The whole chunk after a first death; then each film alone, as one may be the cause."""
        deaths = self.deaths + 1
        if deaths == 1:
            return [replace(self, deaths=deaths)]
        return [replace(self, files=[file], deaths=deaths) for file in self.files]


@dataclass(frozen=True)
class Ended:
    """Outcome of a chunk.

    Attributes:
        rows: of its films; None where its worker has died.
        is_refused: whether its worker must not be used; that is not a film's fault.
    """

    chunk: Chunk
    rows: list[Row] | None
    is_refused: bool = False


class Pool(Protocol):
    """A changing set of workers."""

    @property
    def under_way(self) -> int:
        """Number of chunks under way."""

    def has_place(self) -> bool:
        """Whether a worker would take a chunk now."""

    def begin(self, chunk: Chunk) -> None:
        """Give a chunk to a worker; one is free."""

    def ended(self, seconds: float) -> Iterable[Ended]:
        """Chunks that have ended, those before an error too; waits for one, but not for longer.

        Raises:
            CxrEdgeError: no worker can be had any more, or none should go on.
        """

    def stop(self) -> None:
        """Have every worker end with the films that it has begun."""


class Distributed:
    """An engine over a pool.

    Attributes:
        twice: films that were handed out more than once.
    """

    def __init__(self, pool: Pool) -> None:
        """Begin nothing yet."""
        self._pool = pool
        self._waiting: deque[Chunk] = deque()
        self._rows: list[Entry] = []
        self._recorded = 0.0  # when rows were handed on last, on the monotonic clock
        self.twice = 0

    def rows(
        self, files: Iterable[FoundFile | None], known: KnownScores, stop: Callable[[], bool]
    ) -> Generator[list[Entry], None, None]:
        """See `protocol.Engine`; `known` is not used, as remote workers have no ledger."""
        return self._through(_Source(files), stop)

    def identify(self, files: Iterable[FoundFile], stop: Callable[[], bool]) -> Iterator[Result]:
        """See `protocol.Engine`."""
        groups = self._through(_Source(files, header_only=True), stop)
        return (entry.result for entries in groups for entry in entries)

    def _through(
        self, source: _Source, stop: Callable[[], bool]
    ) -> Generator[list[Entry], None, None]:
        try:
            yield from self._until_stopped(source, stop)
        except CxrEdgeError:
            yield from self._handed_on(0)
            raise

    def _until_stopped(
        self, source: _Source, stop: Callable[[], bool]
    ) -> Generator[list[Entry], None, None]:
        while not stop():
            if self._pool.has_place() and (chunk := self._next(source)) is not None:
                self._pool.begin(chunk)
                self._collect(0)
            elif source.is_over and not (self._waiting or self._pool.under_way):
                yield from self._handed_on(0)
                return
            else:
                self._collect(_LOOK_UP_SECONDS)
            yield from self._handed_on(_ROWS_TOGETHER)
        yield from self._handed_on(0)
        yield from self._stopped()

    def _next(self, source: _Source) -> Chunk | None:
        """The next chunk to begin; None where there is none now."""
        return self._waiting.popleft() if self._waiting else source.chunk()

    def _collect(self, seconds: float) -> None:
        for ended in self._pool.ended(seconds):
            entries = _entries(ended)
            if len(entries) < len(ended.chunk.files):
                entries += self._handed_out_again(ended, entries)
            self._rows += entries

    def _handed_on(self, most: int) -> Iterator[list[Entry]]:
        """The rows that have arrived, unless few and recent: a commit waits for the disk."""
        is_due = time.monotonic() - self._recorded > _SECONDS_TOGETHER
        if self._rows and (len(self._rows) >= most or is_due):
            rows, self._rows = self._rows, []
            yield rows
            self._recorded = time.monotonic()

    def _handed_out_again(self, ended: Ended, answered: list[Entry]) -> list[Entry]:
        """Hand out films without a row again; returns rows of those that cost too many workers."""
        chunk, done = ended.chunk, {entry.file.path for entry in answered}
        lost = replace(chunk, files=[file for file in chunk.files if file.path not in done])
        if len(lost.files) == 1 and lost.deaths + 1 >= _LIVES and not ended.is_refused:
            return [_given_up(lost.files[0])]
        self._waiting.extend([lost] if ended.is_refused else lost.again())
        self.twice += len(lost.files)
        return []

    def _stopped(self) -> Iterator[list[Entry]]:
        """Rows of the chunks under way; a chunk whose worker is lost now gives none."""
        self._waiting.clear()
        self._pool.stop()
        deadline = time.monotonic() + _SECONDS_TO_STOP
        while self._pool.under_way and time.monotonic() < deadline:
            yield from map(_entries, self._pool.ended(_LOOK_UP_SECONDS))


class _Source:
    """Found files in chunks.

    Attributes:
        is_over: whether there are no more.
    """

    def __init__(self, files: Iterable[FoundFile | None], *, header_only: bool = False) -> None:
        """Take none yet."""
        self._files = iter(files)
        self._header_only = header_only
        self.is_over = False

    def chunk(self) -> Chunk | None:
        """The next films, fewer where no more are found for a moment; None for none."""
        films: list[FoundFile] = []
        while len(films) < FILMS_PER_CHUNK:
            try:
                film = next(self._files)
            except StopIteration:
                self.is_over = True
                break
            if film is None:
                break
            films.append(film)
        return Chunk(films, self._header_only) if films else None


def _entries(ended: Ended) -> list[Entry]:
    files = ended.chunk.files
    return [Entry(files[place], result, stamp) for place, result, stamp in ended.rows or ()]


def _given_up(file: FoundFile) -> Entry:
    return Entry(file, refused(file, Reason.DECODER_CRASHED).result)
