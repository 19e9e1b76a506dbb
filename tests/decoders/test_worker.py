"""The worker's end of the connection, against the library that the parent uses."""

from __future__ import annotations

import io
import socket
from multiprocessing.connection import Connection

import pytest

from cxr_edge.decoders.worker import _received, _send

MESSAGES = {
    "none": [],
    "an empty one": [b""],
    "short ones": [b"ready", b"{}"],
    "beyond 16 KiB, which the library sends in two parts": [bytes(16_385), b"x" * 70_000],
}


@pytest.mark.parametrize("messages", MESSAGES.values(), ids=MESSAGES)
def test_requests_arrive_as_the_library_sends_them(messages: list[bytes]) -> None:
    ours, theirs = socket.socketpair()
    with Connection(ours.detach()) as parent, theirs, theirs.makefile("rb") as requests:
        for message in messages:
            parent.send_bytes(message)
        parent.close()
        assert list(_received(requests)) == messages


@pytest.mark.parametrize("messages", MESSAGES.values(), ids=MESSAGES)
def test_the_library_receives_answers_as_they_are_sent(messages: list[bytes]) -> None:
    ours, theirs = socket.socketpair()
    with Connection(ours.detach()) as parent, theirs, theirs.makefile("wb") as answers:
        for message in messages:
            _send(answers, message)
            assert parent.recv_bytes() == message


@pytest.mark.parametrize("cut", [b"", b"\0", b"\0\0\0"], ids=len)
def test_a_parent_that_is_gone_ends_it(cut: bytes) -> None:
    assert list(_received(io.BytesIO(b"\0\0\0\1a" + cut))) == [b"a"]
