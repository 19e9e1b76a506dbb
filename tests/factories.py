"""Small values that most tests of the runtime start from."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from hypothesis import strategies as st
from numpy.typing import NDArray

from cxr_edge.catalog import ModelChoice, bundled_specs, models_dir
from cxr_edge.report import Report, RunContext
from cxr_edge.triage import TriageRow, triage
from cxr_edge.types import Predictions, Reason, Result, Status
from tests.tiny import tiny_spec

# Any string at all, halves of characters included.
ANY_TEXT = st.text(st.characters(exclude_categories=()))

Change = Callable[[dict[str, Any]], None]


def result(path: str = "a.png", probability: float | None = 0.5, **fields: Any) -> Result:
    """A scored result, or one that is not where the probability is None."""
    if probability is None:
        return Result(path, Status.NOT_SCORED, fields.pop("reason", Reason.CORRUPT), **fields)
    return Result(path, Status.SCORED, None, probability, **fields)


def rows(*results: Result, threshold: float = 0.5) -> tuple[TriageRow, ...]:
    """Results in reading order."""
    return tuple(triage(results, threshold))


def context(**fields: Any) -> RunContext:
    """A run of the tiny model on the CPU."""
    plain = RunContext(
        spec=tiny_spec(),
        model_file="tiny.onnx",
        model_sha256="ab" * 32,
        operating_point="screening",
        threshold=0.5,
        device_asked="auto",
        device_used="cpu",
        versions={"cxr-edge": "0.1.0"},
        started_utc="2026-11-22T20:00:00Z",
        seconds=1.5,
        command=("cxr-edge", "score", "in"),
    )
    return replace(plain, **fields)


def report(*results: Result, **fields: Any) -> Report:
    """A report over these results."""
    run = context(**fields)
    return Report(rows(*results, threshold=run.threshold), run)


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
        probability = images.astype(np.float64).mean(axis=(1, 2, 3)) / 255
        if self.answer is not None:
            probability[:] = self.answer
        zeros = np.zeros(len(images), np.float32)
        return Predictions(probability.astype(np.float32), zeros[:, None, None], zeros)
