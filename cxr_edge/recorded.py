"""A run in the ledger as the rows of a report."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from cxr_edge.ledger import Run
from cxr_edge.triage import TriageRow, place, reading_key


@dataclass(frozen=True)
class RecordedRows:
    """A run's rows in reading order, read from the ledger each time and never held together."""

    run: Run
    threshold: float

    def __iter__(self) -> Iterator[TriageRow]:
        """From the first rank to the last."""
        return place(self.run.results(reading_key(self.threshold)), self.threshold)
