"""The engine of one machine: decoder processes, and forward passes in threads."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass

from cxr_edge.decoders.pool import Workers
from cxr_edge.engines.forward_passes import Item, Networks, Passes
from cxr_edge.engines.protocol import KnownScores
from cxr_edge.errors import CxrEdgeError
from cxr_edge.ledger.rows import Entry
from cxr_edge.types import FoundFile, Result


@dataclass(frozen=True)
class Local:
    """Decodes in other processes, scores in this one.

    Attributes:
        networks: the loaded classifier, and its scope gate.
        workers: the decoder processes.
        batch_size: films per forward pass; the scores do not depend on it.
        ahead: forward passes under way while the films of the next one are collected, see `Passes`.
    """

    networks: Networks
    workers: Workers
    batch_size: int
    ahead: int

    def __post_init__(self) -> None:
        """Refuse a batch without a film, and no pass at all."""
        if self.batch_size < 1:
            raise ValueError(f"batch size must be at least 1: {self.batch_size}")
        if self.ahead < 1:
            raise ValueError(f"passes ahead must be at least 1: {self.ahead}")

    def rows(
        self, files: Iterable[FoundFile | None], known: KnownScores, stop: Callable[[], bool]
    ) -> Generator[list[Entry], None, None]:
        """See `protocol.Engine`: while batches are in the network, the next is collected."""
        with Passes(self.networks, known, self.ahead) as passes:
            try:
                yield from self._passed(passes, self.workers.prepare(files, stop))
            except CxrEdgeError:
                # Decoding may have failed, and these are scored; what failed itself, fails again.
                with suppress(CxrEdgeError):
                    yield from passes.finish()
                raise

    def _passed(self, passes: Passes, items: Iterable[Item]) -> Iterator[list[Entry]]:
        batch: list[Item] = []
        for item in items:
            batch.append(item)
            if len(batch) == self.batch_size:
                yield from passes.begin(batch)
                batch = []
        yield from passes.begin(batch)
        yield from passes.finish()

    def identify(self, files: Iterable[FoundFile], stop: Callable[[], bool]) -> Iterator[Result]:
        """See `protocol.Engine`."""
        return (prepared.result for _, prepared in self.workers.identify(files, stop))
