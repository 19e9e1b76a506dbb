"""One Ray cluster for all tests that need one: it takes half a minute to start."""

from __future__ import annotations

import os
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SECONDS_TO_END = 60  # on a busy machine
NODES = 3


@dataclass(frozen=True)
class RayCluster:
    """A cluster on this machine.

    Attributes:
        process: which owns it.
        address: of its head.
        environment: for whoever wants to join: it asks for a token.
    """

    process: subprocess.Popen[str]
    address: str
    environment: dict[str, str]

    def lose_a_node(self) -> None:
        """End a node without a word to anybody."""
        assert self.process.stdin and self.process.stdout
        self.process.stdin.write("remove\n")
        self.process.stdin.flush()
        assert self.process.stdout.readline() == "removed\n"

    def actors(self) -> list[int]:
        """Processes of workers that have films to score, on any node."""
        return [pid for pid in self.processes() if "ray::Worker" in command_of(pid)]

    def processes(self) -> list[int]:
        """Every process that knows the cluster's token, but for this one."""
        token = f"RAY_AUTH_TOKEN={self.environment['RAY_AUTH_TOKEN']}".encode()
        return [pid for pid in every_process() if token in read(f"/proc/{pid}/environ")]


def every_process() -> list[int]:
    """Numbers of all processes."""
    return [int(each.name) for each in Path("/proc").glob("[0-9]*")]


def read(name: str) -> bytes:
    """What a file of /proc holds; nothing where its process has ended."""
    with suppress(OSError):
        return Path(name).read_bytes()
    return b""


def command_of(pid: int) -> str:
    """How a process is called now."""
    return read(f"/proc/{pid}/cmdline").decode(errors="replace")


@pytest.fixture(scope="package")
def ray_cluster() -> Iterator[RayCluster]:
    """Three nodes of one core each, of which no process is left afterwards."""
    pytest.importorskip("ray")
    environment = {
        **os.environ,
        "PYTHONPATH": f"{ROOT}",
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN": secrets.token_hex(32),
    }
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.engines.ray_cluster", str(NODES)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        cwd=ROOT,
        env=environment,
    )
    assert process.stdin and process.stdout
    cluster = RayCluster(process, process.stdout.readline().strip(), environment)
    try:
        assert cluster.address, "the cluster did not start"
        yield cluster
    finally:
        process.stdin.close()
        with suppress(subprocess.TimeoutExpired):
            process.wait(SECONDS_TO_END)
        process.stdout.close()
        left = remaining(cluster)
        for pid in left:
            with suppress(OSError):
                os.kill(pid, signal.SIGKILL)
    assert not left, f"processes of the cluster are left: {left}"


def remaining(cluster: RayCluster, seconds: float = 20) -> list[int]:
    """Processes that have not ended after a while."""
    deadline = time.monotonic() + seconds
    while cluster.processes() and time.monotonic() < deadline:
        time.sleep(0.2)
    return cluster.processes()
