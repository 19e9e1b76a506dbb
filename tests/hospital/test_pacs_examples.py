"""The examples for archives: hardened, sound, and whole files alone."""

from __future__ import annotations

import fcntl
import json
import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from cxr_edge.cli.commands import cli

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
HARDENED = {
    "DicomCheckCalledAet": True,
    "DicomCheckModalityHost": True,
    "DicomAlwaysAllowEcho": False,
    "DicomAlwaysAllowStore": False,
    "RemoteAccessAllowed": False,
    "AuthenticationEnabled": True,
    "ExecuteLuaEnabled": False,
    "RestApiWriteToFileSystemEnabled": False,
    "OverwriteInstances": False,
}


def test_orthanc_is_hardened() -> None:
    values = json.loads((EXAMPLES / "pacs/orthanc.json").read_text())
    assert {name: values[name] for name in HARDENED} == HARDENED
    assert all(each["AllowGet"] is False for each in values["DicomModalities"].values())


def test_the_shell_takes_the_script_of_dcmtk() -> None:
    script = EXAMPLES / "pacs/storescp.sh"
    assert os.access(script, os.X_OK)
    subprocess.run(["sh", "-n", script], check=True)
    assert subprocess.run([script], capture_output=True, check=False).returncode == 2


@pytest.mark.parametrize(
    ("scored", "code", "steps"), [(0, 0, 2), (3, 3, 2), (1, 1, 1), (75, 75, 1)]
)
def test_the_script_of_a_study_ends_as_score_did_and_sends_what_it_can(
    scored: int, code: int, steps: int, tmp_path: Path
) -> None:
    tool = tmp_path / "cxr-edge"
    tool.write_text(f'#!/bin/sh\necho "$@"\n[ "$1" = score ] && exit {scored}\nexit 3\n')
    tool.chmod(0o755)
    environment = {"PATH": f"{tmp_path}:{os.environ['PATH']}", "STATE": "s", "PACS": "P@h:1"}
    script = EXAMPLES / "pacs/study.sh"
    made = subprocess.run([script, "films"], capture_output=True, text=True, env=environment)
    lines = made.stdout.splitlines()
    score = "score films -q --state s --results --secondary-capture flagged"
    assert lines == [score, "send reports --to P@h:1 --aet CXREDGE --state s"][:steps]
    assert made.returncode == code
    for words in map(str.split, lines):
        options = {name for each in cli.commands[words[0]].params for name in each.opts}
        assert {word for word in words if word.startswith("-")} <= options


def test_the_container_runs_a_command_that_there_is() -> None:
    text = (EXAMPLES / "mercure/Containerfile").read_text()
    (words,) = re.findall(r"^CMD (.*)$", text, re.M)
    program, command = json.loads(words)
    assert program == "cxr-edge"
    assert command in cli.commands
    assert "[cpu,hospital]" in text


class _Orthanc(HTTPServer):
    """With a receiver that is away, or refuses an object."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Rest)
        self.away, self.refused, self.stored = False, "", list[str]()


class _Rest(BaseHTTPRequestHandler):
    """Three changes of an Orthanc, on two pages."""

    server: _Orthanc

    def do_GET(self) -> None:
        first = {"Changes": [{"ChangeType": "NewInstance", "ID": "aa"}], "Last": 4, "Done": False}
        rest = [{"ChangeType": "StableStudy", "ID": "s"}, {"ChangeType": "NewInstance", "ID": "bb"}]
        answers = {
            "/changes?since=0&limit=100": json.dumps(first).encode(),
            "/changes?since=4&limit=100": json.dumps(
                {"Changes": rest, "Last": 7, "Done": True}
            ).encode(),
            "/changes?since=7&limit=100": b'{"Changes": [], "Last": 7, "Done": true}',
            "/instances/aa/file": b"film a",
            "/instances/bb/file": b"film b",
        }
        self._answer(200, answers[self.path])

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        taken = not self.server.away and body != [self.server.refused]
        if self.path == "/modalities/edge/store" and taken:
            self.server.stored.append(*body)
        else:
            assert self.path in {"/modalities/edge/echo", "/modalities/edge/store"}
        self._answer(200 if taken else 500, b"{}")

    def _answer(self, code: int, body: bytes) -> None:
        self.send_response(code if self.headers["Authorization"] == "Basic dTpw" else 401)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Nobody reads it."""


@pytest.fixture
def orthanc() -> Iterator[_Orthanc]:
    server = _Orthanc()
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def follow(orthanc: _Orthanc, mark: Path, *target: object) -> tuple[int, str]:
    """One call of the script: its exit code, and what it has said."""
    script = EXAMPLES / "pacs/follow_orthanc.py"
    made = subprocess.run(
        [sys.executable, script, f"http://127.0.0.1:{orthanc.server_port}/", "u", mark, *target],
        env={**os.environ, "ORTHANC_PASSWORD": "p", "no_proxy": "127.0.0.1"},
        capture_output=True,
        text=True,
        timeout=120,
    )
    return made.returncode, made.stderr


def test_new_instances_are_copied_once(orthanc: _Orthanc, tmp_path: Path) -> None:
    folder, mark = tmp_path / "incoming", tmp_path / "mark"
    folder.mkdir()
    for handed in (2, 0):
        said = f"{handed} instances handed on, 0 left for the next call\n"
        assert follow(orthanc, mark, "--folder", folder) == (0, said)
    kept = {path.name: path.read_bytes() for path in folder.iterdir()}
    assert kept == {"aa.dcm": b"film a", "bb.dcm": b"film b"}
    assert mark.read_text() == "7\n"


def test_what_a_receiver_did_not_take_is_handed_on_later(orthanc: _Orthanc, tmp_path: Path) -> None:
    stored, mark, target = orthanc.stored, tmp_path / "mark", ("--modality", "edge")
    orthanc.away = True
    code, said = follow(orthanc, mark, *target)
    assert (code, stored, mark.exists()) == (1, [], False)
    assert "HTTP Error 500" in said
    orthanc.away, orthanc.refused = False, "aa"
    for _ in range(2):
        code, said = follow(orthanc, mark, *target)
        assert (code, stored, mark.read_text()) == (1, ["bb"], "7\naa\n")
        assert "1 left for the next call; the last one: HTTP Error 500" in said
    orthanc.refused = ""
    assert follow(orthanc, mark, *target)[0] == 0
    assert (stored, mark.read_text()) == (["bb", "aa"], "7\n")


def test_two_calls_are_not_at_it_at_once(orthanc: _Orthanc, tmp_path: Path) -> None:
    with (tmp_path / "mark.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        code, said = follow(orthanc, tmp_path / "mark", "--modality", "edge")
    assert (code, said) == (0, "another call is at it\n")
