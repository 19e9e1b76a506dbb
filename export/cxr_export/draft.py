"""Builds the spec of a model that is about to be exported, still without files."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import numpy as np
from sklearn.metrics import roc_auc_score

from cxr_edge.golden import RULES, golden_image
from cxr_edge.operating_points import OperatingPoint, Proportion, choose, measure
from cxr_edge.preprocess import PREPROCESSING_VERSION, RESIZE_FILTER
from cxr_edge.spec import (
    SCHEMA_VERSION,
    Architecture,
    Decisions,
    Evaluation,
    Golden,
    GoldenCase,
    ModelSpec,
    NetworkDataFormat,
    Preprocessing,
    TensorFormat,
    Training,
)
from cxr_export.about import DATA_SOURCE, LICENSE, TASK, USE
from cxr_export.graph import InferenceGraph
from cxr_export.source import Source, sigmoid
from cxr_training.data import ImageSet

MODEL_VERSION = "1.0.0"
GOLDEN_TOLERANCE = 1e-4


def draft_spec(
    name: str, source: Source, graph: InferenceGraph, labelled: ImageSet, tests: list[Evaluation]
) -> ModelSpec:
    """Everything but the files.

    Args:
        name: the model's name.
        source: the network, and its run if there is one.
        graph: its folded form.
        labelled: calibration images; a network without a run chooses its operating points there.
        tests: what was measured on sets that chose nothing.
    """
    run = source.run
    return ModelSpec(
        schema_version=SCHEMA_VERSION,
        name=name,
        version=MODEL_VERSION,
        created=run["created_utc"] if run else datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        task=TASK,
        architecture=_architecture(source),
        network_data_format=_tensors(source.size, graph.head.cells),
        preprocessing=Preprocessing(PREPROCESSING_VERSION, RESIZE_FILTER),
        operating_points=operating_points(source, labelled),
        golden=_golden(source),
        training=_training(run) if run else None,
        evaluations=tuple(tests),
        use=USE,
        license=LICENSE,
        data_source=DATA_SOURCE,
    )


def operating_points(source: Source, labelled: ImageSet) -> dict[str, OperatingPoint]:
    """Those of the run; without a run, chosen on the calibration images."""
    if source.run is None:
        probability = sigmoid(source.logits(labelled.pixels))
        return choose(labelled.labels, probability, f"calibration, {len(labelled.labels)} images")
    return {
        name: OperatingPoint(
            threshold=point["threshold"],
            chosen_by=point["chosen_by"],
            sensitivity=Proportion(**point["sensitivity"]),
            specificity=Proportion(**point["specificity"]),
            data=point["data"],
        )
        for name, point in source.run["operating_points"].items()
    }


def evaluate(source: Source, images: ImageSet, name: str, spec_points: Any) -> Evaluation:
    """Measure the finished network on a labelled set; nothing is chosen.

    Args:
        source: the network as it will be exported.
        images: the labelled set.
        name: what the set is called in spec and card.
        spec_points: operating points by name.
    """
    probability = sigmoid(source.logits(images.pixels))
    decisions = {}
    for key, point in spec_points.items():
        sensitivity, specificity = measure(images.labels, probability, point.threshold)
        right = round(sensitivity.value * sensitivity.n) + round(specificity.value * specificity.n)
        accuracy = Proportion.of(right, len(images.labels))
        decisions[key] = Decisions(accuracy, sensitivity, specificity)
    auc = float(roc_auc_score(images.labels, probability))
    return Evaluation(name, images.sha256, images.counts(), round(auc, 6), decisions)


def _architecture(source: Source) -> Architecture:
    model = source.model
    trainable = sum(int(np.prod(weight.shape)) for weight in model.trainable_weights)
    return Architecture(model.name, model.count_params(), trainable)


def _tensors(size: int, cells: tuple[int, int]) -> NetworkDataFormat:
    image = TensorFormat(
        "image", "uint8", 1, (size, size), (0.0, 255.0), "raw grey levels, 0 black, bone bright"
    )
    outputs = {
        "probability": TensorFormat(
            "probability", "float32", 1, (), (0.0, 1.0), "probability of pneumonia"
        ),
        "evidence": TensorFormat(
            "attribution", "float32", 1, cells, None, "exact share of the logit per cell"
        ),
        "bias": TensorFormat("attribution", "float32", 1, (), None, "rest of the logit"),
    }
    return NetworkDataFormat({"image": image}, outputs)


def _golden(source: Source) -> Golden:
    """What Keras says about the rule-made images."""
    images = np.stack([golden_image(rule, source.size) for rule in RULES])
    logits = source.logits(images)
    cases = [
        GoldenCase(rule, round(float(p), 7), round(float(logit), 5))
        for rule, p, logit in zip(RULES, sigmoid(logits), logits, strict=True)
    ]
    return Golden(GOLDEN_TOLERANCE, tuple(cases))


def _training(run: dict[str, Any]) -> Training:
    return Training(
        data=run["data"]["name"],
        data_sha256=run["data"]["sha256"],
        train_counts=run["data"]["train"],
        validation_counts=run["data"]["validation"],
        split=f"{run['recipe']['validation_tenths']}0 % of patients held out, seed {run['seed']}",
        recipe=run["recipe"]["name"],
        recipe_sha256=run["recipe_sha256"],
        pretrained_weights=run["recipe"]["model"]["weights"],
        seed=run["seed"],
        epochs=run["epochs"],
        seconds=run["seconds"],
        created_utc=run["created_utc"],
        software=run["software"],
        metrics=run["metrics"],
    )
