"""`cxr-edge prune` deletes old reports and says so."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

import pytest

from cxr_edge.report import nights, write_report
from cxr_edge.report.nights import point_latest, write_index
from tests.cli.conftest import Run
from tests.factories import names_in, raising, report, result


@pytest.fixture
def reports(tmp_path: Path) -> Path:
    """Two old ones, one of which is the latest, and a folder of somebody else's."""
    folder = tmp_path / "reports"
    for name in ("last", "old"):
        write_report(report(result(), started_utc="2020-11-22T20:00:00Z"), folder / name)
    point_latest(folder / "last")
    write_index(folder)
    (folder / "mine").mkdir()
    (folder / "mine" / "run.json").write_text(json.dumps({"run": "mine"}))
    long_ago = time.time() - 200 * 86400
    for name in ("last", "old", "mine"):
        os.utime(folder / name, (long_ago, long_ago))
    return folder


def test_old_reports_go(run: Run, reports: Path) -> None:
    made = run("prune", "--reports", "90d", reports)
    assert (made.code, made.out, made.err) == (0, f"deleted {reports / 'old'}\n", "")
    assert names_in(reports) == ["index.html", "last", "latest", "mine"]
    assert "old" not in (reports / "index.html").read_text().split("<tbody>")[1]


def test_a_dry_run_deletes_nothing(run: Run, reports: Path) -> None:
    before = names_in(reports)
    made = run("prune", "--reports", "90d", "--dry-run", reports)
    assert (made.code, made.out) == (0, f"would delete {reports / 'old'}\n")
    assert names_in(reports) == before


def test_young_reports_stay(run: Run, reports: Path) -> None:
    made = run("prune", "--reports", "201d", reports)
    assert (made.code, made.out, made.err) == (0, "", "")


def test_the_folder_of_the_working_folder(
    run: Run, reports: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(reports.parent)
    assert run("prune", "--reports", "90d").out == "deleted reports/old\n"


def test_what_cannot_be_deleted_is_said(
    run: Run, reports: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(nights, "delete", raising(OSError(13, "Permission denied")))
    made = run("prune", "--reports", "90d", reports)
    assert made.code == 1
    assert made.err == (f"warning: {reports / 'old'} could not be deleted: Permission denied\n")


def test_a_folder_without_reports_is_said(run: Run, tmp_path: Path) -> None:
    made = run("prune", "--reports", "90d", tmp_path)
    assert (made.code, made.out) == (0, "")
    assert made.err.startswith(f"warning: no report lies in {tmp_path}\n  tip: name the folder")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--reports", "90 days"], "error: no age: 90 days\n"),
        (["--reports", "90d", "lost"], "error: the folder lost cannot be read: No such file"),
        ([], "Missing option '--reports'"),
    ],
    ids=["no age", "no folder", "nothing"],
)
def test_refused(arguments: list[str], said: str, run: Run) -> None:
    made = run("prune", *arguments)
    assert (made.code, said in made.err) == (2, True), made.err
