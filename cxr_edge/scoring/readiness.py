"""Checks before a night that its run will find what it needs; changes nothing."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from cxr_edge.errors import InputError
from cxr_edge.intake.discover import discover
from cxr_edge.intake.file_list import read_file_list
from cxr_edge.model.catalog import choose_model
from cxr_edge.report.parquet import check_parquet
from cxr_edge.scoring.decision import decide
from cxr_edge.scoring.delivery import check_report_folder
from cxr_edge.scoring.job import ScoreJob
from cxr_edge.scoring.night import check_id_tags
from cxr_edge.support.text import display_name
from cxr_edge.support.utc import is_synchronised
from cxr_edge.types import Url, place_of

_FEW_BYTES = 10**9  # a report without films is some MB; a ledger of 100,000 rows some 100 MB


@dataclass(frozen=True)
class Finding:
    """One line about what the night needs.

    Attributes:
        tip: where somebody should look at it, what to do.
    """

    text: str
    tip: str = ""


def findings(job: ScoreJob, metrics: Path | None) -> Iterator[Finding]:
    """Look at films, reports, threshold, metrics and clock.

    Raises:
        CxrEdgeError: the run would end with this error.
    """
    check_id_tags(job.id_tags)
    if job.parquet:
        check_parquet()
    decision = decide(choose_model(job.model), job.operating_point, job.threshold, job.site_profile)
    yield Finding(f"threshold {decision.threshold:.6f}, {decision.name}")
    yield from _films(job)
    check_report_folder(job)
    yield _reports(job)
    if metrics is not None:
        yield _metrics(metrics)
    yield _clock()


def _films(job: ScoreJob) -> Iterator[Finding]:
    if job.files_from == "-":
        yield Finding("films as listed on stdin, which is not read here")
    elif job.files_from is not None:
        listed = sum(1 for _ in read_file_list(job.files_from))
        yield Finding(f"films: {listed} listed in {display_name(job.files_from)}")
    places = [place_of(name) for name in job.inputs]
    discover(places)  # each is there
    for given in places:
        yield _objects(given) if isinstance(given, Url) else _input(given)


def _objects(given: Url) -> Finding:
    """Look at the first object below a URL; InputError where it cannot be listed."""
    if next(discover([given]), None) is None:
        return Finding(f"films {display_name(given.text)}: nothing in it", "is that the bucket?")
    return Finding(f"films {display_name(given.text)}, can be listed")


def _input(given: Path) -> Finding:
    """Look at one INPUT, and no further down than its first entry."""
    try:
        if not given.is_dir():
            return Finding(f"film {display_name(given)}")
        with os.scandir(given) as entries:
            is_empty = next(entries, None) is None
    except OSError as error:
        raise InputError(
            f"input cannot be read: {display_name(given)}, {error.strerror}",
            tip="run doctor as the user that scores: sudo -u USER cxr-edge doctor",
        ) from error
    if is_empty:
        return Finding(f"films {display_name(given)}: nothing in it", "is the share mounted?")
    return Finding(f"films {display_name(given)}, readable")


def _reports(job: ScoreJob) -> Finding:
    if isinstance(job.out, Url):
        return Finding(f"reports {display_name(job.out.text)}")
    folder = job.out.absolute().parent if job.out else Path("reports").absolute()
    existing = next(place for place in (folder, *folder.parents) if place.exists())
    free = shutil.disk_usage(existing).free
    text = f"reports {display_name(folder)}, {free / 1e9:.1f} GB free"
    return Finding(text, "make room on that disk" if free < _FEW_BYTES else "")


def _metrics(path: Path) -> Finding:
    can_be_written = path.parent.is_dir() and os.access(path.parent, os.W_OK | os.X_OK)
    if can_be_written:
        return Finding(f"metrics {display_name(path)}")
    return Finding(
        f"metrics {display_name(path)}: its folder is not there or cannot be written",
        "the night goes on without them: make the folder, and let this user write in it",
    )


def _clock() -> Finding:
    synchronised = is_synchronised()
    if synchronised is None:
        return Finding("clock: this system does not say whether it is synchronised")
    if synchronised:
        return Finding("clock synchronised")
    return Finding(
        "clock not synchronised", "films are compared by time: set up chrony or systemd-timesyncd"
    )
