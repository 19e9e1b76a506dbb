"""One new folder, atomically: it is there complete, or not at all."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path

from jinja2 import TemplateNotFound

from cxr_edge.errors import InputError, ReportError
from cxr_edge.report import parquet
from cxr_edge.report.context import Report
from cxr_edge.report.csv import render_csv
from cxr_edge.report.html import render_html
from cxr_edge.report.run_json import render_run_json
from cxr_edge.support.atomic import make_folder, sync_folder, write_new
from cxr_edge.support.locks import lock, opened

PARTIAL = ".cxr-edge-partial."


def check_target(out: Path, option: str = "--out") -> None:
    """Refuse, before the night's work, a folder that could not be new.

    Also removes what a killed run has left half written beside it.

    Args:
        out: the folder.
        option: that names it, for the tip.

    Raises:
        InputError: it exists and is not an empty folder.
        ReportError: it could not be made there.
    """
    if os.path.lexists(out) and not _is_replaceable(out):
        tip = f"nothing is ever overwritten: give {option} a new folder"
        raise InputError(f"{out} already exists", tip=tip)
    existing = next(folder for folder in out.absolute().parents if os.path.lexists(folder))
    try:
        _sweep(existing)
        # Tried, not asked: permissions and a read-only disk show here, a long name below.
        probe = Path(tempfile.mkdtemp(dir=existing, prefix=PARTIAL))
        with contextlib.suppress(FileNotFoundError):  # another run may have swept it
            probe.rmdir()
        with contextlib.suppress(FileNotFoundError):
            out.lstat()
    except OSError as error:
        raise ReportError(
            f"no report can be written into {existing}: {error.strerror}",
            tip=f"give {option} another folder",
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

    `triage.parquet` is among them where the report says so.

    Raises:
        ReportError: it could not be written; nothing is left behind.
    """
    contents: dict[str, Callable[[], Iterable[bytes]]] = {
        "triage.csv": lambda: render_csv(report),
        **({parquet.NAME: lambda: parquet.render_parquet(report)} if report.parquet else {}),
        "run.json": lambda: [render_run_json(report)],
        "triage.html": lambda: render_html(report),
    }
    write_folder(contents, out)


def write_folder(contents: Mapping[str, Callable[[], Iterable[bytes]]], out: Path) -> None:
    """Write files into the new folder `out`, in this order, each rendered when it is its turn.

    Raises:
        ReportError: they could not be written; nothing is left behind.
    """
    try:
        make_folder(out.parent)
        with partial_folder(out.parent) as partial:
            for name, render in contents.items():
                write_new(partial / name, render())
            sync_folder(partial)
            partial.rename(out)
    except TemplateNotFound:  # an OSError too, and no trouble with the disk
        raise
    except OSError as error:
        is_taken = error.errno in (errno.ENOTEMPTY, errno.EEXIST)
        why = "somebody else has written there meanwhile" if is_taken else error.strerror or error
        raise ReportError(
            f"the report could not be written to {out}: {why}",
            tip="choose another --out",
        ) from error
    with contextlib.suppress(OSError):  # it is there; a power cut now may cost it, and no score
        sync_folder(out.parent)


@contextlib.contextmanager
def partial_folder(parent: Path) -> Iterator[Path]:
    """A folder, 0700, that is gone afterwards unless it was renamed; locked while in use.

    What a killed run leaves in it, the next one clears away.
    """
    partial, descriptor = _locked_folder(parent)
    try:
        yield partial
    finally:
        shutil.rmtree(partial, ignore_errors=True)
        os.close(descriptor)


def _locked_folder(parent: Path) -> tuple[Path, int]:
    while True:
        partial = Path(tempfile.mkdtemp(dir=parent, prefix=PARTIAL))
        try:
            descriptor = os.open(partial, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except FileNotFoundError:  # swept by another run
            continue
        except OSError:
            partial.rmdir()
            raise
        with contextlib.suppress(OSError):  # where folders cannot be locked, nobody sweeps either
            lock(descriptor, wait=True)
        if os.fstat(descriptor).st_nlink:  # else swept between opening and locking
            return partial, descriptor
        os.close(descriptor)


def _sweep(parent: Path) -> None:
    """Remove half-written reports whose run is dead: nobody holds their lock."""
    for partial in parent.glob(f"{PARTIAL}*"):
        flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW
        with contextlib.suppress(OSError), opened(partial, flags) as descriptor:
            lock(descriptor)
            shutil.rmtree(partial, ignore_errors=True)
