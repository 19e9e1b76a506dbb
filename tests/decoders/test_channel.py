"""Messages come whole, however the bytes come, and none of an impossible length."""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterator
from multiprocessing.connection import Connection

import pytest

from cxr_edge.decoders.channel import Channel

MOST = 300_000
MESSAGES = [b"ready", b"", b"x" * MOST, b"{}\n\0\1", b"y" * 16]

Pair = tuple[Channel, socket.socket]


@pytest.fixture
def pair() -> Iterator[Pair]:
    """A channel and the other end."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        theirs.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4 * MOST)
        yield Channel(ours, MOST), theirs


def framed(*messages: bytes) -> bytes:
    return b"".join(struct.pack("!i", len(each)) + each for each in messages)


def taken(channel: Channel) -> list[bytes]:
    return list(iter(channel.next, None))


@pytest.mark.parametrize("piece", [1, 5, 1000])
def test_messages_come_whole(piece: int, pair: Pair) -> None:
    channel, theirs = pair
    messages = [each[:20] for each in MESSAGES]
    sent, heard = framed(*messages), []
    for start in range(0, len(sent), piece):
        theirs.sendall(sent[start : start + piece])
        channel.listen()
        heard += taken(channel)
    assert heard == messages


def test_long_ones_come_in_parts(pair: Pair) -> None:
    channel, theirs = pair
    theirs.sendall(framed(*MESSAGES))
    heard: list[bytes] = []
    while len(heard) < len(MESSAGES):
        channel.listen()
        heard += taken(channel)
    assert heard == MESSAGES


@pytest.mark.parametrize("length", [MOST + 1, 2**31 - 1, -1, -(2**31)])
def test_an_impossible_length_is_no_message(length: int, pair: Pair) -> None:
    """Those before it are."""
    channel, theirs = pair
    theirs.sendall(framed(b"fine") + struct.pack("!i", length))
    channel.listen()
    assert channel.next() == b"fine"
    with pytest.raises(ValueError, match="a message of"):
        channel.next()


def test_the_end(pair: Pair) -> None:
    """After what was said before it."""
    channel, theirs = pair
    theirs.sendall(framed(b"last")[:-1])
    theirs.close()
    channel.listen()
    assert channel.next() is None
    with pytest.raises(EOFError):
        channel.listen()
    with pytest.raises(OSError, match="pipe"):
        channel.send(b"more")


def test_sending_never_waits(pair: Pair) -> None:
    """The other end reads nothing: some are taken, then none, and nothing of the last."""
    channel, theirs = pair
    sent = 0
    while channel.send(b"x" * 300):
        sent += 1
    theirs.setblocking(False)
    arrived = b"".join(iter(lambda: theirs.recv(300 + 4), b"")) if not sent else b""
    while len(arrived) < sent * 304:
        arrived += theirs.recv(65536)
    assert arrived == framed(*[b"x" * 300] * sent)
    with pytest.raises(BlockingIOError):
        theirs.recv(1)
    assert channel.send(b"again")


def test_framed_as_multiprocessing_does_it(pair: Pair) -> None:
    channel, theirs = pair
    with Connection(theirs.detach()) as other:
        channel.send(b"question")
        assert other.recv_bytes() == b"question"
        other.send_bytes(b"answer")
        channel.listen()
        assert taken(channel) == [b"answer"]
