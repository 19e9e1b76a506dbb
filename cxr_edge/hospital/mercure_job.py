"""mercure's contract with a module, as folders and JSON; light, because `--help` imports it.

mercure starts a container a task: films in `MERCURE_IN_DIR`, with `task.json` beside them, results
into `MERCURE_OUT_DIR`; any exit code but 0 makes the whole task an error.
"""

from __future__ import annotations

import contextlib
import json
import reprlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from cxr_edge.errors import InputError, ReportError
from cxr_edge.hospital.results_job import CAPTURES, SR_CLASSES, Wanted
from cxr_edge.scoring.job import DEFAULT_MODEL
from cxr_edge.support.atomic import write_atomically
from cxr_edge.support.strict_json import parse
from cxr_edge.support.text import display_name, is_one_line
from cxr_edge.triage import Counts

TASK, RESULT = "task.json", "result.json"
_MODULE = "cxr-edge"
_LONGEST_TEXT = 1024  # of a setting: a path, or the name of a target
_TASK_BYTES = 16 << 20  # mercure lists every file of the task
_READABLE = 0o644  # mercure itself is another user


@dataclass(frozen=True)
class MercureSettings:
    """Settings of the module, as a rule of mercure gives them.

    Attributes:
        model, operating_point, threshold: as of `score`.
        sr: class of the report, of `SR_CLASSES`.
        secondary_capture: of `CAPTURES`, or `none`.
        key_object: whether flagged films are named in a key object.
        target: of mercure's, for results of flagged or doubted films; empty for those of the rule.
    """

    model: str = DEFAULT_MODEL
    operating_point: str | None = None
    threshold: float | None = None
    sr: str = SR_CLASSES[0]
    secondary_capture: str = CAPTURES[0]
    key_object: bool = False
    target: str = ""

    @classmethod
    def of(cls, task: Mapping[str, Any]) -> MercureSettings:
        """Read what `task.json` says of this module.

        Raises:
            InputError: a setting is not known, or not of its kind.
        """
        found = _settings(task)
        known = {each.name: type(each.default) for each in fields(cls)}
        for name, value in found.items():
            if name not in known:
                text = f"mercure: no setting {reprlib.repr(name)}"
                raise InputError(text, tip=f"known: {', '.join(known)}")
            if not _is_of_kind(name, value):
                raise InputError(f"mercure: the setting {name} cannot be {reprlib.repr(value)}")
        return cls(**found)

    @property
    def wanted(self) -> Wanted:
        """Objects that a study gets: all films of a task are new."""
        captured = None if self.secondary_capture == "none" else self.secondary_capture
        return Wanted(self.sr, captured, self.key_object, every=True)


def read_task(folder: Path) -> dict[str, Any]:
    """Settings of mercure's task; empty where it left none.

    Raises:
        InputError: it cannot be read.
    """
    from cxr_edge.support.files import read_plain  # of Linux, and not needed for `--help`

    try:
        values = parse(read_plain(folder / TASK, _TASK_BYTES))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise InputError(f"mercure: {TASK} cannot be read: {type(error).__name__}") from error
    if not isinstance(values, dict):
        raise InputError(f"mercure: {TASK} is no object")
    return values


def check_writable(folder: Path) -> None:
    """Find out before any work whether results can be written.

    Raises:
        ReportError: they cannot be.
    """
    with results_written(folder):
        write_atomically(folder / RESULT, b"", _READABLE)
        (folder / RESULT).unlink()


@contextlib.contextmanager
def results_written(folder: Path) -> Iterator[None]:
    """Turn an error of the disk into one that names the folder.

    Raises:
        ReportError: something could not be written.
    """
    try:
        yield
    except OSError as error:
        raise ReportError(
            f"results could not be written to {display_name(folder)}: {error.strerror or error}",
            tip="MERCURE_OUT_DIR has to be writable for the user of the container",
        ) from error


def films_of(folder: Path) -> tuple[str, ...]:
    """The DICOM files of a task; neither tags nor `task.json`, which would be rows of the list."""
    found = (path for path in folder.rglob("*.dcm") if path.is_file() and not path.is_symlink())
    return tuple(sorted(map(str, found)))


def write_answer(folder: Path, counts: Counts, settings: MercureSettings, note: str) -> None:
    """Write `result.json`: the accounting, and whom mercure shall tell.

    Args:
        folder: `MERCURE_OUT_DIR`.
        counts: of the task's films.
        settings: where results of films to be read first go.
        note: a line for people, without a word of whose films they are.
    """
    urgent = counts.attention + counts.flagged > 0
    values: dict[str, Any] = {
        _MODULE: {
            each: getattr(counts, each)
            for each in (
                *("found", "scored", "not_scored", "deferred"),
                *("attention", "flagged", "unflagged", "other"),
            )
        },
        "__mercure_notification": {"text": note, "requested": urgent},
    }
    if urgent and settings.target:
        values["__mercure_routing"] = {"target": [settings.target]}
    text = json.dumps(values, indent=2) + "\n"
    with results_written(folder):
        write_atomically(folder / RESULT, text.encode(), _READABLE)


def _settings(task: Mapping[str, Any]) -> dict[str, Any]:
    """The settings of a task; none where it has none.

    Raises:
        InputError: there is something else in their place, which must not pass for none.
    """
    found: Any = task
    for name in ("process", "settings"):
        found = found.get(name) or {}
        if not isinstance(found, dict):
            raise InputError(f"mercure: {name} of {TASK} is no object")
    return dict(found)


def _is_of_kind(name: str, value: Any) -> bool:
    choices = {"sr": SR_CLASSES, "secondary_capture": (*CAPTURES, "none")}
    if name in choices:
        return value in choices[name]
    if name == "threshold":
        return isinstance(value, int | float) and not isinstance(value, bool)
    if name == "key_object":
        return isinstance(value, bool)
    return isinstance(value, str) and len(value) <= _LONGEST_TEXT and is_one_line(value)
