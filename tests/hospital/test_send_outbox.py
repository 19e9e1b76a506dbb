"""A send beside other runs on its state: it waits for a peer without holding anybody up."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from cxr_edge.errors import StateBusyError
from cxr_edge.ledger import file
from cxr_edge.ledger.outbox import Outbox, Sending
from cxr_edge.ledger.runs import read_ledger
from cxr_edge.ledger.state import held
from tests.hospital.peer import Peer, free_port, sent, serving
from tests.hospital.receiving import ROOT, write_films


class Apart:
    """A `send` in a process of its own, and its lines."""

    def __init__(self, process: subprocess.Popen[bytes], log: Path) -> None:
        self._process, self._log = process, log

    @property
    def log(self) -> str:
        return self._log.read_text()

    def wait_for(self, text: str) -> None:
        end = time.monotonic() + 60
        while text not in self.log:
            assert time.monotonic() < end and self._process.poll() is None, self.log
            time.sleep(0.02)

    def code(self) -> int:
        return self._process.wait(120)


@contextlib.contextmanager
def sending_apart(folder: Path, port: int, state: Path) -> Iterator[Apart]:
    words = [
        *(sys.executable, "-m", "cxr_edge", "send", str(folder)),
        *("--to", f"PACS@127.0.0.1:{port}", "--state", str(state)),
    ]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), *sys.path])}
    log = state.parent / f"log-{time.monotonic_ns()}"
    with log.open("wb") as stream:
        process = subprocess.Popen(words, stderr=stream, stdout=stream, env=environment)
    try:
        yield Apart(process, log)
    finally:
        process.kill()
        process.wait()


def test_a_peer_that_is_away_keeps_no_run_from_the_state(tmp_path: Path) -> None:
    films, state, port = write_films(tmp_path / "films", 2), tmp_path / "state", free_port()
    with sending_apart(films, port, state) as process:
        process.wait_for("2 objects wait, tried again in 2 s, until ")
        with held(state, ["a night"]), serving(Peer(port)) as peer:
            process.wait_for("another run holds")
            assert peer.got == []
        with serving(Peer(port)) as peer:
            assert process.code() == 0
        assert len(peer.got) == 2


def test_two_sends_at_once_send_each_object_once(tmp_path: Path) -> None:
    state, folders = tmp_path / "state", [tmp_path / "one", tmp_path / "two"]
    for folder in folders:
        write_films(folder, 4)
    with (
        serving(Peer(answers=[0xA700] * 4)) as peer,
        sending_apart(folders[0], peer.port, state) as first,
    ):
        first.wait_for("tried again")
        code = StateBusyError.exit_code
        while code == StateBusyError.exit_code:  # it began while the other one held the state
            with sending_apart(folders[1], peer.port, state) as second:
                code = second.code()
        assert [code, first.code()] == [0, 0]
    assert len(peer.got) == len(set(peer.got)) == 4
    with read_ledger(state) as ledger:
        to = f"PACS@127.0.0.1:{peer.port}"
        assert len(Outbox(ledger.connection).in_state(to, Sending.SENT)) == 4


def test_a_state_that_is_held_from_the_beginning_is_an_error(tmp_path: Path) -> None:
    films, state = write_films(tmp_path / "films", 1), tmp_path / "state"
    with held(state, ["a night"]), pytest.raises(StateBusyError):
        sent(films, free_port(), state)


def test_a_send_reads_the_whole_ledger_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    films, checked = write_films(tmp_path / "films", 2), []
    check = file._check_whole

    def note(connection: sqlite3.Connection, *, is_checked: bool) -> None:
        checked.append(is_checked)
        check(connection, is_checked=is_checked)

    monkeypatch.setattr(file, "_check_whole", note)
    for _ in range(2):
        with serving(Peer()) as peer:
            sent(films, peer.port, tmp_path / "state")
    assert checked == [False, True, True] * 2, "the next send looks anew"
