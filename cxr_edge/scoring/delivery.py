"""Delivers a report to a folder, or to object storage by way of the state folder."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Iterable
from pathlib import Path

from cxr_edge.errors import CxrEdgeError, InputError, ReportError
from cxr_edge.ledger import audit
from cxr_edge.ledger.run import NIGHT, Run
from cxr_edge.report import Report, write_report
from cxr_edge.report.audit_line import audit_values
from cxr_edge.report.folder import check_target
from cxr_edge.report.nights import point_latest, write_index
from cxr_edge.report.summary import summarise
from cxr_edge.scoring.job import ScoreJob
from cxr_edge.scoring.observer import Observer
from cxr_edge.support.text import display_name
from cxr_edge.support.utc import Clock
from cxr_edge.types import Place, Url

_NO_LINKS = (errno.EPERM, errno.ENOTSUP, errno.ENOSYS)  # many shares have none


def check_report_folder(job: ScoreJob) -> None:
    """Refuse a folder that a report cannot be written to.

    Raises:
        InputError: something is there already, or it lies inside an INPUT.
        ReportError: it cannot be made there.
    """
    if isinstance(job.out, Url):
        from cxr_edge.scoring.publish import check_url  # a night of folders need not have it

        check_url(job.out, job.inputs)
        return
    out = _local_folder(job.out, Clock())
    check_target(out)
    check_outside(out, "report", "--out", job.inputs)


def report_folder(job: ScoreJob, clock: Clock, state: Path) -> Path:
    """Folder to write the report to; one for a URL is written to the state folder first."""
    if isinstance(job.out, Url):
        return state / "unpublished" / clock.run_id
    return _local_folder(job.out, clock)


def _local_folder(out: Path | None, clock: Clock) -> Path:
    return out or Path("reports", clock.run_id)


def published(job: ScoreJob, out: Path) -> Place:
    """Upload the report if asked for; returns its place."""
    if not isinstance(job.out, Url):
        return out
    from cxr_edge.scoring.publish import publish

    publish(out, job.out)
    return job.out


def tell_or_clear(job: ScoreJob, out: Path, observer: Observer) -> None:
    """Make the delivered report known, or delete what was uploaded.

    With it go the reports of earlier nights that could not be: the ledger can make them again.
    """
    if isinstance(job.out, Url):
        shutil.rmtree(out.parent, ignore_errors=True)
    else:
        _tell_the_folder(out, observer)


def keep(report: Report, out: Path, state: Path, recorded: Run, observer: Observer) -> None:
    """Record that the report was delivered; it counts even without its audit line."""
    if recorded.kind == NIGHT:
        try:
            audit.append(state, audit_values(report, out))
        except CxrEdgeError as error:
            observer.warn(f"this run has no line in the audit log: {error}", error.tip)
    try:
        recorded.reported(summarise(report).to_dict())
    except CxrEdgeError as error:
        observer.warn(
            f"the ledger does not know that this report was written: {error}",
            "its films will count as new in the next one, and this night is missing in history",
        )


def write(report: Report, out: Path, state: Path | None) -> None:
    """Write the report; an error names the command that writes it again from the ledger.

    Raises:
        ReportError: it could not be written.
    """
    try:
        write_report(report, out)
    except ReportError as error:
        where = f" --state {display_name(state)}" if state else ""
        again = f"cxr-edge report {report.context.run_id}{where} --out NEW"
        raise ReportError(str(error), tip=f"the scores are safe: {again}") from error


def _tell_the_folder(out: Path, observer: Observer) -> None:
    """Let `latest` and the page of nights beside a report know of it; it is there without them."""
    try:
        point_latest(out)
    except OSError as error:
        tell = observer.note if error.errno in _NO_LINKS else observer.warn
        tell(f"the link `latest` could not be made beside {display_name(out)}: {error.strerror}")
    except ReportError as error:
        observer.warn(str(error), "rename it, and the next run makes the link `latest`")
    try:
        write_index(out.parent)
    except OSError as error:
        where = display_name(out.parent / "index.html")
        observer.warn(f"{where} could not be written: {error.strerror}")
    except ReportError as error:
        observer.note(str(error))


def check_outside(folder: Path, kind: str, option: str, inputs: Iterable[str]) -> None:
    """Refuse a folder inside an INPUT: its files would be rows of the next report."""
    if any(is_inside(folder, name) for name in inputs):
        raise InputError(
            f"the {kind} folder {display_name(folder)} lies inside an INPUT",
            tip=f"give {option} a folder outside of what is scored",
        )


def is_inside(place: Path, folder: Path | str) -> bool:
    """Whether a path lies in a folder, links followed; a link to itself is not followed."""
    return Path(os.path.realpath(place)).is_relative_to(os.path.realpath(folder))
