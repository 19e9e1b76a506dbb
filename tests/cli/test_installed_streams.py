"""The installed `cxr-edge` on terminals, on full disks, and before readers that leave."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli.installed import (
    BINARY,
    SCORE,
    environment,
    installed,
    on_a_terminal,
)
from tests.cli.reports import is_night_line
from tests.factories import names_in, write_tree

pytestmark = installed


def test_errors_are_red_on_a_terminal() -> None:
    assert b"\x1b[31merror: " in on_a_terminal("score")


@pytest.mark.parametrize("command", ["error", "score"])
def test_no_color_is_honoured(command: str, films: Path, tiny: Path, tmp_path: Path) -> None:
    arguments = {
        "error": ["score"],
        "score": [*SCORE, films, "--model", tiny, "--out", tmp_path / "out"],
    }
    seen = on_a_terminal(*arguments[command], NO_COLOR="1")
    assert seen
    assert b"\x1b[3" not in seen, "a colour"


@pytest.mark.slow
def test_a_reader_that_stops_early_costs_nothing(tmp_path: Path) -> None:
    many = write_tree(tmp_path / "in", {f"{i}.png": b"" for i in range(3000)})
    out = tmp_path / "out"
    command = [str(BINARY), *SCORE, str(many), "--out", str(out), "--jsonl", "-q"]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment()
    ) as process:
        if process.stdout is None or process.stderr is None:
            raise RuntimeError("no pipes")
        first = process.stdout.readline()
        process.stdout.close()
        said = process.stderr.read()
    assert first.startswith(b'{"rank": 1,')
    assert (process.returncode, is_night_line(said)) == (3, True)
    assert len((out / "triage.csv").read_text().splitlines()) == 3001


def test_a_full_disk_behind_stdout_is_said_and_the_report_is_there(
    films: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    with Path("/dev/full").open("wb") as full:
        command = [str(BINARY), *SCORE, str(films), "--out", str(out), "--jsonl", "-q"]
        made = subprocess.run(
            command, stdout=full, stderr=subprocess.PIPE, env=environment(), check=False
        )
    assert made.returncode == 1
    assert made.stderr.decode() == (
        "error: the rows could not be written to stdout: No space left on device\n"
        f"  tip: the report itself is complete: {out}\n"
    )
    assert names_in(out) == ["run.json", "triage.csv", "triage.html"]


def full() -> int:
    return os.open("/dev/full", os.O_WRONLY)


def left() -> int:
    """A pipe whose reader has gone."""
    ours, theirs = os.pipe()
    os.close(ours)
    return theirs


@pytest.mark.parametrize(
    ("opened", "arguments", "code"),
    [(full, ("score", "in", "--settle", "0", "--out", "out"), 3), (left, ("score", "nosuch"), 2)],
    ids=["a night", "usage"],
)
def test_a_log_that_cannot_be_written_changes_nothing(
    opened: Callable[[], int], arguments: tuple[str, ...], code: int, tmp_path: Path
) -> None:
    """A full disk under the log, or `2>&1 | head`; enough files for several lines of progress."""
    write_tree(tmp_path / "in", {f"{i}.png": b"" for i in range(1100)})
    log = opened()
    command = [str(BINARY), *arguments, "--model", "cnn3_50"]
    env = environment()
    made = subprocess.run(
        command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=log, env=env, check=False
    )
    os.close(log)
    assert (made.returncode, made.stdout) == (code, b"")
    if code == 3:
        rows = (tmp_path / "out" / "triage.csv").read_text().splitlines()
        assert len(rows) == 1101
