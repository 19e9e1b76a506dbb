"""One new folder, atomically: it is there complete, or not at all."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

from cxr_edge.atomic import FOLDER_MODE, sync_folder, write_atomically
from cxr_edge.errors import InputError, ReportError
from cxr_edge.report.context import Report
from cxr_edge.report.csv import render_csv
from cxr_edge.report.html import render_html
from cxr_edge.report.run_json import render_run_json


def check_target(out: Path) -> None:
    """Refuse, before the night's work, a folder that could not be new.

    Raises:
        InputError: it exists and is not an empty folder.
        ReportError: it could not be made there.
    """
    if os.path.lexists(out) and not _is_replaceable(out):
        raise InputError(f"{out} already exists", tip="a report is never overwritten: new --out")
    existing = next(folder for folder in out.absolute().parents if os.path.lexists(folder))
    try:
        # Tried, not asked: permissions, a read-only disk and a name too long all show here.
        Path(tempfile.mkdtemp(dir=existing, prefix=f".{out.name}.")).rmdir()
    except OSError as error:
        raise ReportError(
            f"no report can be written into {existing}: {error.strerror}",
            tip="choose another --out",
        ) from error


def _is_replaceable(out: Path) -> bool:
    """An empty folder, and none that a rename cannot take the place of: a link, a mount, `.`."""
    try:
        fixed = out.is_symlink() or out.is_mount() or out.samefile(Path.cwd())
        return not fixed and not any(out.iterdir())
    except OSError:
        return False


def write_report(report: Report, out: Path) -> None:
    """Write `triage.csv`, `run.json` and, last, `triage.html` into the new folder `out`.

    Raises:
        ReportError: it could not be written; nothing is left behind.
    """
    try:
        out.parent.mkdir(FOLDER_MODE, parents=True, exist_ok=True)
        # mkdtemp makes the folder 0700.
        partial = Path(tempfile.mkdtemp(dir=out.parent, prefix=f".{out.name}."))
        try:
            write_atomically(partial / "triage.csv", render_csv(report.rows))
            write_atomically(partial / "run.json", render_run_json(report))
            write_atomically(partial / "triage.html", render_html(report))
            partial.chmod(FOLDER_MODE)
            partial.rename(out)
        except BaseException:
            shutil.rmtree(partial, ignore_errors=True)
            raise
        sync_folder(out.parent)
    except OSError as error:
        raise ReportError(f"the report could not be written to {out}: {error}") from error
