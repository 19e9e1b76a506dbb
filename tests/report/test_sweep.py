"""What a killed run left half written goes; what another run is writing stays."""

from __future__ import annotations

import errno
import fcntl
import tempfile
from pathlib import Path
from typing import Any, NoReturn

import pytest

from cxr_edge.report import folder, write_report
from cxr_edge.report.folder import check_target
from tests.factories import names_in, report

LEFT = folder.PARTIAL + "left"


@pytest.fixture
def half_written(tmp_path: Path) -> Path:
    """What a run leaves behind that was killed while it wrote its report."""
    left = tmp_path / LEFT
    left.mkdir()
    (left / "triage.csv").write_bytes(b"half")
    return left


def test_what_a_killed_run_left_is_swept(half_written: Path, tmp_path: Path) -> None:
    check_target(tmp_path / "report")
    assert names_in(tmp_path) == []


def test_what_another_run_is_writing_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The other run gets to its end, and the report that it makes is whole."""
    real, seen = folder.render_html, []

    def meanwhile(made: Any) -> bytes:
        check_target(tmp_path / "other")
        seen.extend(names_in(tmp_path))
        return real(made)

    monkeypatch.setattr(folder, "render_html", meanwhile)
    write_report(report(), tmp_path / "report")
    assert [name.startswith(folder.PARTIAL) for name in seen] == [True]
    assert names_in(tmp_path) == ["report"]
    assert len(names_in(tmp_path / "report")) == 3


def test_what_only_looks_like_ours_is_kept(half_written: Path, tmp_path: Path) -> None:
    """A link would lead out of the folder; a file is nothing that we write."""
    inside = tmp_path / "in"
    inside.mkdir()
    half_written.rename(inside / "film")
    (inside / LEFT).symlink_to("film")
    (inside / f"{LEFT}-file").touch()
    check_target(inside / "report")
    assert names_in(inside) == [LEFT, f"{LEFT}-file", "film"]
    assert names_in(inside / "film") == ["triage.csv"]


@pytest.mark.parametrize("moment", ["before it is opened", "before it is locked"])
def test_a_folder_that_is_swept_before_it_is_locked_is_made_again(
    moment: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    swept: list[Path] = []

    def sweep_once() -> None:
        if not swept:
            swept.append(tmp_path)
            folder._sweep(tmp_path)

    if moment == "before it is opened":
        mkdtemp = tempfile.mkdtemp
        monkeypatch.setattr(
            tempfile, "mkdtemp", lambda **options: (mkdtemp(**options), sweep_once())[0]
        )
    else:
        flock = fcntl.flock
        monkeypatch.setattr(fcntl, "flock", lambda *call: (sweep_once(), flock(*call))[1])
    write_report(report(), tmp_path / "report")
    assert swept
    assert names_in(tmp_path) == ["report"]


def test_a_probe_that_another_run_sweeps_is_no_fault(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = tempfile.mkdtemp
    monkeypatch.setattr(
        tempfile, "mkdtemp", lambda **options: (real(**options), folder._sweep(tmp_path))[0]
    )
    check_target(tmp_path / "report")
    assert names_in(tmp_path) == []


def test_where_folders_cannot_be_locked_a_report_is_written_all_the_same(
    half_written: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And nothing is swept: it might be in use."""

    def fail(*_: Any) -> NoReturn:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", fail)
    check_target(tmp_path / "report")
    write_report(report(), tmp_path / "report")
    assert names_in(tmp_path) == [LEFT, "report"]
