"""The audit log: a chain of lines, and where it breaks."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from cxr_edge.errors import StateError
from cxr_edge.ledger.audit import AUDIT_NAME, NOTHING_BEFORE, append, read_audit


@pytest.fixture
def state(tmp_path: Path) -> Path:
    folder = tmp_path / "state"
    folder.mkdir(0o700)
    for run in ("one", "two", "three"):
        append(folder, {"run": run, "counts": {"found": 3}})
    return folder


def test_lines_are_chained(state: Path) -> None:
    log = read_audit(state)
    assert [line["run"] for line in log.lines] == ["one", "two", "three"]
    assert log.lines[0]["previous"] == NOTHING_BEFORE
    assert log.lines[2]["previous"] == log.lines[1]["sha256"]
    assert (log.broken, log.head) == ("", log.lines[2]["sha256"])
    assert (state / AUDIT_NAME).stat().st_mode & 0o777 == 0o600


def test_no_log_yet(tmp_path: Path) -> None:
    tmp_path.chmod(0o700)
    assert (read_audit(tmp_path).lines, read_audit(tmp_path).head) == ((), NOTHING_BEFORE)


def changed(lines: list[str]) -> list[str]:
    return [lines[0], lines[1].replace('"found":3', '"found":4'), lines[2]]


def rehashed(lines: list[str]) -> list[str]:
    """A line that was changed together with its own hash breaks the next one."""
    other = json.loads(lines[1])
    return [lines[0], lines[0].replace(json.loads(lines[0])["sha256"], other["sha256"]), lines[2]]


BREAKS: dict[str, tuple[Callable[[list[str]], list[str]], str]] = {
    "changed": (changed, "line 2, after run one: its text was changed"),
    "rehashed": (rehashed, "line 2, after run one: its text was changed"),
    "removed": (lambda lines: [lines[0], lines[2]], "line 2, after run one: another line stood"),
    "first removed": (lambda lines: lines[1:], "line 1, after run none: another line stood"),
    "twice": (lambda lines: [*lines, lines[2]], "line 4, after run three: another line stood"),
    "turned round": (lambda lines: lines[::-1], "line 1, after run none: another line stood"),
    "no line": (lambda lines: [lines[0], "x", lines[2]], "line 2, after run one: it is no line"),
    "a list": (lambda lines: ["[]", *lines], "line 1, after run none: it is no line"),
    "spelled otherwise": (
        lambda lines: [lines[0], lines[1].replace(":", ": "), lines[2]],
        "line 2, after run one: it is no line",
    ),
}


@pytest.mark.parametrize(("change", "where"), BREAKS.values(), ids=BREAKS)
def test_a_broken_chain(change: Callable[[list[str]], list[str]], where: str, state: Path) -> None:
    file = state / AUDIT_NAME
    file.write_text("".join(f"{line}\n" for line in change(file.read_text().splitlines())))
    assert read_audit(state).broken.startswith(where)
    append(state, {"run": "four"})
    assert read_audit(state).broken.startswith(where)


def test_an_unfinished_line_is_shown_and_then_cut_off(state: Path) -> None:
    file = state / AUDIT_NAME
    whole = file.read_bytes()
    file.write_bytes(whole + b'{"run":"fo')
    assert read_audit(state).broken.startswith("line 4, after run three: it is no line")
    append(state, {"run": "four"})
    log = read_audit(state)
    assert (log.broken, log.lines[-1]["run"]) == ("", "four")
    assert file.read_bytes().startswith(whole)


def test_a_link_is_not_written_through(state: Path, tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_text("mine")
    (state / AUDIT_NAME).unlink()
    (state / AUDIT_NAME).symlink_to(victim)
    with pytest.raises(StateError):
        append(state, {"run": "four"})
    assert victim.read_text() == "mine"
