"""Small values that most tests of the runtime start from."""

from __future__ import annotations

import copy
import os
import zlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
from hypothesis import strategies as st
from numpy.typing import NDArray

from cxr_edge.intake.prepare import prepare
from cxr_edge.intake.prepared import IntakeSettings, Prepared
from cxr_edge.model.catalog import ModelChoice, bundled_specs, models_dir
from cxr_edge.model.spec import ModelSpec
from cxr_edge.report import Report, RunContext
from cxr_edge.report.html import render_html
from cxr_edge.triage import TriageRow, place, reading_key
from cxr_edge.types import FoundFile, Predictions, Reason, Result, Status, doubts
from tests.tiny import tiny_spec

# Any string at all, halves of characters included.
ANY_TEXT = st.text(st.characters(exclude_categories=()))

Change = Callable[[dict[str, Any]], None]


def result(path: str = "a.png", probability: float | None = 0.5, **fields: Any) -> Result:
    """A scored result, or one without a score where the probability is None."""
    if probability is None:
        return Result.without_score(path, fields.pop("reason", Reason.CORRUPT), **fields)
    return Result(path, Status.SCORED, None, probability, **fields)


def rows(*results: Result, threshold: float = 0.5) -> tuple[TriageRow, ...]:
    """Results in reading order, as the ledger gives them back."""
    key = reading_key(threshold)
    ordered = sorted(
        results,
        key=lambda r: key(
            *(r.probability, bool(doubts(r.warnings)), r.reason, r.modified_utc, r.path)
        ),
    )
    return tuple(place(ordered, threshold))


def context(**fields: Any) -> RunContext:
    """A run of the tiny model on the CPU."""
    plain = RunContext(
        run_id="20261122T200000.000000Z",
        settings_sha256="cd" * 32,
        identity_fields=(),
        thumbnails=False,
        spec=tiny_spec(),
        model_file="tiny.onnx",
        model_sha256="ab" * 32,
        operating_point="screening",
        threshold=0.5,
        profile=None,
        device_asked="auto",
        device_used="cpu",
        versions={"cxr-edge": "0.1.0"},
        started_utc="2026-11-22T20:00:00Z",
        seconds=1.5,
        command=("cxr-edge", "score", "in"),
        directory="/srv/xray",
        recalled=0,
        sandbox="landlock ABI 7, seccomp, no new privileges",
    )
    return replace(plain, **fields)


def report(*results: Result, **fields: Any) -> Report:
    """A report over these results."""
    run = context(**fields)
    return Report(rows(*results, threshold=run.threshold), run)


def html_of(made: Report) -> bytes:
    """The whole page."""
    return b"".join(render_html(made))


def set_value(dotted: str, value: Any) -> Change:
    """A change to nested dicts and lists: `set_value("golden.cases.0.rule", "x")`."""

    def change(values: dict[str, Any]) -> None:
        *way, last = (int(key) if key.isdigit() else key for key in dotted.split("."))
        inner: Any = values
        for key in way:
            inner = inner[key]
        inner[last] = value

    return change


def drop(dotted: str) -> Change:
    """A change that takes one key away."""

    def change(values: dict[str, Any]) -> None:
        *way, last = dotted.split(".")
        inner: Any = values
        for key in way:
            inner = inner[key]
        del inner[last]

    return change


def changed(values: dict[str, Any], change: Change) -> dict[str, Any]:
    """A deep copy with one change."""
    copied = copy.deepcopy(values)
    change(copied)
    return copied


def files_apart(spec: ModelSpec) -> float:
    """How far the probabilities of two files may be apart: each by its recorded parity.

    0 where both hold the same numbers: float32, or a grid that the network was moved onto.
    """
    rounded = ("int8", "float16-weights")  # each file by itself, after its converter's folding
    files = [file for file in spec.files.values() if file.precision in rounded]
    return sum(file.parity.max_abs_difference for file in files)


def bundled_choices() -> list[ModelChoice]:
    """Every bundled model in every format, for parametrisation."""
    return [
        ModelChoice(spec, kind, models_dir() / file.name)
        for spec in bundled_specs()
        for kind, file in spec.files.items()
    ]


def file_name(choice: ModelChoice) -> str:
    """The id of a parametrised bundled model."""
    return choice.path.name


def write_tree(root: Path, files: dict[str, bytes]) -> Path:
    """Files by relative path, folders as needed."""
    for name, data in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(data)
    return root


def in_other_bytes(folder: Path, target: Path) -> Path:
    """A copy of a folder of films that look the same, each with a comment in its file."""
    for path in folder.rglob("*"):
        if path.is_file():
            to = target / path.relative_to(folder)
            to.parent.mkdir(parents=True, exist_ok=True)
            to.write_bytes(_with_a_comment(path.read_bytes()))
    return target


def _with_a_comment(film: bytes) -> bytes:
    """A JPEG, PNG or DICOM file that says something besides."""
    said = b"held back"
    if film[128:132] == b"DICM":
        return said.ljust(128, b"\0") + film[128:]
    if film.startswith(b"\xff\xd8"):
        return film[:2] + b"\xff\xfe" + (len(said) + 2).to_bytes(2, "big") + said + film[2:]
    chunk = b"tEXtComment\0" + said  # behind the signature and IHDR
    check = zlib.crc32(chunk).to_bytes(4, "big")
    return film[:33] + (len(chunk) - 4).to_bytes(4, "big") + chunk + check + film[33:]


def names_in(folder: Path) -> list[str]:
    """What lies in a folder, hidden things too."""
    return sorted(path.name for path in folder.iterdir())


class FakeRunner:
    """Says the mean grey level over 255, or what it is told to; remembers its batches."""

    device = "cpu"
    backend = "fake 1.0"

    def __init__(self, answer: float | Exception | None = None) -> None:
        """Answer by grey level, with a constant, or by raising."""
        self.answer = answer
        self.batches: list[int] = []

    def signature(self) -> dict[str, tuple[str, tuple[int | None, ...]]]:
        """Nobody asks a fake."""
        raise NotImplementedError

    def predict(self, images: NDArray[np.uint8]) -> Predictions:
        """One probability per image."""
        self.batches.append(len(images))
        if isinstance(self.answer, Exception):
            raise self.answer
        probability = images.mean(axis=(1, 2, 3), dtype=np.float64) / 255
        if self.answer is not None:
            probability[:] = self.answer
        zeros = np.zeros(len(images), np.float32)
        return Predictions(probability.astype(np.float32), zeros[:, None, None], zeros)


def chest(height: int = 48, width: int = 64, *, tilt: float = 110) -> NDArray[np.uint8]:
    """A made film that no input gate objects to: bright spine and abdomen, dark lungs and edges.

    Args:
        height: rows.
        width: columns.
        tilt: how many levels the right is brighter than the left, and less so when negative; the
            tiny model flags what is bright on the left.
    """
    y, x = np.mgrid[0:height, 0:width] / np.array([height, width]).reshape(2, 1, 1)
    spine = 60 * np.exp(-(((x - 0.5) / 0.12) ** 2))
    edges = -50 * (np.abs(x - 0.5) > 0.45)
    levels: NDArray[np.float64] = 70 + spine + edges + 40 * y**2 + tilt * (x - 0.5)
    return levels.round().clip(0, 255).astype(np.uint8)


def in_12_bits(film: NDArray[np.uint8]) -> NDArray[np.uint16]:
    """The same film as a detector of 12 bits stores it."""
    return ((film.astype(np.uint32) * 4095 + 127) // 255).astype(np.uint16)


def raising(error: BaseException) -> Callable[..., NoReturn]:
    """A function that does nothing else."""

    def fail(*_: Any, **__: Any) -> NoReturn:
        raise error

    return fail


def failing(code: int) -> Callable[..., NoReturn]:
    """A system call that fails with this `errno`."""
    return raising(OSError(code, os.strerror(code)))


class InThisProcess:
    """Stands in for `Workers` where their being processes is beside the point.

    Attributes:
        asked: names of the files that were read, in order.
    """

    def __init__(self, settings: IntakeSettings) -> None:
        """As the real ones."""
        self._settings = settings
        self.asked: list[str] = []

    def prepare(
        self, files: Iterable[FoundFile | None], stop: Callable[[], bool]
    ) -> Iterator[tuple[FoundFile, Prepared]]:
        """One after the other."""
        for file in filter(None, files):
            if stop():
                return
            self.asked.append(file.display)
            yield file, self._prepared(file)

    def _prepared(self, file: FoundFile) -> Prepared:
        return prepare(file, self._settings)


def undefused(cell: str) -> str:
    """What a program does that wants the file: take one leading quote off, also behind each `;`."""
    return ";".join(part.removeprefix("'") for part in cell.split(";"))
