"""Puts a written report into object storage: one object after the other, `run.json` last.

Whoever finds `run.json` there finds a whole report. There is no renaming in a bucket.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from cxr_edge.errors import InputError, ReportError
from cxr_edge.intake.objects import found_object, write_object
from cxr_edge.intake.storage import StorageError, check, has_bucket
from cxr_edge.support.text import display_name
from cxr_edge.types import Reason, Url

LAST = "run.json"


def check_url(out: Url, inputs: Iterable[str]) -> None:
    """Refuse, before any work, a place that has a report or cannot be reached.

    Raises:
        InputError: there is one, it lies below an INPUT, or this is no object storage.
        ReportError: nobody can say.
    """
    for name in inputs:
        if f"{out}/".startswith(f"{name.rstrip('/')}/"):
            raise InputError("the report lies inside an INPUT", tip="give --out another prefix")
    check(out)
    problem = found_object(out / LAST).problem
    if problem is None:
        raise InputError(
            f"{display_name(out)} has a report already",
            tip="a report is never overwritten: new --out",
        )
    if problem is Reason.MISSING and not has_bucket(out):
        raise InputError(
            f"there is no bucket for the report: {display_name(out)}",
            tip="is its name spelled like that?",
        )
    if problem is not Reason.MISSING:
        raise ReportError(
            f"no report can be written to {display_name(out)}: {problem.value}",
            tip="are there credentials in the environment, and may they write there?",
        )


def publish(folder: Path, out: Url) -> None:
    """Upload a report's files.

    Raises:
        ReportError: one could not be written.
    """
    names = sorted((path.name for path in folder.iterdir()), key=lambda name: name == LAST)
    try:
        for name in names:
            write_object(folder / name, out / name)
    except (OSError, StorageError) as error:
        why = str(error) if isinstance(error, StorageError) else type(error).__name__
        raise ReportError(
            f"the report could not be written to {display_name(out)}: {why}",
            tip=f"it lies in {display_name(folder)}; the same command makes it again",
        ) from error
