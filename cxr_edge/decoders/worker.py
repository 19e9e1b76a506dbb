"""The decoder process: reads and decodes files that nobody trusts, and has little to lose.

A decoder that is tricked or crashes takes this process with it and nothing else. It may not use
more than 1 GiB of addresses, write a file, dump core or take longer than a minute over one film,
and its parent checks every answer: see `pool`.
"""

from __future__ import annotations

import gc
import importlib
import logging
import os
import resource
import signal
import socket
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import msgspec
from PIL import Image

from cxr_edge.decoders import forkserver, messages
from cxr_edge.decoders.messages import MAX_SECONDS
from cxr_edge.intake.prepare import prepare
from cxr_edge.intake.prepared import IntakeSettings, Prepared
from cxr_edge.types import FoundFile

MAX_ADDRESS_SPACE = 1024 * 1024 * 1024


def main() -> None:
    """Import what decoding needs, once, and fork a decoder for each connection.

    Argument: the descriptor of our end of the connection to the parent.
    """
    # The parent alone decides when to stop; a terminal's Ctrl-C goes to every process.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    signal.signal(signal.SIGALRM, signal.SIG_DFL)  # even if the first caller ignored it
    _limit_resources()
    warnings.simplefilter("ignore")  # they may quote a file, and nobody reads them
    _import_ahead()
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET, fileno=int(sys.argv[1])) as control:
        forkserver.serve(control, decode_films)


def _import_ahead() -> None:
    """Import what most films need, and keep shared memory shared while garbage is collected."""
    importlib.import_module("cxr_edge.images.raster")
    Image.preinit()
    gc.freeze()


def decode_films(descriptor: int) -> None:
    """Answer each request until the connection ends; the first message holds the settings."""
    trouble = _Trouble()
    logging.getLogger("cxr_edge").addHandler(trouble)
    with open(descriptor, "rb", closefd=False) as ours, open(descriptor, "wb") as theirs:
        requests = _received(ours)
        if (first := next(requests, None)) is None:
            return  # the parent did not need this process
        message = messages.read_settings(first)
        settings = msgspec.convert(message, IntakeSettings, from_attributes=True)
        _send(theirs, messages.READY)
        for request in requests:
            _send(theirs, _answer(messages.read_request(request), settings, trouble))


def _received(requests: BinaryIO) -> Iterator[bytes]:
    """Yield messages until the parent closes its end."""
    while len(head := requests.read(messages.MESSAGE_LENGTH.size)) == messages.MESSAGE_LENGTH.size:
        yield requests.read(*messages.MESSAGE_LENGTH.unpack(head))


def _send(answers: BinaryIO, answer: bytes) -> None:
    answers.write(messages.MESSAGE_LENGTH.pack(len(answer)) + answer)
    answers.flush()


def _limit_resources() -> None:
    for kind, limit in (
        (resource.RLIMIT_AS, MAX_ADDRESS_SPACE),
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_FSIZE, 0),
    ):
        hard = resource.getrlimit(kind)[1]
        limit = limit if hard == resource.RLIM_INFINITY else min(limit, hard)
        resource.setrlimit(kind, (limit, limit))


def _answer(request: messages.Request, settings: IntakeSettings, trouble: _Trouble) -> bytes:
    """Prepare one file; returns a line of JSON and behind it the pixels."""
    # The alarm's default action ends the process, also from inside a decoder that never returns.
    signal.setitimer(signal.ITIMER_REAL, MAX_SECONDS)
    prepared = prepare(_file(request), settings)
    signal.setitimer(signal.ITIMER_REAL, 0)
    planes = (prepared.pixels, prepared.view)
    pixels = b"".join(plane.tobytes() for plane in planes if plane is not None)
    return messages.encode(_facts(prepared, trouble.taken())) + b"\n" + pixels


def _file(request: messages.Request) -> FoundFile:
    path = Path(os.fsdecode(request.path))
    return FoundFile(path, request.display, stamp=messages.stamp_of(request.stamp))


def _facts(prepared: Prepared, trouble: str) -> messages.Answer:
    facts = msgspec.convert(prepared.result, messages.FilmFacts, from_attributes=True)
    view = None if prepared.view is None else prepared.view.shape
    return messages.Answer(facts, messages.stamp_message(prepared.stamp), view, trouble)


class _Trouble(logging.Handler):
    """Keeps log messages of this process, for the parent to print."""

    def __init__(self) -> None:
        super().__init__()
        self._lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Remember one message."""
        self._lines.append(record.getMessage())

    def taken(self) -> str:
        """Return and forget the messages since the last call."""
        text = "\n".join(self._lines)
        self._lines.clear()
        return text
