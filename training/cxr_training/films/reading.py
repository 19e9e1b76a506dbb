"""Reads films for training: with the runtime's limits, gates and reasons, at full resolution."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, TypeVar

from cxr_edge.intake.prepare import prepare
from cxr_edge.intake.prepared import IntakeSettings, Prepared, Scope
from cxr_edge.intake.terms import View
from cxr_edge.types import FoundFile

# The networks are made for frontal films of children, and a site that trains on others is told so.
_OLDEST_CHILD = 17.0
SCOPE = Scope((0.0, _OLDEST_CHILD), (View.AP, View.PA))


class File(Protocol):
    """Anything with a path and a printable name."""

    @property
    def path(self) -> Path:
        """Path that opens."""

    @property
    def name(self) -> str:
        """Name for its result."""


AnyFile = TypeVar("AnyFile", bound=File)


@dataclass(frozen=True)
class _WholeFilms(IntakeSettings):
    """A night decodes large JPEGs at a fraction; networks learn from all pixels."""

    @property
    def at_least(self) -> int:
        """No fraction is enough."""
        return 0


def read_films(
    files: Iterable[AnyFile], size: int, identity_fields: tuple[str, ...] = ()
) -> Iterator[tuple[AnyFile, Prepared]]:
    """Read files side by side; each comes in its turn, with pixels or with a reason.

    Args:
        files: what to read.
        size: S, pixels a side of the network input.
        identity_fields: what headers are asked for besides.
    """
    settings = _WholeFilms(size, SCOPE, identity_fields)

    def read(file: AnyFile) -> tuple[AnyFile, Prepared]:
        return file, prepare(FoundFile(file.path, file.name), settings)

    with ThreadPoolExecutor() as pool:
        yield from pool.map(read, files)
