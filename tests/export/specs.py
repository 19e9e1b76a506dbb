"""A spec with everything that a card can show, in figures that occur nowhere else."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from cxr_edge.model.files import ModelFile, Parity
from cxr_edge.model.spec import ModelSpec, Training
from cxr_edge.statistics.measurements import Decisions, Estimate, MeasuredSet
from cxr_edge.statistics.operating_points import OperatingPoint, Proportion
from tests.tiny import tiny_spec

AUC = Estimate(0.943217, 0.911654, 0.967123, 211, 1987)


def file(kind: str, size: int, off: float) -> ModelFile:
    """One exported file."""
    parity = Parity("Keras float32", 256, (1, 32), off, 1e-5, 0, off / 7)
    return ModelFile(f"fancy.{kind}", size, "ab" * 32, "float32", 17, parity)


def points() -> dict[str, OperatingPoint]:
    """Two, with figures that occur nowhere else."""
    return {
        "screening": OperatingPoint(
            0.123457, "by rule A", Proportion.of(761, 776), Proportion.of(251, 268), "set A"
        ),
        "balanced": OperatingPoint(
            0.467891, "by rule B", Proportion.of(737, 776), Proportion.of(259, 268), "set A"
        ),
    }


def evaluation(right: int = 268) -> MeasuredSet:
    """312 films, `right` of them right at `balanced`."""
    decisions = {
        name: Decisions(Proportion.of(n, 312), Proportion.of(188, 195), Proportion.of(80, 117))
        for name, n in (("screening", 259), ("balanced", right))
    }
    counts = {"NORMAL": 117, "PNEUMONIA": 195, "patients": 211}
    return MeasuredSet("test_x", "cd" * 32, counts, AUC, decisions)


def training() -> Training:
    """A run."""
    return Training(
        data="kermany224/train",
        data_sha256="0123456789abcdef" * 4,
        train_counts={"NORMAL": 1073, "PNEUMONIA": 3099, "patients": 2107},
        validation_counts={"NORMAL": 269, "PNEUMONIA": 777, "patients": 528},
        split="20 % of patients held out, seed 42",
        recipe="tuned",
        recipe_sha256="fedcba9876543210" * 4,
        pretrained_weights="imagenet",
        seed=42,
        epochs=97,
        seconds=2341.5,
        created_utc="2026-11-22T20:51:10Z",
        software={"keras": "3.15.1", "numpy": "2.4.6"},
        metrics={"auc": 0.996096, "accuracy_at_0.5": 0.965517},
    )


def spec(**fields: Any) -> ModelSpec:
    """A `cnn3_128` with everything that a card can show."""
    plain = tiny_spec()
    full = replace(
        plain,
        name="fancy",
        architecture=replace(plain.architecture, name="cnn3_128", parameters=868961),
        operating_points=points(),
        training=training(),
        evaluations=(evaluation(),),
        files={"onnx": file("onnx", 3476840, 1.37e-6), "tflite": file("tflite", 3477700, 4.2e-6)},
    )
    return replace(full, **fields)
