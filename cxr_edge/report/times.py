"""Times as the page prints them: local to the machine that writes it, with their offset."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from datetime import datetime

from cxr_edge.report.texts import Texts
from cxr_edge.types import ACQUIRED, Result

_DATE_LENGTH = len("2026-11-30")


@dataclass(frozen=True)
class Moment:
    """A time on the page.

    Attributes:
        iso: with its offset, for the script; a date alone where nothing else is known.
        text: for people.
        acquired: whether the header says so; else it is the last change of the file.
    """

    iso: str
    text: str
    acquired: bool = False


def local_moment(utc: str, texts: Texts) -> Moment | None:
    """A moment that `support.utc` wrote; None for an empty text."""
    return Moment(utc, _local_text(utc, texts)) if utc else None


def moment_of(result: Result, texts: Texts) -> Moment | None:
    """Time at which a film was taken, as its header has it, else when its file was last changed.

    Headers seldom say a zone: their clock is taken for that of the machine, and no offset printed.
    """
    if acquired := result.identity.get(ACQUIRED):
        with contextlib.suppress(ValueError, OverflowError, OSError):
            return _acquired(acquired, texts)
    return local_moment(result.modified_utc, texts)


def _acquired(text: str, texts: Texts) -> Moment:
    moment = datetime.fromisoformat(text)
    if len(text) == _DATE_LENGTH:
        return Moment(text, moment.strftime(texts("date")), acquired=True)
    iso = moment.astimezone().isoformat(timespec="seconds")
    return Moment(iso, moment.strftime(texts("date_time")), acquired=True)


def _local_text(utc: str, texts: Texts) -> str:
    """`30 Nov 2026 22:14 +01:00`; as it is where this machine's calendar does not hold it."""
    try:
        moment = datetime.fromisoformat(utc).astimezone()
    except (ValueError, OverflowError, OSError):
        return utc
    offset = moment.strftime("%z")
    return f"{moment.strftime(texts('date_time'))} {offset[:3]}:{offset[3:5]}"
