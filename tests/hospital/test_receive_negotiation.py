"""Association requests at and beyond the edge of the standard, and storms of them."""

from __future__ import annotations

import contextlib
import os
import struct
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.hospital.hostile import (
    ABORT,
    ASSOCIATE_AC,
    Running,
    command_of,
    fragment,
    received,
    request,
    running,
    until,
)
from tests.hospital.receiving import uid

CONTEXT, USER = b"\x20\x00", b"\x50\x00"
A_ABORT = struct.pack(">BxIxxBB", 7, 4, 0, 0)
MOST = 128  # odd numbers that a byte holds


def asked(change: Callable[[bytes], bytes]) -> bytes:
    """A request whose presentation contexts were changed; lengths around them hold."""
    pdu = request()
    start, end = pdu.index(CONTEXT, 74), pdu.index(USER, 74)
    body = pdu[6:start] + change(pdu[start:end]) + pdu[end:]
    return pdu[:2] + struct.pack(">I", len(body)) + body


def numbered(context: bytes, number: int) -> bytes:
    return context[:4] + bytes([number]) + context[5:]


def without_syntax(context: bytes) -> bytes:
    kept = context[: context.index(b"\x40\x00")]
    return kept[:2] + struct.pack(">H", len(kept) - 4) + kept[4:]


STRANGE: dict[str, Callable[[bytes], bytes]] = {
    "none": lambda _: b"",
    "the same number twice": lambda context: context * 2,
    "number 0": lambda context: numbered(context, 0),
    "an even number": lambda context: numbered(context, 2),
    "without a transfer syntax": without_syntax,
    "a length too long": lambda context: context[:2] + b"\xff\xff" + context[4:],
    "500 of them": lambda context: context * 500,
}


def test_strange_contexts_harm_nobody(tmp_path: Path) -> None:
    """All at once, for some are only let go when their time is up."""
    with running(tmp_path, seconds=2.0, associations=len(STRANGE)) as receiver:
        with contextlib.ExitStack() as stack:
            connections = {name: stack.enter_context(receiver.connection()) for name in STRANGE}
            for name, connection in connections.items():
                connection.sendall(asked(STRANGE[name]))
            for name, connection in connections.items():
                assert received(connection) in (0, ABORT, ASSOCIATE_AC), name
        until(lambda: receiver.server.active_associations == [])
        assert receiver.is_well()


def test_as_many_contexts_as_there_can_be_are_accepted_and_the_last_is_used(
    tmp_path: Path,
) -> None:
    with running(tmp_path) as receiver, receiver.connection() as connection:
        connection.sendall(request(MOST))
        assert received(connection) == ASSOCIATE_AC
        last = bytes([2 * MOST - 1])
        for pdu in (command_of(uid(1)), fragment(b"\1\2" * 10, control=2)):
            connection.sendall(pdu[:10] + last + pdu[11:])
        assert received(connection) == 4, "an answer"
        assert len(receiver.films()) == 1


@pytest.mark.parametrize("half", [b"", fragment(b"\1\2" * 100, control=0)], ids=["idle", "sending"])
def test_a_storm_of_aborts_leaves_nothing(half: bytes, tmp_path: Path) -> None:
    with running(tmp_path) as receiver:
        until(receiver.is_well)
        threads, files = threading.active_count(), open_files()
        for number in range(60):
            storm(receiver, command_of(uid(number)) + half if half else b"")
        until(lambda: receiver.server.active_associations == [])
        until(lambda: threading.active_count() <= threads and open_files() <= files)
        assert receiver.is_well()
        assert list(receiver.spool.arriving.iterdir()) == []
        assert len(receiver.films()) == 1


def storm(receiver: Running, data: bytes) -> None:
    """An association that is aborted at once; turned away where there are too many."""
    with receiver.connection() as connection:
        connection.sendall(request())
        if received(connection) == ASSOCIATE_AC:
            connection.sendall(data + A_ABORT)


def open_files() -> int:
    return len(os.listdir("/proc/self/fd"))  # noqa: PTH208
