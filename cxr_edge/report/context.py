"""What a report is made of."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from cxr_edge.spec import ModelSpec
from cxr_edge.triage import Counts, TriageRow, count

BANNER = "Prioritisation aid. Not a diagnosis. Unflagged studies still need reading."
SCHEMA_VERSION = 1


@dataclass(frozen=True)
class RunContext:
    """How the scores came about.

    Attributes:
        operating_point: its name, or `custom` for a threshold given by hand.
        device_asked: as on the command line; `device_used` is what the runner took.
        versions: software that could change a number.
        seconds: wall time from start to the last score.
    """

    spec: ModelSpec
    model_file: str
    model_sha256: str
    operating_point: str
    threshold: float
    device_asked: str
    device_used: str
    versions: dict[str, str]
    started_utc: str
    seconds: float
    command: tuple[str, ...]


@dataclass(frozen=True)
class Report:
    """Rows in reading order and the run they come from."""

    rows: tuple[TriageRow, ...]
    context: RunContext

    @cached_property
    def counts(self) -> Counts:
        """Files by status and by band."""
        return count(self.rows)
