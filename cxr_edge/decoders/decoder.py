"""One decoder process as the pool sees it; its answers are checked like any other input."""

from __future__ import annotations

import contextlib
import logging
import math
import os
import time
from collections import deque

import msgspec
import numpy as np
from numpy.typing import NDArray

from cxr_edge.decoders import messages
from cxr_edge.decoders.channel import Channel
from cxr_edge.decoders.films import Film
from cxr_edge.decoders.start import Decoders
from cxr_edge.intake.prepared import Decoded, IntakeSettings
from cxr_edge.preprocess import VIEW_SIDE
from cxr_edge.support.text import display_name, is_one_line
from cxr_edge.types import DEFERRED_REASONS

_log = logging.getLogger(__name__)

# Bytes of an answer besides pixels: facts, and a traceback of a deep recursion.
_HEAD_BYTES = 1024 * 1024


class Decoder:
    """One decoder process and the films that were given to it, oldest first."""

    def __init__(self, settings: IntakeSettings, decoders: Decoders) -> None:
        """Start one; DecoderError if the system refuses."""
        self._decoder = decoders.begin()
        most = _HEAD_BYTES + settings.size**2 + settings.scope_size**2 + VIEW_SIDE**2
        self.channel = Channel(self._decoder.socket, most)
        self.films: deque[Film] = deque()
        self.ready = False
        self._heard = time.monotonic()
        message = msgspec.convert(settings, messages.Settings, from_attributes=True)
        with contextlib.suppress(OSError):
            self.channel.send(messages.encode(message))

    def waited(self) -> float:
        """Seconds since it began with its oldest film; none without one."""
        return time.monotonic() - self._heard if self.films else 0.0

    def send(self, film: Film) -> bool:
        """Give it one more film; False if it can take none now.

        One that has just died is noticed on receiving.
        """
        suffix = os.fsencode(film.file.path.suffix)
        held = () if film.held is None else (film.held.descriptor,)
        request = messages.encode(messages.Request(suffix, film.header_only))
        with contextlib.suppress(OSError):
            if not self.channel.send(request, held):
                return False
        if not self.films:
            self._heard = time.monotonic()
        self.films.append(film)
        return True

    def greet(self, message: bytes) -> str:
        """Check the first message of a worker, which shows that it could be started at all.

        Returns:
            What its prison is made of; it has not seen a film yet.
        """
        self._heard = time.monotonic()
        greeting, sandbox = message[: len(messages.READY)], message[len(messages.READY) :].decode()
        if greeting != messages.READY or not sandbox.isprintable():
            raise ValueError("no greeting")
        self.ready = True
        return sandbox

    def receive(self, message: bytes, settings: IntakeSettings) -> tuple[Film, Decoded]:
        """Read the next answer.

        Raises:
            ValueError: it makes no sense, so that its worker cannot be trusted.
        """
        self._heard = time.monotonic()
        if not self.films:
            raise ValueError("an answer to nothing")
        head, _, pixels = message.partition(b"\n")
        answer = messages.read_answer(head)
        if answer.facts.reason in DEFERRED_REASONS:
            raise ValueError("a decoder knows nothing of files on their way")
        _check_identity(answer.facts.identity, settings)
        if answer.trouble:
            _log.error("%s", "\n".join(map(display_name, answer.trouble.splitlines())))
        if (answer.view is not None) != (settings.view and bool(pixels)):
            raise ValueError("a view that was not requested, or none")
        facts = msgspec.structs.asdict(answer.facts)
        facts.update(_planes(pixels, settings, answer.view))
        return self.films[0], Decoded(**facts)

    def kill(self) -> int:
        """Kill it; returns its exit code, or 0 if it hangs in the kernel and is left there."""
        return self._decoder.end()


def _check_identity(identity: dict[str, str], settings: IntakeSettings) -> None:
    """Refuse fields that were not asked for, and texts that no header gives."""
    longest = settings.header_texts
    for field, value in identity.items():
        sound = is_one_line(value) if settings.source else value.isprintable()
        if len(value) > longest.get(field, -1) or not sound:
            raise ValueError("an identity that no film has")


def _planes(
    pixels: bytes, settings: IntakeSettings, view: tuple[int, int] | None
) -> dict[str, NDArray[np.uint8]]:
    """The planes of `Decoded`, none for no bytes; ValueError for a wrong number of them."""
    if not pixels:
        return {}
    shapes = {"pixels": (settings.size, settings.size, 1)}
    if settings.scope_size:
        shapes["scope_pixels"] = (settings.scope_size, settings.scope_size, 1)
    if view is not None and not all(1 <= side <= VIEW_SIDE for side in view):
        raise ValueError(f"a view of {view}")
    planes, start = {}, 0
    for name, shape in {**shapes, **({} if view is None else {"view": view})}.items():
        end = start + math.prod(shape)
        planes[name] = np.frombuffer(pixels[start:end], np.uint8).reshape(shape)
        start = end
    if start != len(pixels):
        raise ValueError("more bytes than a film has")
    return planes
