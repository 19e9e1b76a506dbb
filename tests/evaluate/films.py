"""Labelled, scored films out of nothing."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

import numpy as np

from cxr_edge.evaluate.labels import LabelledFilm, LabelledSet
from cxr_edge.evaluate.metrics import MeasuredModel
from cxr_edge.evaluate.results import EvaluatedFilm, SetFigures
from cxr_edge.statistics.operating_points import OperatingPoint, Proportion
from cxr_edge.types import FoundFile
from tests.factories import result
from tests.tiny import tiny_spec

CLASSES = ("NORMAL", "PNEUMONIA")
# (label, probability or None, patient)
Row = tuple[int, float | None, str]


def film(number: int, row: Row, **facts: Any) -> EvaluatedFilm:
    """A film whose size depends on its number alone."""
    label, probability, patient = row
    size = facts.pop("bytes", 1000 + 7 * number)
    facts = {"width": 100 + number, "height": 90, **facts}
    facts.setdefault("sha256", hashlib.sha256(str(number).encode()).hexdigest())
    name = f"{CLASSES[label]}/{number:04d}.png"
    return EvaluatedFilm(result(name, probability, **facts), label, patient, size)


def films(rows: Iterable[Row]) -> tuple[EvaluatedFilm, ...]:
    """One film per row."""
    return tuple(film(number, row) for number, row in enumerate(rows))


def scored(labels: Sequence[int], scores: Sequence[float | None]) -> tuple[EvaluatedFilm, ...]:
    """Films of as many patients."""
    pairs = zip(labels, scores, strict=True)
    return films((label, score, f"p{i}") for i, (label, score) in enumerate(pairs))


def random_films(
    count: int, seed: int = 0, lift: float = 2.0, per_patient: int = 1
) -> tuple[EvaluatedFilm, ...]:
    """Films of both classes; positive ones score higher by `lift` standard deviations."""
    random = np.random.default_rng(seed)
    labels = np.arange(count) // per_patient % 2
    scores = 1 / (1 + np.exp(-random.normal(lift * labels - lift / 2, 1)))
    patients = np.arange(count) // per_patient
    rows = zip(labels.tolist(), scores.round(6).tolist(), patients.tolist(), strict=True)
    return films((label, score, f"p{patient}") for label, score, patient in rows)


def labelled(films: Sequence[EvaluatedFilm], **values: Any) -> LabelledSet:
    """The set that these films are."""
    files = (FoundFile(Path("/set", f.result.path), f.result.path) for f in films)
    members = (LabelledFilm(file, f.label, f.patient) for file, f in zip(files, films, strict=True))
    return LabelledSet("set", CLASSES, tuple(members), values.pop("unlabelled", ()), "the table")


def data(films: Sequence[EvaluatedFilm], **values: Any) -> SetFigures:
    """Facts of a made-up set."""
    counts = {name: sum(f.label == i for f in films) for i, name in enumerate(CLASSES)}
    plain = {"name": "set", "sha256": "cd" * 32, "classes": CLASSES, "counts": counts}
    facts: dict[str, Any] = {"patients": 1, "repeated": 0, "unlabelled": (), "missing_class": ""}
    facts["patients_from"] = "the table"
    return SetFigures(**{**plain, **facts, **values})


def model(**thresholds: float) -> MeasuredModel:
    """The tiny model with these operating points."""
    share = Proportion.of(9, 10)
    points = {
        name: OperatingPoint(threshold, "by hand", share, share, "nothing")
        for name, threshold in (thresholds or {"screening": 0.25, "balanced": 0.5}).items()
    }
    return MeasuredModel(tiny_spec(), "tiny.onnx", "ab" * 32, "cpu", points)


def numbers(value: Any) -> Iterator[float]:
    """Every number in a tree of dataclasses, tuples and dicts."""
    if isinstance(value, int | float):
        yield value
    elif is_dataclass(value):
        for field in fields(value):
            yield from numbers(getattr(value, field.name))
    elif isinstance(value, dict):
        yield from numbers(tuple(value.values()))
    elif isinstance(value, tuple):
        for item in value:
            yield from numbers(item)


def not_finite(value: Any) -> list[float]:
    """What must never reach a report."""
    return [number for number in numbers(value) if not math.isfinite(number)]
