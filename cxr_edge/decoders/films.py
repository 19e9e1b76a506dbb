"""Films on their way through the pool's processes, and the room that they take meanwhile."""

from __future__ import annotations

import resource
from dataclasses import dataclass, replace

from cxr_edge.intake.read import MAX_BYTES, Held
from cxr_edge.types import FoundFile

_USUAL_BYTES = 32 * 1024 * 1024  # kept free for a film that nobody has looked at
_DESCRIPTORS_PER_FILM = 4  # that a process may open, at most so many a film on its way
_FEWEST_FILMS = 8


@dataclass(frozen=True)
class Film:
    """One film on its way.

    Attributes:
        file: what discovery found.
        size: bytes that room is kept for; None where nobody knows.
        lacking: bytes that it has, where a reader had no room for them.
        held: its bytes, once it was read.
        repeated: whether a process has died over it.
        header_only: whom it is of, and no pixel.
    """

    file: FoundFile
    size: int | None
    lacking: int | None = None
    held: Held | None = None
    repeated: bool = False
    header_only: bool = False

    @classmethod
    def of(cls, file: FoundFile, *, header_only: bool = False) -> Film:
        """A film that is still to be read."""
        return cls(file, file.size, header_only=header_only)

    def read(self, held: Held) -> Film:
        """The same film with its bytes; `dataclasses.replace` would take several times as long."""
        return Film(self.file, self.size, self.lacking, held, self.repeated, self.header_only)

    @property
    def room(self) -> int:
        """Bytes to keep free for it: no more than a film may have, or it would never be read."""
        return _USUAL_BYTES if self.size is None else min(self.size, MAX_BYTES)

    def once_more(self) -> Film:
        """The same film, to be read, of the size that is known by now."""
        return replace(self, size=self.lacking or self.size, lacking=None)

    def let_go(self) -> None:
        """Give its bytes back to the system."""
        if self.held is not None:
            self.held.close()


class Room:
    """Counts films on their way and their bytes, which are all in memory."""

    def __init__(self, films: int, processes: int) -> None:
        """Keep room for some hundred megabytes, and for a film for each process.

        Args:
            films: the most at once; fewer where this process may not open so many descriptors.
            processes: decoders that may be at work.
        """
        allowed = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
        if allowed != resource.RLIM_INFINITY:
            films = min(films, max(allowed // _DESCRIPTORS_PER_FILM, _FEWEST_FILMS))
        self._most_films = films
        self._most_bytes = max(MAX_BYTES, processes * _USUAL_BYTES)
        self.films = 0
        self.bytes = 0

    def has_place(self, film: Film) -> bool:
        """Whether one more film may be read; the largest may where there is no other."""
        fits = self.bytes + film.room <= self._most_bytes
        return self.films < self._most_films and fits

    def take(self, film: Film) -> None:
        """Count a film that is begun."""
        self.films += 1
        self.bytes += film.room

    def give(self, film: Film) -> None:
        """Count a film no longer."""
        self.films -= 1
        self.bytes -= film.room

    def measured(self, film: Film, size: int) -> Film:
        """Count what a film has instead of what was kept for it."""
        self.give(film)
        known = Film(film.file, size, film.lacking, film.held, film.repeated, film.header_only)
        self.take(known)
        return known
