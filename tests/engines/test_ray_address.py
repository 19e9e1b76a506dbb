"""An address where no Ray answers is refused at once: Ray would wait for minutes."""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import Iterator
from typing import Any

import pytest

from cxr_edge.errors import InputError

pytest.importorskip("ray")
from cxr_edge.engines import ray_address
from cxr_edge.engines.ray_address import joined

ADDRESS = "192.0.2.7:6379"
SETTINGS = bytes((0, 0, 0, 4, 0, 0, 0, 0, 0))


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[socket.socket]:
    """Whoever is at the other end of a connection to any address."""
    ours, theirs = socket.socketpair()
    monkeypatch.setattr(ray_address.socket, "create_connection", lambda *_: ours)
    with ours, theirs:
        yield theirs


def init(address: str, **_: Any) -> None:
    raise ConnectionError(f"asked Ray for {address}, with {os.environ.get('RAY_ADDRESS')}")


@pytest.fixture(autouse=True)
def no_ray(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ray_address.ray, "init", init)


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
    ray_address.socket.create_connection().settimeout(0.01)
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


def test_loopback_is_looked_for_where_ray_goes(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def refuse(place: tuple[str, int], _: float) -> None:
        asked.append(place)
        raise ConnectionRefusedError("refused")

    monkeypatch.setattr(ray_address.socket, "create_connection", refuse)
    monkeypatch.setattr(ray_address.services, "get_node_ip_address", lambda: "192.0.2.7")
    assert "localhost:6379: Ray goes to 192.0.2.7 for it, and there: refused" in refusal(
        "localhost:6379"
    )
    assert "127.0.0.1:10001: refused" in refusal("ray://127.0.0.1:10001")
    assert asked == [("192.0.2.7", 6379), ("127.0.0.1", 10001)]


def test_another_cluster_in_the_environment_is_not_joined(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_ADDRESS", "127.0.0.1:1")
    assert "asked Ray for auto, with None" in refusal("auto")


@pytest.mark.parametrize("times", [1, 2])
def test_ctrl_c_waits_until_ray_has_started_and_a_second_one_does_not(
    times: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps: list[str] = []

    def interrupted(address: str, **_: Any) -> None:
        for _ in range(times):
            signal.raise_signal(signal.SIGINT)
        steps.append("started")

    monkeypatch.setattr(ray_address.ray, "init", interrupted)
    monkeypatch.setattr(ray_address.ray, "shutdown", lambda: steps.append("ended"))
    with pytest.raises(KeyboardInterrupt), joined("auto"):
        steps.append("joined")
    assert steps == (["started", "ended"] if times == 1 else ["ended"])


def test_sigterm_ends_a_start_as_it_ends_a_run(monkeypatch: pytest.MonkeyPatch) -> None:
    def ends(address: str, **_: Any) -> None:
        raise SystemExit(signal.SIGTERM)  # as Ray's handler does

    def terminated(number: int, _: object) -> None:
        raise SystemExit(128 + number)

    monkeypatch.setattr(ray_address.ray, "init", ends)
    former = signal.signal(signal.SIGTERM, terminated)
    try:
        with pytest.raises(SystemExit) as ended, joined("auto"):
            pass
    finally:
        signal.signal(signal.SIGTERM, former)
    assert ended.value.code == 143
