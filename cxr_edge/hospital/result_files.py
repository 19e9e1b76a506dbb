"""Writes files of results: each whole or not at all; identical ones are left alone."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from cxr_edge.errors import ReportError
from cxr_edge.hospital.hl7 import Message
from cxr_edge.hospital.objects import DicomObject
from cxr_edge.support.atomic import make_folder, sync_folder, write_atomically, write_new
from cxr_edge.support.text import display_name

_FOLDER_DIGITS = 32
_PART = ".part"
_READABLE_BY_GROUP = 0o640  # an integration engine is another user of this machine


@dataclass(frozen=True)
class ResultFiles:
    """The folders that results go to.

    Attributes:
        out: holds one folder for each study.
        hl7: for messages; None for no messages.
    """

    out: Path
    hl7: Path | None = None

    def make(self) -> None:
        """Make both; the umask decides about that for messages, which another user reads.

        Raises:
            ReportError: one cannot be made.
        """
        with _errors_translated(self.out):
            make_folder(self.out)
        if self.hl7 is not None:
            with _errors_translated(self.hl7):
                self.hl7.mkdir(parents=True, exist_ok=True)

    def keep(self, made: DicomObject) -> Path:
        """Write an object into the folder of its study, unless it is there already.

        Names are hashes and our own UIDs, never a text of a header.

        Raises:
            ReportError: it could not be written; no partial file is left.
        """
        study = hashlib.sha256(made.study_uid.encode()).hexdigest()[:_FOLDER_DIGITS]
        path = self.out / study / f"{made.kind}.{made.uid}.dcm"
        with _errors_translated(path):
            if not _holds(path, made.content):
                make_folder(path.parent)
                write_atomically(path, made.content)
        return path

    def hand_over(self, message: Message) -> None:
        """Put a message where an integration engine finds it; the engine sees only whole files.

        Raises:
            ReportError: it could not be written.
        """
        if self.hl7 is None:
            return
        path = self.hl7 / f"{message.control_id}.hl7"
        part = path.with_suffix(_PART)
        with _errors_translated(path):
            part.unlink(missing_ok=True)
            write_new(part, [message.content])
            part.chmod(_READABLE_BY_GROUP)
            part.rename(path)
            sync_folder(self.hl7)


def _holds(path: Path, content: bytes) -> bool:
    with contextlib.suppress(FileNotFoundError):
        return path.stat().st_size == len(content) and path.read_bytes() == content
    return False


@contextlib.contextmanager
def _errors_translated(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise ReportError(
            f"results could not be written to {display_name(path.parent)}: {error.strerror}",
            tip="the scores are safe: cxr-edge results writes them again",
        ) from error
