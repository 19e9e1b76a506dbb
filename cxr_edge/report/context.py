"""What a report is made of."""

from __future__ import annotations

import typing
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any

from cxr_edge.spec import ModelSpec
from cxr_edge.strict_json import read
from cxr_edge.triage import Counts, TriageRow, count

BANNER = "Prioritisation aid. Not a diagnosis. Unflagged studies still need reading."
SCHEMA_VERSION = 2


@dataclass(frozen=True)
class RunContext:
    """How the scores came about.

    Attributes:
        run_id: what `cxr-edge report` calls the run.
        recipe: hash of everything that decides a score besides the bytes.
        id_tag: DICOM keyword that the rows carry the text of, or nothing.
        operating_point: its name, or `custom` for a threshold given by hand.
        device_asked: as on the command line; `device_used` is what the runner took.
        versions: software that could change a number.
        seconds: wall time from start to the last score.
    """

    run_id: str
    recipe: str
    id_tag: str
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

    @classmethod
    def from_dict(cls, values: Any) -> RunContext:
        """Read what `to_dict` gave and the ledger kept.

        Raises:
            TypeError, ValueError: another version wrote it.
        """
        return typing.cast("RunContext", read(cls, values, "context"))

    def to_dict(self) -> dict[str, Any]:
        """Plain values."""
        return {**asdict(self), "spec": self.spec.to_dict()}


@dataclass(frozen=True)
class Report:
    """Rows in reading order and the run they come from.

    Attributes:
        rows: can be gone through again and again.
    """

    rows: Iterable[TriageRow]
    context: RunContext

    @cached_property
    def counts(self) -> Counts:
        """Files by status and by band."""
        return count(self.rows)
