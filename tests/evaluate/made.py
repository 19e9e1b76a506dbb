"""Evaluations of made films, for what draws and prints them."""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from cxr_edge.evaluate.compare import compare
from cxr_edge.evaluate.metrics import MeasuredModel, measure
from cxr_edge.evaluate.results import (
    Comparison,
    EvaluatedFilm,
    Evaluation,
    ModelFigures,
    SetFigures,
)
from cxr_edge.images import DECODING_VERSION
from cxr_edge.model.site_profile import SiteProfile
from cxr_edge.model.spec import ModelSpec
from cxr_edge.preprocess import PREPROCESSING_VERSION
from cxr_edge.statistics.measurements import Decisions, Estimate, MeasuredSet
from cxr_edge.statistics.operating_points import OperatingPoint, Proportion
from cxr_edge.types import Picture, Reason
from tests.factories import result
from tests.tiny import tiny_spec

CLASSES = ("NORMAL", "PNEUMONIA")


def film(number: int, label: int, probability: float | None, **fields: Any) -> EvaluatedFilm:
    """One film; without a probability it is not scored."""
    facts: dict[str, Any] = {"width": 64 + number % 7, "height": 48, "sha256": f"{number:064x}"}
    facts |= {"reason": Reason.TRUNCATED} if probability is None else {}
    path = fields.pop("path", f"{CLASSES[label]}/person{number}_1.png")
    return EvaluatedFilm(
        result(path, probability, **{**facts, **fields}),
        label,
        f"person{number // 2}",
        2000 + number,
    )


def films(labels: Sequence[int], seed: int = 1, shift: float = 2.5) -> list[EvaluatedFilm]:
    """Scores that say something about the labels; the first film has none."""
    random = np.random.default_rng(seed)
    logits = random.normal([shift * (label - 0.4) for label in labels], 1.0)
    scores = (1 / (1 + np.exp(-logits))).round(6).tolist()
    made = [film(n, label, p) for n, (label, p) in enumerate(zip(labels, scores, strict=True))]
    return [film(0, labels[0], None), *made[1:]]


BOTH = [0, 1, 1] * 24
NEGATIVE_ONLY = [0] * 30
POSITIVE_ONLY = [1] * 30


def spec(name: str = "tiny") -> ModelSpec:
    """The tiny model, with figures of a test set."""
    share = Proportion.of(97, 100)
    decisions = dict.fromkeys(tiny_spec().operating_points, Decisions(share, share, share))
    test = MeasuredSet("test_x", "0" * 64, {}, Estimate(0.97, 0.96, 0.98, 80, 2000), decisions)
    return replace(tiny_spec(), name=name, evaluations=(test,))


def data(labels: Sequence[int], made: Sequence[EvaluatedFilm]) -> SetFigures:
    """The set that these films make."""
    counts = {name: list(labels).count(label) for label, name in enumerate(CLASSES)}
    return SetFigures(
        name="made",
        sha256="cd" * 32,
        classes=CLASSES,
        counts=counts,
        patients=len({each.patient for each in made}),
        patients_from="the table",
        repeated=2,
        unlabelled=("notes.txt",),
        missing_class=next((name for name, count in counts.items() if not count), ""),
    )


def evaluation(labels: Sequence[int] = BOTH, *, models: int = 1, **fields: Any) -> Evaluation:
    """Everything, for one model or two; the second is the worse one."""
    measured = tuple(_measured(tuple(labels), number) for number in range(models))
    values: dict[str, Any] = {
        "created_utc": "2026-11-22T20:00:00Z",
        "seconds": 1.5,
        "command": ("cxr-edge", "evaluate", "made"),
        "versions": {"cxr-edge": "0.1.0"},
        "films": data(labels, measured[0].films),
        "models": measured,
        "comparison": _compared(tuple(labels)) if models > 1 else None,
        "profile": None,
    }
    return Evaluation(**{**values, **fields})


@functools.cache  # the forests of the baseline take a second
def _measured(labels: tuple[int, ...], number: int) -> ModelFigures:
    made = films(labels, seed=number, shift=3 - number)
    return measure(made, _model(f"tiny{number}"), 0.1, data(labels, made))


@functools.cache
def _compared(labels: tuple[int, ...]) -> Comparison:
    return compare(_measured(labels, 0), _measured(labels, 1))


def _model(name: str) -> MeasuredModel:
    made = spec(name)
    return MeasuredModel(made, f"{name}.onnx", sha256(name), "cpu", made.operating_points)


def sha256(name: str) -> str:
    """Of a model's file."""
    return hashlib.sha256(name.encode()).hexdigest()


def profile() -> SiteProfile:
    """A threshold that the site chose."""
    share = Proportion.of(47, 48)
    return SiteProfile.of(
        model="tiny0",
        model_version="1.0.0",
        model_sha256=sha256("tiny0"),
        preprocessing_version=PREPROCESSING_VERSION,
        decoding_version=DECODING_VERSION,
        point=OperatingPoint(0.2, "highest threshold", share, share, "made"),
        data_sha256="cd" * 32,
        created_utc="2026-11-22T20:00:00Z",
    )


def picture() -> Picture:
    """A film of 32 x 24 pixels and a map of 2 x 2 cells."""
    grey = np.linspace(0, 255, 24 * 32).reshape(24, 32).astype(np.uint8)
    return Picture(grey, np.array([[0.5, -0.25], [1.0, 0.0]], np.float32), -0.5)


# Made when a test asks for one.
CASES: dict[str, Callable[[], Evaluation]] = {
    "one model": evaluation,
    "two models": lambda: evaluation(models=2),
    "profile": lambda: evaluation(profile=profile()),
    "no positive film": lambda: evaluation(NEGATIVE_ONLY),
    "no negative film": lambda: evaluation(POSITIVE_ONLY, models=2),
    "two films": lambda: evaluation([0, 0, 1]),
}
every_case = pytest.mark.parametrize("case", CASES.values(), ids=CASES)
