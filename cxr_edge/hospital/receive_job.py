"""The job of `cxr-edge receive`; light, because `--help` imports it."""

from __future__ import annotations

import math
import re
import shlex
import shutil
from dataclasses import dataclass
from pathlib import Path

from cxr_edge.errors import InputError
from cxr_edge.support.text import display_name

_SIZE = re.compile(r"([0-9]{1,9}(?:\.[0-9]+)?) ?([kMGT]?)B?", re.ASCII)
_UNITS = {"": 1, "k": 10**3, "M": 10**6, "G": 10**9, "T": 10**12}
_SPAN = re.compile(r"([0-9]{1,6}(?:\.[0-9]+)?)(s|m|h)?", re.ASCII)
_SECONDS = {None: 1, "s": 1, "m": 60, "h": 3600}


@dataclass(frozen=True)
class ReceiveJob:
    """A request to `cxr-edge receive`.

    Attributes:
        title: our AE title.
        bind: `HOST:PORT`.
        senders: `AET` or `AET@HOST`, each.
        spool: folder of the spool.
        quiet: seconds without a film after which a study is taken for complete.
        command: words of what is run then; empty for nothing.
        most: bytes that the films of the spool may take; None for no limit but the disk.
        tls: certificate, key and authority; None for a connection in the clear.
        metrics: file for Prometheus' textfile collector; None for none.
    """

    title: str
    bind: str
    senders: tuple[str, ...]
    spool: Path
    quiet: float = 30.0
    command: tuple[str, ...] = ()
    most: int | None = None
    tls: tuple[Path, Path, Path] | None = None
    metrics: Path | None = None

    def __post_init__(self) -> None:
        """Refuse a receiver that lets nobody in."""
        if not self.senders:
            raise InputError(
                "nobody may send", tip="name each sender's AE title: --from AET or --from AET@HOST"
            )


def parse_size(text: str) -> int:
    """Read bytes, such as `500GB` or `20 M`; units are powers of ten.

    Raises:
        InputError: the text has another form, or the number is out of range.
    """
    match = _SIZE.fullmatch(text)
    size = int(float(match[1]) * _UNITS[match[2]]) if match else 0
    if size <= 0:
        raise InputError(f"no size: {display_name(text)}", tip="such as 500GB")
    return size


def parse_span(text: str) -> float:
    """Read seconds, such as `30s`, `2m` or `30`.

    Raises:
        InputError: the text has another form, or the number is out of range.
    """
    match = _SPAN.fullmatch(text)
    seconds = float(match[1]) * _SECONDS[match[2]] if match else math.nan
    if not 0 < seconds <= 86400:
        raise InputError(f"no time: {display_name(text)}", tip="such as 30s or 2m, a day at most")
    return seconds


def parse_command(text: str) -> tuple[str, ...]:
    """Read a command as a shell would split it; none is started.

    Raises:
        InputError: it is none, or its program is not there.
    """
    try:
        words = tuple(shlex.split(text))
    except ValueError as error:
        raise InputError(f"--run cannot be split into words: {error}") from error
    if not words:
        raise InputError("--run is empty")
    if shutil.which(words[0]) is None:
        raise InputError(f"--run: command not found: {display_name(words[0])}")
    return words
