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


A, B, C = ("-".join([letter * 8] * 5) for letter in "abc")


class _Orthanc(HTTPServer):
    """Instances, changes, and a receiver that is away or refuses some."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Rest)
        self.held = {A: b"film a", B: b"film b"}
        self.changes = [("NewInstance", A), ("StableStudy", "s"), ("NewInstance", B)]
        self.away, self.stored = False, list[str]()
        self.refused, self.broken = set[str](), set[str]()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/"

    def of(self, path: str) -> bytes | None:
        """Answer to a question; two changes a page."""
        if path == "/changes?last":
            return json.dumps({"Last": len(self.changes)}).encode()
        if path.startswith("/changes?since="):
            since = int(path.split("=")[1].split("&")[0])
            page = self.changes[since : since + 2]
            last = min(since + len(page), len(self.changes))
            found = [{"ChangeType": kind, "ID": identifier} for kind, identifier in page]
            done = last >= len(self.changes)
            return json.dumps({"Changes": found, "Last": last, "Done": done}).encode()
        if path in ("/system", "/instances"):
            return json.dumps(list(self.held)).encode()
        identifier = path.split("/")[2]
        return self.held.get(identifier)


class _Rest(BaseHTTPRequestHandler):
    server: _Orthanc

    def do_GET(self) -> None:
        if any(f"{each}/file" in self.path for each in self.server.broken):
            self.send_response(200)
            self.send_header("Content-Length", "99")
            self.end_headers()  # and no more comes
            return
        answer = self.server.of(self.path)
        self._answer(200 if answer is not None else 404, answer or b"{}")

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        _, _, name, what = self.path.split("/")
        if name != "edge" or (body and body[0] not in self.server.held):
            self._answer(404, b"{}")
        elif self.server.away or (body and body[0] in self.server.refused):
            self._answer(500, b'{"Message": "Error", "Details": "DIMSE status 0x0117"}')
        else:
            self.server.stored += body if what == "store" else []
            self._answer(200, b"{}")

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


TO_EDGE = ("--modality", "edge")


def follow(
    orthanc: _Orthanc, mark: Path, *target: object, url: str = "", **environment: str
) -> tuple[int, str]:
    """One call of the script: its exit code, and what it has said."""
    script = EXAMPLES / "pacs/follow_orthanc.py"
    made = subprocess.run(
        [sys.executable, script, url or orthanc.url, "u", mark, *target],
        env={**os.environ, "ORTHANC_PASSWORD": "p", **environment},
        capture_output=True,
        text=True,
        timeout=120,
    )
    return made.returncode, made.stderr


def test_instances_are_copied_once(orthanc: _Orthanc, tmp_path: Path) -> None:
    folder, mark = tmp_path / "incoming", tmp_path / "mark"
    folder.mkdir()
    assert follow(orthanc, mark, "--folder", folder) == (0, "2 handed on\n")
    assert follow(orthanc, mark, "--folder", folder) == (0, "")
    kept = {path.name: path.read_bytes() for path in folder.iterdir()}
    assert kept == {f"{A}.dcm": b"film a", f"{B}.dcm": b"film b"}
    assert mark.read_text() == "3\n"


def test_without_a_mark_everything_is_handed_on(orthanc: _Orthanc, tmp_path: Path) -> None:
    """Also what the list of changes does not hold any more."""
    orthanc.changes = []
    orthanc.held = {"-".join([f"{n:08x}"] * 5): b"" for n in range(250)}
    orthanc.refused = {last := list(orthanc.held)[-1]}
    code, said = follow(orthanc, tmp_path / "mark", *TO_EDGE)
    assert (code, said) == (1, f"249 handed on, 1 not taken ({last}: DIMSE status 0x0117)\n")
    assert orthanc.stored == list(orthanc.held)[:-1]


def test_a_mark_of_another_archive_is_seen(orthanc: _Orthanc, tmp_path: Path) -> None:
    """A new or restored database counts its changes from the beginning."""
    (tmp_path / "mark").write_text("1677\n")
    code, said = follow(orthanc, tmp_path / "mark", *TO_EDGE)
    assert (code, orthanc.stored, "new list of changes" in said) == (0, [A, B], True)


def test_what_a_receiver_did_not_take_is_handed_on_later(orthanc: _Orthanc, tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    orthanc.away = True
    said = "stopped: edge: DIMSE status 0x0117; 2 wait\n"
    assert follow(orthanc, mark, *TO_EDGE) == (1, said)
    orthanc.away, orthanc.refused = False, {A}
    for handed in ("1 handed on, ", ""):
        said = f"{handed}1 not taken ({A}: DIMSE status 0x0117)\n"
        assert follow(orthanc, mark, *TO_EDGE) == (1, said)
        assert (orthanc.stored, mark.read_text()) == ([B], f"3\n{A}\n")
    orthanc.refused = set()
    assert follow(orthanc, mark, *TO_EDGE) == (0, "1 handed on\n")
    assert (orthanc.stored, mark.read_text()) == ([B, A], "3\n")


def test_one_that_is_gone_is_said_and_let_go(orthanc: _Orthanc, tmp_path: Path) -> None:
    (tmp_path / "mark").write_text(f"0\n{C}\n")
    said = "2 handed on, 1 no longer in Orthanc\n"
    assert follow(orthanc, tmp_path / "mark", *TO_EDGE) == (0, said)


def test_a_modality_that_is_not_known_loses_nothing(orthanc: _Orthanc, tmp_path: Path) -> None:
    """Orthanc answers with 404 then, as it does where an instance is gone."""
    (tmp_path / "mark").write_text(f"0\n{C}\n")
    code, said = follow(orthanc, tmp_path / "mark", "--modality", "a/b")
    assert (code, said) == (1, "stopped: Orthanc knows no modality a/b; 1 wait\n")
    assert (tmp_path / "mark").read_text() == f"0\n{C}\n"


def test_one_that_cannot_be_read_does_not_hold_up_the_rest(
    orthanc: _Orthanc, tmp_path: Path
) -> None:
    folder = tmp_path / "incoming"
    folder.mkdir()
    orthanc.broken = {A}
    code, said = follow(orthanc, tmp_path / "mark", "--folder", folder)
    assert (code, [path.name for path in folder.iterdir()]) == (1, [f"{B}.dcm"])
    assert said.startswith(f"1 handed on, 1 not taken ({A}: IncompleteRead")


@pytest.mark.parametrize("content", ["", "abc\n", f"{A}\n", f"7\n{A[:-1]}\n", "7\n\xff\n"])
def test_a_damaged_mark_is_refused(content: str, orthanc: _Orthanc, tmp_path: Path) -> None:
    (tmp_path / "mark").write_text(content)
    code, said = follow(orthanc, tmp_path / "mark", *TO_EDGE)
    assert (code, orthanc.stored) == (1, [])
    assert "mark is damaged: delete it to begin with everything again" in said


WRONG: dict[str, tuple[dict[str, str], tuple[str, ...], int, str]] = {
    "password": ({"ORTHANC_PASSWORD": "x"}, TO_EDGE, 1, "stopped: Orthanc refuses this user"),
    "no scheme": ({"url": "127.0.0.1:80"}, TO_EDGE, 2, "begins with http://"),
    "nobody there": ({"url": "http://127.0.0.1:9"}, TO_EDGE, 1, "Connection refused"),
    "no name": ({}, ("--modality", ""), 2, "--modality is empty"),
    "no folder": ({}, ("--folder", "/nowhere"), 1, "stopped: /nowhere is no folder; 2 wait"),
    "a proxy": ({"http_proxy": "http://127.0.0.1:9"}, TO_EDGE, 0, "2 handed on"),
}


@pytest.mark.parametrize(("given", "target", "code", "said"), WRONG.values(), ids=WRONG)
def test_what_is_wrong_is_said_in_a_line(
    given: dict[str, str],
    target: tuple[str, ...],
    code: int,
    said: str,
    orthanc: _Orthanc,
    tmp_path: Path,
) -> None:
    found, text = follow(orthanc, tmp_path / "mark", *target, **given)
    assert (found, said in text, "Traceback" in text) == (code, True, False), text


def test_a_disk_that_takes_no_more(orthanc: _Orthanc, tmp_path: Path) -> None:
    folder = tmp_path / "incoming"
    (folder / f".{A}.dcm.part").mkdir(parents=True)
    code, said = follow(orthanc, tmp_path / "mark", "--folder", folder)
    assert (code, said) == (1, f"stopped: {folder} cannot be written: Is a directory; 2 wait\n")
    inside = follow(orthanc, folder / "mark", "--folder", folder)
    assert (inside[0], "the mark lies inside --folder" in inside[1]) == (2, True)


def test_two_calls_are_not_at_it_at_once(orthanc: _Orthanc, tmp_path: Path) -> None:
    with (tmp_path / "mark.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert follow(orthanc, tmp_path / "mark", *TO_EDGE) == (0, "another call is at it\n")
