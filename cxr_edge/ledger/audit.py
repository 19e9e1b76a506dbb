"""The audit log of a state folder: one line a run, each with the hash of the one before it.

Who changes or removes a line in the middle breaks the chain. Who can write the file can also write
a new chain: the hash of the last line, kept elsewhere, tells that.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cxr_edge.errors import StateError
from cxr_edge.ledger.state import AS_ITS_USER, check_file, opened_folder
from cxr_edge.support.atomic import FILE_MODE
from cxr_edge.support.files import read_opened
from cxr_edge.support.locks import opened
from cxr_edge.support.strict_json import parse
from cxr_edge.support.text import display_name

AUDIT_NAME = "audit.jsonl"
NOTHING_BEFORE = "0" * 64
_MAX_BYTES = 10**9  # 1 kB a line: more than a century of nights


@dataclass(frozen=True)
class AuditLog:
    """The lines that hold together.

    Attributes:
        lines: plain values, earliest first, up to the first break.
        broken: where the chain breaks and why; empty for a whole one.
    """

    lines: tuple[dict[str, Any], ...]
    broken: str = ""

    @property
    def head(self) -> str:
        """Hash of the last line."""
        return str(self.lines[-1]["sha256"]) if self.lines else NOTHING_BEFORE


def append(folder: Path, values: Mapping[str, Any]) -> None:
    """Add a line and wait for the disk; the folder's lock is held.

    A line that a power cut has left unfinished is cut off first: its run was never counted.

    Args:
        folder: the state folder.
        values: plain values of a run.

    Raises:
        StateError: it cannot be written.
    """
    try:
        with opened_folder(folder) as descriptor:
            check_file(descriptor, AUDIT_NAME)
            flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK
            with opened(Path(AUDIT_NAME), flags, descriptor) as file:
                os.fchmod(file, FILE_MODE)
                content = read_opened(file, _MAX_BYTES)
                whole = content[: content.rfind(b"\n") + 1]
                line = _line({**values, "previous": _last_hash(whole)})
                os.ftruncate(file, len(whole))
                _write(file, line, len(whole))
                os.fsync(file)
            os.fsync(descriptor)
    except OSError as error:
        raise _unusable(folder, error) from error


def read_audit(folder: Path) -> AuditLog:
    """Read the log and check its chain; one that is not there has no lines.

    Raises:
        StateError: it cannot be read.
    """
    try:
        with opened_folder(folder, to_read=True) as descriptor:
            if check_file(descriptor, AUDIT_NAME, to_read=True) is None:
                return AuditLog(())
            flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK
            with opened(Path(AUDIT_NAME), flags, descriptor) as file:
                return _checked(read_opened(file, _MAX_BYTES))
    except OSError as error:
        raise _unusable(folder, error) from error


def _checked(content: bytes) -> AuditLog:
    lines: list[dict[str, Any]] = []
    previous, run = NOTHING_BEFORE, "none"
    texts = content.split(b"\n")
    for number, text in enumerate(texts[:-1] if not texts[-1] else texts, start=1):
        where = f"line {number}, after run {run}"
        values = _values(text)
        if values is None:
            return AuditLog((*lines,), f"{where}: it is no line of an audit log")
        if values["sha256"] != _hash(values):
            return AuditLog((*lines,), f"{where}: its text was changed")
        if values["previous"] != previous:
            return AuditLog((*lines,), f"{where}: another line stood before it when it was written")
        previous, run = str(values["sha256"]), display_name(str(values["run"]))
        lines.append(values)
    return AuditLog((*lines,))


def _values(text: bytes) -> dict[str, Any] | None:
    """Plain values of a line, spelled as `_line` does; else None."""
    try:
        values = parse(text)
        is_line = isinstance(values, dict) and {"run", "previous", "sha256"} <= values.keys()
        return values if is_line and _spelled(values) == text else None
    except ValueError:
        return None


def _line(values: dict[str, Any]) -> bytes:
    return _spelled({**values, "sha256": _hash(values)}) + b"\n"


def _hash(values: dict[str, Any]) -> str:
    """Over everything but the hash itself."""
    rest = {name: value for name, value in values.items() if name != "sha256"}
    return hashlib.sha256(_spelled(rest)).hexdigest()


def _spelled(values: dict[str, Any]) -> bytes:
    return json.dumps(values, separators=(",", ":")).encode()


def _last_hash(whole: bytes) -> str:
    """The hash that the last line says it has; of a line that is none, that of its bytes."""
    last = whole.rstrip(b"\n").rsplit(b"\n", 1)[-1]
    if not last:
        return NOTHING_BEFORE
    values = _values(last)
    return str(values["sha256"]) if values else hashlib.sha256(last).hexdigest()


def _write(file: int, line: bytes, offset: int) -> None:
    rest = memoryview(line)
    while rest:
        written = os.pwrite(file, rest, offset)
        rest, offset = rest[written:], offset + written


def _unusable(folder: Path, error: OSError) -> StateError:
    return StateError(
        f"the audit log in {display_name(folder)} cannot be used: {error.strerror}",
        tip=AS_ITS_USER
        if isinstance(error, PermissionError)
        else "look at the disk of that folder, and whether it is the --state of score",
    )
