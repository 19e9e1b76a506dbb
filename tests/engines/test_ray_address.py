"""An address where no Ray answers is refused at once: Ray would wait for minutes."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from typing import Any

import pytest

from cxr_edge.errors import InputError

pytest.importorskip("ray")
from cxr_edge.engines import ray as ray_module
from cxr_edge.engines.ray import joined

ADDRESS = "127.0.0.1:6379"
SETTINGS = bytes((0, 0, 0, 4, 0, 0, 0, 0, 0))


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[socket.socket]:
    """Whoever is at the other end of a connection to any address."""
    ours, theirs = socket.socketpair()
    monkeypatch.setattr(ray_module.socket, "create_connection", lambda *_: ours)
    with ours, theirs:
        yield theirs


def init(address: str, **_: Any) -> None:
    raise ConnectionError(f"asked Ray for {address}, with {os.environ.get('RAY_ADDRESS')}")


@pytest.fixture(autouse=True)
def no_ray(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ray_module.ray, "init", init)


def refusal(address: str) -> str:
    with pytest.raises(InputError) as refused, joined(address):
        pass
    return str(refused.value)


@pytest.mark.parametrize("answer", [b"HTTP/1.1 400 Bad Request\r\n", b"", b"220 smtp"])
def test_another_server(answer: bytes, server: socket.socket) -> None:
    server.sendall(answer)
    server.shutdown(socket.SHUT_WR)
    assert f"{ADDRESS}: another program than Ray answers there" in refusal(ADDRESS)


def test_one_that_says_nothing(server: socket.socket, monkeypatch: pytest.MonkeyPatch) -> None:
    ray_module.socket.create_connection().settimeout(0.01)
    assert "timed out" in refusal(ADDRESS)


def test_one_that_greets_as_ray_does(
    server: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.sendall(SETTINGS)
    assert "asked Ray for" in refusal(ADDRESS)
    monkeypatch.setenv("RAY_USE_TLS", "1")
    assert "asked Ray for" in refusal(ADDRESS)


def test_what_is_no_name_of_a_host() -> None:
    assert "idna" in refusal(f"{'ü' * 70}:6379")


def test_another_cluster_in_the_environment_is_not_joined(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_ADDRESS", "127.0.0.1:1")
    assert "asked Ray for auto, with None" in refusal("auto")
