"""The decoder process: decodes films that nobody trusts, and has nothing to lose.

A decoder that is tricked or crashes takes this process with it and nothing else: see `prison`. Its
parent ends one that takes longer than a minute over a film, and checks every answer: see `pool`.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import logging
import os
import resource
import signal
import socket
import sys
import warnings

import msgspec
from PIL import Image

from cxr_edge.decoders import forkserver, messages, prison
from cxr_edge.decoders.reader import read_films
from cxr_edge.intake.prepare import decode_film, decode_header
from cxr_edge.intake.prepared import Decoded, IntakeSettings
from cxr_edge.intake.read import content


def main() -> None:
    """Import what most films need, once, and fork a decoder or a reader for each connection.

    Argument: the descriptor of our end of the connection to the parent.
    """
    # The parent alone decides when to stop; a terminal's Ctrl-C goes to every process.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    prison.limit_resources({resource.RLIMIT_CORE: 0})  # a core would hold films
    warnings.simplefilter("ignore")  # they may quote a file, and nobody reads them
    Image.preinit()
    prison.readable()
    _import_ahead("cxr_edge.images.raster")
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET, fileno=int(sys.argv[1])) as control:
        works = {forkserver.READER: read_films, forkserver.DECODER: decode_films}
        forkserver.serve(control, works, _import_dicom)


def _import_dicom() -> None:
    """Import it once for all decoders to come; where that fails, a decoder says so of its film."""
    with contextlib.suppress(ImportError):
        _import_ahead("cxr_edge.images.dicom")


def _import_ahead(module: str) -> None:
    """Import a module; all memory so far stays shared while forks collect garbage."""
    importlib.import_module(module)
    gc.freeze()


def decode_films(descriptor: int) -> None:
    """Answer each request until the connection ends; the first message holds the settings."""
    trouble = _Trouble()
    logging.getLogger("cxr_edge").addHandler(trouble)
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM, 0, descriptor) as connection:
        sandbox = prison.enter(descriptor)
        if (first := _received(connection)) is None:
            return  # the parent did not need this process
        message = messages.read_settings(first[0])
        settings = msgspec.convert(message, IntakeSettings, from_attributes=True)
        _send(descriptor, messages.READY + sandbox.encode())
        while (received := _received(connection)) is not None:
            _send(descriptor, _answer(*received, settings, trouble))


def _received(connection: socket.socket) -> tuple[bytes, list[int]] | None:
    """One message and the descriptors that came with it; None once the parent has closed its end.

    They come with its first byte.
    """
    length = messages.MESSAGE_LENGTH
    head, descriptors, _, _ = socket.recv_fds(connection, length.size, 1)
    while 0 < len(head) < length.size and (more := connection.recv(length.size - len(head))):
        head += more
    if len(head) < length.size:
        return None
    (size,) = length.unpack(head)
    body = b""
    while len(body) < size and (more := connection.recv(size - len(body))):
        body += more
    return body, descriptors


def _send(descriptor: int, answer: bytes) -> None:
    rest = memoryview(messages.MESSAGE_LENGTH.pack(len(answer)) + answer)
    while rest:
        rest = rest[os.write(descriptor, rest) :]


def _answer(request: bytes, films: list[int], settings: IntakeSettings, trouble: _Trouble) -> bytes:
    """Prepare one film; returns a line of JSON and behind it the pixels."""
    asked = messages.read_request(request)
    (film,) = films
    try:
        data = content(film)
    finally:
        os.close(film)
    if asked.header_only:
        decoded = decode_header(data, settings)
    else:
        decoded = decode_film(data, f"film{os.fsdecode(asked.suffix)}", settings)
    planes = (decoded.pixels, decoded.scope_pixels, decoded.view)
    pixels = b"".join(plane.tobytes() for plane in planes if plane is not None)
    return messages.encode(_facts(decoded, trouble.taken())) + b"\n" + pixels


def _facts(decoded: Decoded, trouble: str) -> messages.Answer:
    facts = msgspec.convert(decoded, messages.FilmFacts, from_attributes=True)
    view = None if decoded.view is None else decoded.view.shape
    return messages.Answer(facts, view, trouble)


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
