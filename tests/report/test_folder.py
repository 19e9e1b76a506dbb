"""The report folder is there complete, or not at all."""

from __future__ import annotations

import errno
import os
import stat
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NoReturn

import pytest

from cxr_edge.errors import InputError, ReportError
from cxr_edge.report import folder, write_report
from cxr_edge.report.csv import render_csv
from cxr_edge.report.folder import check_target
from cxr_edge.report.run_json import render_run_json
from tests.factories import html_of, names_in, report, result

REPORT = report(result("a.png", 0.9), result("b.png", None))


def test_three_files(tmp_path: Path) -> None:
    out = tmp_path / "report"
    write_report(REPORT, out)
    assert {path.name: path.read_bytes() for path in out.iterdir()} == {
        "triage.csv": b"".join(render_csv(REPORT)),
        "run.json": render_run_json(REPORT),
        "triage.html": html_of(REPORT),
    }
    assert names_in(tmp_path) == ["report"]


def test_nobody_else_may_read_it(tmp_path: Path) -> None:
    previous = os.umask(0)
    try:
        write_report(REPORT, tmp_path / "reports/tonight")
    finally:
        os.umask(previous)
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in tmp_path.rglob("*")}
    assert modes == {
        "reports": 0o700,
        "tonight": 0o700,
        "triage.csv": 0o600,
        "run.json": 0o600,
        "triage.html": 0o600,
    }


def test_html_comes_last(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written = []
    real = folder.write_new
    monkeypatch.setattr(
        folder, "write_new", lambda path, data: (written.append(path.name), real(path, data))
    )
    write_report(REPORT, tmp_path / "report")
    assert written == ["triage.csv", "run.json", "triage.html"]


def test_an_empty_folder_is_taken(tmp_path: Path) -> None:
    (tmp_path / "report").mkdir(0o755)
    check_target(tmp_path / "report")
    write_report(REPORT, tmp_path / "report")
    assert len(names_in(tmp_path / "report")) == 3
    assert stat.S_IMODE((tmp_path / "report").stat().st_mode) == 0o700


class Fault:
    """Fails the k-th of all system calls that a report makes."""

    CALLS = (
        (tempfile, "mkdtemp"),
        (os, "open"),
        (os, "fdopen"),
        (os, "fsync"),
        (Path, "rename"),
    )

    def __init__(self, monkeypatch: pytest.MonkeyPatch, fail_at: int) -> None:
        self.made = 0
        self.fail_at = fail_at
        for owner, name in self.CALLS:
            monkeypatch.setattr(owner, name, self._counted(getattr(owner, name)))

    def _counted(self, real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **options: Any) -> Any:
            self.made += 1
            if self.made == self.fail_at:
                raise OSError(errno.ENOSPC, "No space left on device")
            return real(*args, **options)

        return call


def calls_of_a_report(tmp_path: Path) -> int:
    with pytest.MonkeyPatch.context() as patched:
        counter = Fault(patched, 0)
        write_report(REPORT, tmp_path / "dry run")
        return counter.made


AFTER_THE_RENAME = 2  # opening and syncing the parent


def test_whichever_call_fails_nothing_is_left(tmp_path: Path) -> None:
    (tmp_path / "dry").mkdir()
    total = calls_of_a_report(tmp_path / "dry")
    assert total > 15
    for k in range(1, total + 1 - AFTER_THE_RENAME):
        place = tmp_path / str(k)
        place.mkdir()
        with pytest.MonkeyPatch.context() as patched:
            Fault(patched, k)
            with pytest.raises(ReportError, match="could not be written") as caught:
                write_report(REPORT, place / "report")
        assert caught.value.exit_code == 1
        assert caught.value.tip == "choose another --out"
        assert names_in(place) == [], k


def test_a_report_that_is_there_is_no_failure(tmp_path: Path) -> None:
    """What fails behind the rename can only cost the report in a power cut, and no score."""
    total = calls_of_a_report(tmp_path / "dry")
    for k in range(total + 1 - AFTER_THE_RENAME, total + 1):
        place = tmp_path / str(k)
        with pytest.MonkeyPatch.context() as patched:
            Fault(patched, k)
            write_report(REPORT, place / "report")
        assert len(names_in(place / "report")) == 3


@pytest.mark.parametrize("existing", [False, True], ids=["new", "empty folder"])
def test_an_interruption_leaves_nothing_new(
    existing: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if existing:
        (tmp_path / "report").mkdir()

    def interrupt(made: Any) -> NoReturn:
        raise KeyboardInterrupt

    monkeypatch.setattr(folder, "render_html", interrupt)
    with pytest.raises(KeyboardInterrupt):
        write_report(REPORT, tmp_path / "report")
    assert names_in(tmp_path) == (["report"] if existing else [])


def test_a_folder_that_filled_up_meanwhile_is_kept(tmp_path: Path) -> None:
    out = tmp_path / "report"
    out.mkdir()
    (out / "mine").touch()
    with pytest.raises(ReportError, match="somebody else has written"):
        write_report(REPORT, out)
    assert names_in(tmp_path) == ["report"]
    assert names_in(out) == ["mine"]


@pytest.fixture
def places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """What `--out` may point at; the current folder is `here`."""
    for name in ("full", "here", "empty"):
        (tmp_path / name).mkdir()
    (tmp_path / "full/file").touch()
    (tmp_path / "link").symlink_to("empty")
    (tmp_path / "dangling").symlink_to("nothing")
    monkeypatch.chdir(tmp_path / "here")
    yield tmp_path


@pytest.mark.parametrize(
    "name", ["new", "empty", "new/and/deeper", "here/new", "n" * 255], ids=lambda name: name[:20]
)
def test_target_that_can_be_new(name: str, places: Path) -> None:
    before = names_in(places)
    check_target(places / name)
    assert names_in(places) == before
    write_report(REPORT, places / name)
    assert len(names_in(places / name)) == 3


@pytest.mark.parametrize("name", ["full", "full/file", "link", "dangling", "here", "here/.."])
def test_target_that_exists(name: str, places: Path) -> None:
    with pytest.raises(InputError, match="already exists") as caught:
        check_target(places / name)
    assert caught.value.exit_code == 2


def test_a_mount_point_is_no_target(places: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Path, "is_mount", lambda path: path.name == "empty")
    with pytest.raises(InputError, match="already exists"):
        check_target(places / "empty")


HOPELESS = {
    "below a file": "full/file/report",
    "too long a name": "n" * 256,
}


@pytest.mark.parametrize("name", HOPELESS.values(), ids=HOPELESS)
def test_target_that_cannot_be_made(name: str, places: Path) -> None:
    with pytest.raises(ReportError, match="no report can be written into") as caught:
        check_target(places / name)
    assert caught.value.tip == "give --out another folder"
