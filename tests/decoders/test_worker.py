"""The worker's end of the connection, against the library that the parent uses."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from functools import partial
from multiprocessing.connection import Connection

import pytest

from cxr_edge.decoders.channel import Channel
from cxr_edge.decoders.worker import _received, _send
from cxr_edge.intake.read import content


def heard(connection: socket.socket) -> Iterator[bytes]:
    """Messages until the end; no descriptor comes along."""
    for message, descriptors in iter(partial(_received, connection), None):
        assert descriptors == []
        yield message


MESSAGES = {
    "none": [],
    "an empty one": [b""],
    "short ones": [b"ready", b"{}"],
    "beyond 16 KiB, which the library sends in two parts": [bytes(16_385), b"x" * 70_000],
}


@pytest.mark.parametrize("messages", MESSAGES.values(), ids=MESSAGES)
def test_requests_arrive_as_the_library_sends_them(messages: list[bytes]) -> None:
    ours, theirs = socket.socketpair()
    with Connection(ours.detach()) as parent, theirs:
        for message in messages:
            parent.send_bytes(message)
        parent.close()
        assert list(heard(theirs)) == messages


@pytest.mark.parametrize("messages", MESSAGES.values(), ids=MESSAGES)
def test_the_library_receives_answers_as_they_are_sent(messages: list[bytes]) -> None:
    ours, theirs = socket.socketpair()
    with Connection(ours.detach()) as parent, theirs:
        for message in messages:
            _send(theirs.fileno(), message)
            assert parent.recv_bytes() == message


@pytest.mark.parametrize("cut", [b"", b"\0", b"\0\0\0"], ids=len)
def test_a_parent_that_is_gone_ends_it(cut: bytes) -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.sendall(b"\0\0\0\1a" + cut)
        ours.shutdown(socket.SHUT_WR)
        assert list(heard(theirs)) == [b"a"]


def test_each_film_comes_with_its_own_request() -> None:
    """Also where all lie in the socket already, before the first is read."""
    ours, theirs = socket.socketpair()
    channel = Channel(ours, most=100)
    with ours, theirs:
        films = [os.memfd_create(str(number)) for number in range(3)]
        for number, film in enumerate(films):
            os.write(film, f"film {number}".encode())
            assert channel.send(f"request {number}".encode(), [film])
            os.close(film)
        for number in range(3):
            request, (film,) = _received(theirs) or (b"", [])
            assert request == f"request {number}".encode()
            assert content(film) == f"film {number}".encode()
            os.close(film)
