"""The folder that holds the reports: the link `latest`, a page of its nights, and their age."""

from __future__ import annotations

import contextlib
import errno
import itertools
import os
import re
import secrets
import shutil
import urllib.parse
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cxr_edge.errors import InputError, ReportError
from cxr_edge.report.context import BANNER
from cxr_edge.report.environment import page_environment, policy, source
from cxr_edge.report.folder import PARTIAL, partial_folder
from cxr_edge.support.atomic import sync_folder, write_new
from cxr_edge.support.files import read_opened
from cxr_edge.support.locks import lock, opened
from cxr_edge.support.text import display_name

LATEST = "latest"
INDEX = "index.html"
NIGHTS_SHOWN = 400

_MAX_BYTES = 4 * 10**6
_LISTED = "cxr-edge: nights"  # in the title: tells this page from anybody else's


@dataclass(frozen=True)
class NightCounts:
    """Counts of a night, as far as its version of cxr-edge took them."""

    found: int
    scored: int
    attention: int
    flagged: int
    unflagged: int
    other: int = 0
    new: int | None = None
    gone: int | None = None


@dataclass(frozen=True)
class _RunJson:
    """The part of a `run.json` that tells it from another program's, and is shown."""

    banner: str
    run: str
    settings_sha256: str
    started_utc: datetime
    counts: NightCounts


@dataclass(frozen=True)
class NightReport:
    """One report in the folder.

    Attributes:
        path: of its folder.
        started: when its run began, with an offset.
        last_changed: when something in its folder last came or went.
    """

    path: Path
    started: datetime
    last_changed: datetime
    counts: NightCounts

    @property
    def name(self) -> str:
        """Name of the report's folder, printable."""
        return display_name(self.path.name)

    @property
    def link(self) -> str:
        """Address of its page, relative to the folder that holds the report."""
        return f"{urllib.parse.quote(os.fsencode(self.path.name))}/triage.html"

    @property
    def local(self) -> str:
        """The start in this machine's time, with its offset."""
        return self.started.astimezone().isoformat(" ", "minutes")


def reports_in(folder: Path) -> list[NightReport]:
    """Every report in a folder, the youngest run first; no link is followed.

    Raises:
        OSError: the folder cannot be listed.
    """
    with os.scandir(folder) as entries:
        folders = [Path(each) for each in entries if each.is_dir(follow_symlinks=False)]
    reports = [report for path in folders if (report := _report(path))]
    return sorted(reports, key=lambda report: (report.started, report.path.name), reverse=True)


def _report(path: Path) -> NightReport | None:
    """Read what a report says of itself; None for a folder that is none."""
    import msgspec  # `--help` may import this module

    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK
    try:
        with (
            opened(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW) as folder,
            opened(Path("run.json"), flags, folder) as file,
        ):
            changed = datetime.fromtimestamp(os.fstat(folder).st_mtime, UTC)
            run = msgspec.json.decode(read_opened(file, _MAX_BYTES), type=_RunJson)
    except (OSError, ValueError, OverflowError, RecursionError, msgspec.MsgspecError):
        return None
    started = run.started_utc.replace(tzinfo=run.started_utc.tzinfo or UTC)
    return NightReport(path, started, changed, run.counts)


def point_latest(out: Path) -> None:
    """Make `latest`, beside the report `out`, lead to it; whoever looks sees the old or the new.

    Raises:
        ReportError: something that is no link has this name; it stays.
        OSError: it cannot be made; EPERM and ENOTSUP where the file system has no links.
    """
    link = out.parent / LATEST
    if out.name == LATEST:
        return
    if os.path.lexists(link) and not link.is_symlink():
        raise ReportError(f"{link} is no link of cxr-edge and stays as it is")
    with partial_folder(out.parent) as partial:
        (partial / LATEST).symlink_to(out.name)
        (partial / LATEST).rename(link)
    sync_folder(out.parent)


def renew_latest(out: Path) -> None:
    """Lead `latest` to a report written again, where its night is newer than the one shown.

    Raises:
        ReportError, OSError: as `point_latest`.
    """
    link = out.parent / LATEST
    made, shown = _report(out), _report(Path(os.path.realpath(link)))
    if made and link.is_symlink() and (shown is None or shown.started < made.started):
        point_latest(out)


def write_index(folder: Path) -> None:
    """Write the page of all nights whose reports lie in a folder; another one's page stays.

    Raises:
        ReportError: there is an `index.html` that cxr-edge has not written.
        OSError: the folder cannot be read or written.
    """
    page = folder / INDEX
    if not _is_ours(page):
        raise ReportError(f"{page} is no page of cxr-edge and stays as it is")
    environment = page_environment()
    style = source(environment, "base.css", "nights.css")
    reports = reports_in(folder)
    text = environment.get_template("nights.html.j2").render(
        banner=BANNER,
        older=max(0, len(reports) - NIGHTS_SHOWN),
        policy=policy(style),
        reports=list(itertools.islice(reports, NIGHTS_SHOWN)),
        style=style,
        title=_LISTED,
    )
    with partial_folder(folder) as partial:
        write_new(partial / INDEX, [text.encode()])
        (partial / INDEX).rename(page)
    sync_folder(folder)


def _is_ours(page: Path) -> bool:
    """Tell whether a page may be written: there is none yet, or one that was written here."""
    try:
        with opened(page, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK) as file:
            return f"<title>{_LISTED}</title>".encode() in read_opened(file, _MAX_BYTES)
    except FileNotFoundError:
        return True
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.EISDIR, errno.EINVAL, errno.EFBIG):
            return False
        raise


def parse_age(text: str) -> timedelta:
    """Read an age in days, such as `90d`.

    Raises:
        InputError: the text has another form.
    """
    match = re.fullmatch(r"([1-9]\d{0,4})d", text, re.ASCII)
    if match is None:
        raise InputError(f"no age: {text}", tip="give whole days, such as 90d")
    return timedelta(days=int(match[1]))


def outdated(folder: Path, age: timedelta) -> list[NightReport]:
    """Find the reports that are older than that, and have not been touched since.

    The one that `latest` leads to is never among them.

    Raises:
        OSError: the folder cannot be listed.
    """
    latest = os.path.realpath(folder / LATEST)
    limit = datetime.now(UTC) - age
    return [
        report
        for report in reports_in(folder)
        if max(report.started, report.last_changed) < limit
        and os.path.realpath(report.path) != latest
    ]


def delete(report: NightReport) -> None:
    """Delete a report: its name is gone at once, and a later run clears up after a kill.

    Raises:
        OSError: it cannot be deleted, or not all of it.
    """
    flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW
    with opened(report.path, flags) as descriptor:
        with contextlib.suppress(OSError):  # where folders cannot be locked, nobody sweeps either
            lock(descriptor, wait=True)
        doomed = report.path.parent / f"{PARTIAL}{secrets.token_hex(8)}"
        report.path.rename(doomed)
        shutil.rmtree(doomed)


def renew_index(folder: Path) -> None:
    """Write the page of nights anew, where there is one of ours.

    Raises:
        OSError: as `write_index`.
    """
    if os.path.lexists(folder / INDEX):
        with contextlib.suppress(ReportError):  # another one's
            write_index(folder)
