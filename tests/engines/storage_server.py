"""Object storage that fails at will: `python -m tests.engines.storage_server PORT FILE`.

It listens on loopback. While FILE holds a share, so many requests fail, by turns: throttled, an
error of the server, a reset, half an answer; the others take their time. Each failure is a line in
FILE.log.
"""

from __future__ import annotations

import random
import socket
import struct
import sys
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

from moto.server import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import WSGIRequestHandler, run_simple

_MOST_SECONDS_LATE = 0.05
_KINDS = ("503 SlowDown", "500 InternalError", "reset", "half")
_ERROR = "<?xml version='1.0'?><Error><Code>{}</Code><Message>as asked</Message></Error>"
_LINGER = struct.pack("ii", 1, 0)  # close with a reset

Answer = Iterable[bytes]
Application = Callable[[dict[str, Any], Callable[..., Any]], Answer]


class Quiet(WSGIRequestHandler):
    """Hands its connection to the application, and logs nothing."""

    def make_environ(self) -> dict[str, Any]:
        return {**super().make_environ(), "connection": self.connection}

    def log(self, *_: Any) -> None: ...


class Failing:
    """A server in front of another one."""

    def __init__(self, application: Application, file: Path) -> None:
        self._application = application
        self._file = file
        self._chance = random.Random(26)

    def __call__(self, environ: dict[str, Any], start: Callable[..., Any]) -> Answer:
        share = float(self._file.read_text() or 0) if self._file.exists() else 0.0
        if not share:
            return self._application(environ, start)
        time.sleep(self._chance.uniform(0, _MOST_SECONDS_LATE))
        if self._chance.random() >= share:
            return self._application(environ, start)
        kind = self._chance.choice(_KINDS)
        with self._file.with_suffix(".log").open("a") as log:
            log.write(f"{kind} {environ['REQUEST_METHOD']}\n")
        return self._failed(kind, environ, start)

    def _failed(self, kind: str, environ: dict[str, Any], start: Callable[..., Any]) -> Answer:
        if kind == "reset":
            _reset(environ["connection"])
            return []
        if kind == "half":
            answer = b"".join(self._application(environ, start))
            return _half(answer, environ["connection"])
        body = _ERROR.format(kind.partition(" ")[2]).encode()
        start(kind, [("Content-Type", "application/xml"), ("Content-Length", str(len(body)))])
        return [body]


def _half(answer: bytes, connection: socket.socket) -> Answer:
    yield answer[: len(answer) // 2]
    _reset(connection)


def _reset(connection: socket.socket) -> None:
    with suppress(OSError):
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER)
        connection.shutdown(socket.SHUT_RDWR)


def main(port: int, file: Path) -> None:
    """Serve until it is killed."""
    application = Failing(DomainDispatcherApplication(create_backend_app), file)
    run_simple("127.0.0.1", port, application, threaded=True, request_handler=Quiet)


if __name__ == "__main__":
    main(int(sys.argv[1]), Path(sys.argv[2]))
