"""The job of `cxr-edge send`; light, because `--help` imports it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from cxr_edge.errors import InputError

DEFAULT_TITLE = "CXREDGE"
PATIENCE = 300.0  # seconds that a run goes on trying while nothing gets through
COMMIT_SECONDS = 60.0  # that it waits for the answer about commitment


@dataclass(frozen=True)
class SendJob:
    """A request to `cxr-edge send`.

    Attributes:
        folder: every `*.dcm` below it goes into the outbox.
        to: `AET@HOST:PORT`.
        title: our AE title.
        commit: whether the peer is asked for storage commitment.
        commit_bind: `HOST:PORT` to listen at for its answer, besides the association of the
            request; None for that association alone.
        tls: certificate, key and authority; None for a connection in the clear.
        patience: seconds without a Success after which a run gives up.
        commit_seconds: seconds to wait for an answer about commitment.
    """

    folder: Path
    to: str
    title: str = DEFAULT_TITLE
    commit: bool = False
    commit_bind: str | None = None
    tls: tuple[Path, Path, Path] | None = None
    patience: float = PATIENCE
    commit_seconds: float = COMMIT_SECONDS

    def __post_init__(self) -> None:
        """Refuse what contradicts itself."""
        if self.commit_bind is not None and not self.commit:
            raise InputError("--commit-bind is for --commit alone")
