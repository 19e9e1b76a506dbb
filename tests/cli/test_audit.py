"""`cxr-edge audit` after nights of `score`."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from cxr_edge.errors import StateError
from cxr_edge.ledger import audit
from cxr_edge.ledger.audit import AUDIT_NAME
from tests.cli.conftest import Run
from tests.cli.reports import run_values
from tests.factories import raising


@pytest.fixture
def state(run: Run, tiny: Path, films: Path, tmp_path: Path) -> Path:
    """After two nights."""
    folder = tmp_path / "state"
    for night in ("first", "second"):
        made = run(
            *("score", films, "--model", tiny, "--out", tmp_path / night, "--state", folder, "-q")
        )
        assert (made.code, made.err) == (0, "")
    return folder


def test_a_line_says_what_a_report_says(run: Run, state: Path, tmp_path: Path) -> None:
    made = run("audit", "show", "--state", state)
    line = json.loads(made.out.splitlines()[1])
    values = run_values(tmp_path / "second")
    assert (line["run"], line["model_sha256"]) == (values["run"], values["model"]["sha256"])
    assert line["counts"]["gone"] == values["counts"]["gone"]
    csv = (tmp_path / "second" / "triage.csv").read_bytes()
    assert line["triage_csv_sha256"] == hashlib.sha256(csv).hexdigest()
    assert "bright.png" not in (state / AUDIT_NAME).read_text()
    made = run("audit", "verify", "--state", state)
    assert (made.code, made.err) == (0, "")
    assert made.out.startswith(f"lines: 2, last run: {line['run']}, sha256 of its line: ")


def test_a_broken_chain_exits_with_1(run: Run, state: Path) -> None:
    log = state / AUDIT_NAME
    log.write_text(log.read_text().replace('"found":3', '"found":2', 1))
    for command in ("show", "verify"):
        made = run("audit", command, "--state", state)
        assert (made.code, made.out) == (1, "")
        assert "broken at line 1, after run none: its text was changed" in made.err


def test_a_night_goes_on_without_its_line(
    run: Run, tiny: Path, films: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(audit, "append", raising(StateError("the disk is full")))
    made = run("score", films, "--model", tiny, "--out", tmp_path / "out", "-q")
    assert made.code == 0
    assert "warning: this run has no line in the audit log: the disk is full" in made.err
    assert len(run("history").out.splitlines()) == 2
