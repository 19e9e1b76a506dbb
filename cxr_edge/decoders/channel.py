"""The parent's end of a connection to a decoder process: whole messages, and never a wait.

Messages are framed as `multiprocessing.connection` frames them. That library is not used here: it
takes three times as long, and `recv_bytes` waits for the rest of a message that a decoder process
may never send. Its `recv` unpickles, which runs code that the sender chooses; here a message is
bytes, and `messages` reads them strictly.
"""

from __future__ import annotations

import array
import errno
import socket
from collections.abc import Sequence

from cxr_edge.decoders.messages import MESSAGE_LENGTH

# A full socket; or more descriptors on their way than this user may have open.
_TOO_MUCH = {errno.EAGAIN, errno.ETOOMANYREFS}
_BYTES_PER_READ = 256 * 1024  # room for several answers, each with a network's input


class Channel:
    """A socket, and the bytes received from it that make no whole message yet."""

    def __init__(self, connected: socket.socket, most: int) -> None:
        """Read from a socket that nothing else reads from.

        Args:
            connected: a socket that is connected.
            most: bytes of the longest message to accept.
        """
        self._socket = connected
        self._most = most
        self._received = b""
        self._taken = 0  # bytes of that which `next` has returned

    def fileno(self) -> int:
        """The descriptor, for a caller that waits for several connections."""
        return self._socket.fileno()

    def send(self, message: bytes, descriptors: Sequence[int] = ()) -> bool:
        """Send one short message, or nothing if the other end has too much to read; never waits.

        Args:
            message: a few hundred bytes: the system takes all of them or none.
            descriptors: the other end gets its own of each.

        Raises:
            OSError: the other end is closed.
        """
        return sent(self._socket, MESSAGE_LENGTH.pack(len(message)) + message, descriptors)

    def listen(self) -> None:
        """Receive the bytes that have arrived; waits if none have.

        Raises:
            EOFError, OSError: the connection has ended.
        """
        arrived = self._socket.recv(_BYTES_PER_READ)
        if not arrived:
            raise EOFError
        self._received = self._received[self._taken :] + arrived
        self._taken = 0

    def next(self) -> bytes | None:
        """The oldest complete message, if any; ValueError for one of an impossible length."""
        start = self._taken + MESSAGE_LENGTH.size
        if len(self._received) < start:
            return None
        (length,) = MESSAGE_LENGTH.unpack_from(self._received, self._taken)
        if not 0 <= length <= self._most:
            raise ValueError(f"a message of {length} bytes")
        if len(self._received) < start + length:
            return None
        self._taken = start + length
        return self._received[start : self._taken]

    def close(self) -> None:
        """Close the socket."""
        self._socket.close()


def sent(connected: socket.socket, message: bytes, descriptors: Sequence[int] = ()) -> bool:
    """Send bytes and descriptors, or nothing if there is too much on its way; never waits.

    `socket.send_fds` and `socket.recv_fds` ignore their flags.
    """
    rights = (socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", descriptors))
    try:
        connected.sendmsg([message], [rights] if descriptors else [], socket.MSG_DONTWAIT)
    except OSError as error:
        if error.errno not in _TOO_MUCH:
            raise
        return False
    return True


def received(connected: socket.socket, most: int) -> tuple[bytes, list[int]] | None:
    """One packet and the descriptor that may have come with it; None if there is none yet.

    Raises:
        OSError: the connection has broken.
    """
    flags = socket.MSG_DONTWAIT | socket.MSG_CMSG_CLOEXEC
    descriptors = array.array("i")
    space = socket.CMSG_LEN(descriptors.itemsize)
    try:
        packet, ancillary, _, _ = connected.recvmsg(most, space, flags)
    except BlockingIOError:
        return None
    except ConnectionResetError:  # comes before what the other end had sent until it died
        packet, ancillary, _, _ = connected.recvmsg(most, space, flags)
    for _, _, data in ancillary:
        descriptors.frombytes(data)
    return packet, descriptors.tolist()
