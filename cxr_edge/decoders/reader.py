"""The reader process: opens and hashes films, and parses nothing of what is in them.

Its parent believes it, which believes no decoder. It is forked by a process that has never seen a
film. A share that no longer answers holds a reader, and the parent ends that.
"""

from __future__ import annotations

import os
import resource
import socket
from collections.abc import Callable
from pathlib import Path

from cxr_edge.decoders import messages
from cxr_edge.decoders.messages import ReadAnswer, ReadRequest, encode
from cxr_edge.errors import ImageError
from cxr_edge.intake.read import Held, NoRoomError, read_film
from cxr_edge.types import FoundFile, Root, Url, place_of


def read_films(descriptor: int) -> None:
    """Answer each request, in order, until the connection ends."""
    _lift_limit()
    kind = socket.SOCK_SEQPACKET
    with socket.socket(socket.AF_UNIX, kind, 0, descriptor) as connection:
        connection.send(messages.READY)
        while request := connection.recv(messages.MOST_READ_BYTES):
            _answer(connection, messages.read_read_request(request))


def _lift_limit() -> None:
    """Sealed memory counts as a file: take what the hard limit on the size of files allows."""
    _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))


def _answer(connection: socket.socket, request: ReadRequest) -> None:
    try:
        file = _file(request)
        held = _reading(file)(file, request.most)
    except ImageError as error:
        connection.send(encode(ReadAnswer(error.reason, None, "", None)))
    except NoRoomError as error:
        connection.send(encode(ReadAnswer(None, None, "", error.size)))
    else:
        stamp = messages.stamp_message(held.stamp)
        answer = encode(ReadAnswer(None, stamp, held.sha256, held.size))
        socket.send_fds(connection, [answer], [held.descriptor])
        held.close()


def _reading(file: FoundFile) -> Callable[[FoundFile, int], Held]:
    """Choose how a file is read; a decoder process need not have what object storage takes."""
    if not isinstance(file.path, Url):
        return read_film
    from cxr_edge.intake.objects import read_object

    return read_object


def _file(request: ReadRequest) -> FoundFile:
    path = place_of(os.fsdecode(request.path))
    root, stamp = _root(request.root), messages.stamp_of(request.expected)
    return FoundFile(path, "", stamp=stamp, root=root)


def _root(message: messages.RootMessage | None) -> Root | None:
    if message is None:
        return None
    return Root(Path(os.fsdecode(message.path)), message.device, message.inode)
