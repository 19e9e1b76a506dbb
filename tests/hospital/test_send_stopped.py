"""The process of a send ends when it has said so, whatever is left of its connections."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from pydicom.dataset import Dataset

from tests.hospital.peer import Peer, free_port, on_the_same, serving
from tests.hospital.receiving import ROOT, write_films


@contextmanager
def sending(*words: object) -> Iterator[subprocess.Popen[str]]:
    """A send in a process of its own, which is gone afterwards."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), *sys.path])}
    command = [sys.executable, "-m", "cxr_edge", "send", *map(str, words)]
    process = subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True)
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_peer_that_never_answers_keeps_no_process_alive(
    number: signal.Signals, tmp_path: Path
) -> None:
    films = write_films(tmp_path / "films", 1)
    with socket.create_server(("127.0.0.1", 0)) as peer:
        peer.settimeout(60)
        to = f"PACS@127.0.0.1:{peer.getsockname()[1]}"
        with sending(films, "--to", to, "--state", tmp_path / "state") as process:
            connection, _ = peer.accept()
            with connection:
                assert connection.recv(1), "the request has begun to come"
                process.send_signal(number)
                _, log = process.communicate(timeout=20)
    assert process.returncode == 128 + number
    assert "safe to run again" in log and "Traceback" not in log


def test_a_silent_connection_for_commitment_keeps_no_process_alive(tmp_path: Path) -> None:
    films, listen, silent = write_films(tmp_path / "films", 1), free_port(), []

    def commits(association: Any, asked: Dataset) -> None:
        silent.append(socket.create_connection(("127.0.0.1", listen)))
        on_the_same(association, asked)

    with serving(Peer(commits=commits)) as peer:
        words = (films, "--to", f"PACS@127.0.0.1:{peer.port}", "--state", tmp_path / "state")
        with sending(*words, "--commit", "--commit-bind", f"127.0.0.1:{listen}") as process:
            assert process.stderr is not None
            assert "1 committed" in process.stderr.readline()
            assert process.wait(15) == 0
            for connection in silent:
                connection.close()
