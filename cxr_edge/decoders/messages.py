"""The messages between the pool and its processes, and the limits that both sides know.

Each message is one JSON object that has every field and no other, each of its exact type: msgspec
raises ValueError for anything else. An answer carries raw pixels behind a line end.

Importing this takes neither NumPy nor an image library.
"""

from __future__ import annotations

import struct
from typing import Annotated

import msgspec

from cxr_edge.types import InputWarning, Reason, Stamp

MAX_SECONDS = 60.0  # that a decoder process may take over one film
# In front of each message, either way: its bytes, as `multiprocessing.connection` has it.
MESSAGE_LENGTH = struct.Struct("!i")
READY = b"ready "  # begins the first message of a decoder process: what its prison is made of
MOST_READ_BYTES = 64 * 1024  # of a message to or from a reader process


class _Message(msgspec.Struct, frozen=True, forbid_unknown_fields=True, gc=False):
    """No field has a default: a message that leaves one out is refused."""


class ScopeMessage(_Message, frozen=True):
    """The fields of `prepared.Scope`."""

    age_years: tuple[float, float]
    views: tuple[str, ...]


class Settings(_Message, frozen=True):
    """The fields of `prepared.IntakeSettings`, sent once to each process."""

    size: int
    scope: ScopeMessage
    identity_fields: tuple[str, ...]
    view: bool
    scope_size: int
    source: bool


class StampMessage(_Message, frozen=True):
    """The fields of `types.Stamp`."""

    size: int
    mtime_ns: int
    ctime_ns: int
    inode: int
    version: Annotated[str, msgspec.Meta(max_length=1024)]


class Request(_Message, frozen=True):
    """One film to decode; its bytes come along as a descriptor.

    Attributes:
        suffix: of its name, as the file system has it; JSON carries it as base64.
        header_only: whom it is of, and no pixel.
    """

    suffix: bytes
    header_only: bool


_Figure = Annotated[float, msgspec.Meta(ge=0, lt=1e12)]
_Share = Annotated[float, msgspec.Meta(ge=0, lt=1)]


class FilmFacts(_Message, frozen=True):
    """The fields of `prepared.Decoded` besides pixels: neither a name, nor a hash, nor a score."""

    reason: Reason
    warnings: tuple[InputWarning, ...]
    width: int | None
    height: int | None
    format: str
    identity: dict[str, str]
    image_features: tuple[_Figure, _Figure, _Figure, _Share, _Figure] | None


class Answer(_Message, frozen=True):
    """The outcome of one request.

    Attributes:
        view: height and width of the film for a page, whose pixels follow those for the network
            and for the scope gate.
        trouble: lines for the log of the parent.
    """

    facts: FilmFacts
    view: tuple[int, int] | None
    trouble: str


class RootMessage(_Message, frozen=True):
    """The fields of `types.Root`."""

    path: bytes
    device: int
    inode: int


class ReadRequest(_Message, frozen=True):
    """One file to read.

    Attributes:
        path: as the file system has it.
        root: the folder that it must lie below.
        expected: what it must still look like.
        most: bytes that there is room for.
    """

    path: bytes
    root: RootMessage | None
    expected: StampMessage | None
    most: int


class ReadAnswer(_Message, frozen=True):
    """Answer about one file; its bytes come along as a descriptor where they were read.

    Attributes:
        reason: why it cannot be scored; None for one that was read or has no room.
        stamp: what it looked like; None where it was not read.
        sha256: of its bytes.
        size: how many they are.
    """

    reason: Reason | None
    stamp: StampMessage | None
    sha256: str
    size: int | None


encode = msgspec.json.encode
read_settings = msgspec.json.Decoder(Settings).decode
read_request = msgspec.json.Decoder(Request).decode
read_answer = msgspec.json.Decoder(Answer).decode
read_read_request = msgspec.json.Decoder(ReadRequest).decode
read_read_answer = msgspec.json.Decoder(ReadAnswer).decode


def stamp_message(stamp: Stamp | None) -> StampMessage | None:
    """The stamp of a file, to send."""
    if stamp is None:
        return None
    return StampMessage(stamp.size, stamp.mtime_ns, stamp.ctime_ns, stamp.inode, stamp.version)


def stamp_of(message: StampMessage | None) -> Stamp | None:
    """The stamp of a file, received."""
    if message is None:
        return None
    return Stamp(message.size, message.mtime_ns, message.ctime_ns, message.inode, message.version)
