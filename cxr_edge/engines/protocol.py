"""The protocol of all engines: found files in, rows out."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from typing import Protocol

from cxr_edge.ledger.rows import Entry
from cxr_edge.types import FoundFile, Result

KnownScores = Callable[[Sequence[str]], dict[str, float]]  # by sha256


class Engine(Protocol):
    """Reads, decodes and scores films, wherever that is."""

    def rows(
        self, files: Iterable[FoundFile | None], known: KnownScores, stop: Callable[[], bool]
    ) -> Generator[list[Entry], None, None]:
        """Score files, a bounded number ahead of the caller.

        Args:
            files: read lazily; None where there is none yet.
            known: may be asked for scores of bytes that have one already. What was given before
                the next rows are asked for is recorded.
            stop: called often; once it returns true, no further file is begun.

        Yields:
            A row for each file, in any order, several at once; after a stop, of those begun.

        Raises:
            CxrEdgeError: nothing can be scored any more; the rows of what had ended came before.
        """

    def identify(self, files: Iterable[FoundFile], stop: Callable[[], bool]) -> Iterator[Result]:
        """Read whom films are of, and decode no pixel; in any order, until the stop."""
