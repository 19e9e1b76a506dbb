"""One Ray cluster for all tests that need one: it takes half a minute to start."""

from __future__ import annotations

import os
import secrets
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

from cxr_edge.engines.worker import Kit
from cxr_edge.intake.prepared import IntakeSettings
from cxr_edge.model.catalog import choose_model

ROOT = Path(__file__).resolve().parents[2]
SECONDS_TO_END = 60  # on a busy machine
NODES = 3
SECRET = "never-to-be-written-anywhere"


@pytest.fixture
def kit(tiny: Path) -> Kit:
    choice = choose_model(str(tiny))
    return Kit(choice, tiny.read_bytes(), "cpu", IntakeSettings.of(choice.spec))


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
        self._do("remove")

    def add_a_node(self) -> None:
        """One more, which takes its time to join."""
        self._do("add")

    def _do(self, what: str) -> None:
        assert self.process.stdin and self.process.stdout
        self.process.stdin.write(f"{what}\n")
        self.process.stdin.flush()
        assert self.process.stdout.readline() == f"{what}\n"

    def decoders(self) -> list[int]:
        """Processes below those of the workers."""
        below = set(self.actors())
        parents = {pid: parent_of(pid) for pid in every_process()}
        found: set[int] = set()
        while more := {pid for pid, parent in parents.items() if parent in below | found} - found:
            found |= more
        return sorted(found)

    def actors(self) -> list[int]:
        """Processes of workers that have films to score, on any node."""
        return [pid for pid in self.processes() if "ray::Worker" in command_of(pid)]

    def is_left_alone(self) -> bool:
        """Whether no worker is there; Ray takes a moment to end those of a driver that has gone."""
        deadline = time.monotonic() + 30
        while self.actors() and time.monotonic() < deadline:
            time.sleep(0.2)
        return not self.actors()

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


def parent_of(pid: int) -> int:
    """Number of its parent; 0 where it has ended."""
    fields = read(f"/proc/{pid}/stat").rpartition(b")")[2].split()
    return int(fields[1]) if fields else 0


def command_of(pid: int) -> str:
    """How a process is called now."""
    return read(f"/proc/{pid}/cmdline").decode(errors="replace")


@pytest.fixture(scope="package")
def storage_environment() -> dict[str, str]:
    """Where object storage will be, and a secret; nodes know both from their start."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    return {
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}",
        "AWS_ACCESS_KEY_ID": "keyoftests",
        "AWS_SECRET_ACCESS_KEY": SECRET,
        "AWS_DEFAULT_REGION": "us-east-1",
    }


@dataclass(frozen=True)
class Failures:
    """Failures of the object storage, see `storage_server`.

    Attributes:
        file: that it reads before each answer.
    """

    file: Path

    @contextmanager
    def of(self, share: float) -> Iterator[None]:
        """Have so many requests fail."""
        self.file.write_text(str(share))
        try:
            yield
        finally:
            self.file.write_text("0")

    @property
    def kinds(self) -> list[str]:
        """What has failed so far."""
        log = self.file.with_suffix(".log")
        return log.read_text().splitlines() if log.exists() else []


@pytest.fixture(scope="package")
def failures(tmp_path_factory: pytest.TempPathFactory) -> Failures:
    """Failures of the object storage; none until they are asked for."""
    return Failures(tmp_path_factory.mktemp("storage") / "share")


@pytest.fixture(scope="package")
def storage(storage_environment: dict[str, str], failures: Failures) -> Iterator[dict[str, str]]:
    """The environment of a server that speaks S3, on loopback."""
    pytest.importorskip("moto.server")
    url = storage_environment["AWS_ENDPOINT_URL"]
    server = subprocess.Popen(
        [
            *(sys.executable, "-m", "tests.engines.storage_server"),
            *(url.rpartition(":")[2], str(failures.file)),
        ],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        cwd=ROOT,
    )
    try:
        until_it_answers(url)
        yield storage_environment
    finally:
        server.kill()
        server.wait()


def until_it_answers(url: str) -> None:
    """Wait for a server."""
    deadline = time.monotonic() + SECONDS_TO_END
    while True:
        with suppress(OSError), urllib.request.urlopen(url, timeout=SECONDS_TO_END):
            return
        assert time.monotonic() < deadline
        time.sleep(0.2)


@pytest.fixture(scope="package")
def ray_cluster(storage_environment: dict[str, str]) -> Iterator[RayCluster]:
    """Three nodes of one core each, of which no process is left afterwards."""
    pytest.importorskip("ray")
    environment = {
        **os.environ,
        **storage_environment,
        "PYTHONPATH": f"{ROOT}",
        # Or Ray takes the loopback address of whoever joins for that of the network.
        "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",
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
