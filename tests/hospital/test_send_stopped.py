"""Signals to a send whose peer hangs: the process ends, whatever the peer does."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests.hospital.receiving import ROOT, write_films


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_peer_that_never_answers_keeps_no_process_alive(
    number: signal.Signals, tmp_path: Path
) -> None:
    films = write_films(tmp_path / "films", 1)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), *sys.path])}
    with socket.create_server(("127.0.0.1", 0)) as peer:
        peer.settimeout(60)
        to = f"PACS@127.0.0.1:{peer.getsockname()[1]}"
        command = [sys.executable, "-m", "cxr_edge", "send", films, "--to", to]
        process = subprocess.Popen(
            [*command, "--state", tmp_path / "state"],
            env=environment,
            stderr=subprocess.PIPE,
            text=True,
        )
        try:
            connection, _ = peer.accept()
            with connection:
                assert connection.recv(1), "the request has begun to come"
                process.send_signal(number)
                _, log = process.communicate(timeout=20)
        finally:
            process.kill()
            process.wait()
    assert process.returncode == 128 + number
    assert "safe to run again" in log and "Traceback" not in log
