"""The examples for archives: hardened, sound, and whole files alone."""

from __future__ import annotations

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


def test_scripts_make_nothing_of_a_header() -> None:
    lua = (EXAMPLES / "pacs/forward.lua").read_text()
    assert "os.execute" not in lua
    assert not re.search(r"tags\[", lua)


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


class _Rest(BaseHTTPRequestHandler):
    """Three changes of an Orthanc, on two pages."""

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
        self.send_response(200 if self.headers["Authorization"] == "Basic dTpw" else 401)
        self.end_headers()
        self.wfile.write(answers[self.path])

    def log_message(self, *_: object) -> None:
        """Nobody reads it."""


@pytest.fixture
def address() -> Iterator[str]:
    server = HTTPServer(("127.0.0.1", 0), _Rest)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()
    thread.join()
    server.server_close()


def test_new_instances_are_copied_once(address: str, tmp_path: Path) -> None:
    script = EXAMPLES / "pacs/orthanc_to_folder.py"
    environment = {**os.environ, "ORTHANC_PASSWORD": "p", "no_proxy": "127.0.0.1"}
    folder = tmp_path / "incoming"
    folder.mkdir()
    said = [
        subprocess.run(
            [sys.executable, script, address, "u", folder],
            env=environment,
            capture_output=True,
            text=True,
            check=True,
            timeout=120,
        ).stderr
        for _ in range(2)
    ]
    assert said == ["2 instances copied\n", "0 instances copied\n"]
    kept = {path.name: path.read_bytes() for path in folder.iterdir()}
    assert kept == {"aa.dcm": b"film a", "bb.dcm": b"film b"}
    assert (tmp_path / "incoming.orthanc-changes").read_bytes() == b"7"
