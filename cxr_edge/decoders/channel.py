"""The parent's end of a connection to a decoder process: whole messages, and never a wait.

Messages are framed as `multiprocessing.connection` does it, in a third of its time.
"""

from __future__ import annotations

import socket

from cxr_edge.decoders.messages import MESSAGE_LENGTH

_BYTES_PER_READ = 256 * 1024  # whatever has come: several answers of a network's input each


class Channel:
    """A socket, and what has come through it and not been taken yet."""

    def __init__(self, connected: socket.socket, most: int) -> None:
        """Nobody else reads from it.

        Args:
            connected: one that has been accepted or paired.
            most: bytes of the longest message that makes sense.
        """
        self._socket = connected
        self._most = most
        self._come = b""
        self._taken = 0  # bytes of it

    def fileno(self) -> int:
        """For who waits until something comes."""
        return self._socket.fileno()

    def send(self, message: bytes) -> None:
        """OSError where nobody listens any more."""
        self._socket.sendall(MESSAGE_LENGTH.pack(len(message)) + message)

    def listen(self) -> None:
        """Take what has come; waits where nothing has.

        Raises:
            EOFError, OSError: nothing will come any more.
        """
        come = self._socket.recv(_BYTES_PER_READ)
        if not come:
            raise EOFError
        self._come = self._come[self._taken :] + come
        self._taken = 0

    def next(self) -> bytes | None:
        """The oldest message that is complete; ValueError for one of no possible length."""
        start = self._taken + MESSAGE_LENGTH.size
        if len(self._come) < start:
            return None
        (length,) = MESSAGE_LENGTH.unpack_from(self._come, self._taken)
        if not 0 <= length <= self._most:
            raise ValueError(f"a message of {length} bytes")
        if len(self._come) < start + length:
            return None
        self._taken = start + length
        return self._come[start : self._taken]

    def close(self) -> None:
        """No more of it."""
        self._socket.close()
