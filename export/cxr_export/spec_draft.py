"""Builds the spec of a model that is about to be exported, still without files."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime

import numpy as np
from numpy.typing import NDArray

from cxr_edge.errors import DataError, ExportError
from cxr_edge.model.files import FIRST_VERSION, Golden, GoldenCase
from cxr_edge.model.reliability import Reliability
from cxr_edge.model.self_test import RULES, golden_image
from cxr_edge.model.spec import (
    SCHEMA_VERSION,
    Architecture,
    ModelSpec,
    NetworkDataFormat,
    Preprocessing,
    TensorFormat,
)
from cxr_edge.preprocess import PREPROCESSING_VERSION, RESIZE_FILTER
from cxr_edge.statistics.auc import auc_estimate
from cxr_edge.statistics.measurements import (
    Decisions,
    Estimate,
    FeatureDistribution,
    MeasuredSet,
    ScoreDistribution,
)
from cxr_edge.statistics.operating_points import (
    CopyScores,
    OperatingPoint,
    Proportion,
    choose_on_copies,
    measure,
)
from cxr_edge.support.utc import utc_text
from cxr_edge.types import PROBABILITY_DECIMALS
from cxr_export.intended_use import (
    KERMANY,
    KERMANY_TRAIN_SHA256,
    KERMANY_USE,
    LICENSE,
    NOT_STATED,
    TASK,
    UNKNOWN_USE,
)
from cxr_export.receptive_field import receptive_field, steps_to
from cxr_export.source import Source, sigmoid
from cxr_training.films.copies import COPIES_VERSION, scores_of_copies
from cxr_training.films.data import CLASSES, ImageSet
from cxr_training.nets.blocks import FEATURES_LAYER

# How far a file may be from what the network said about the rule-made images. They lie further from
# films than rounding was measured for: fewer bits move a logit more there than on any film.
GOLDEN_TOLERANCE = {
    "float32": 1e-4,
    "float16-weights": 2e-2,
    "int8-weights": 1e-4,
    "float16": 1e-3,
    "int8": 5e-2,
}
# How far a file in fewer bits may be from what it said itself when it was exported: what another
# processor's rounding of a convolution does. Other kernels for int8 moved it by 0.0012 at most
# (docs/quantisation.md); float16 gets what its gate allows, float16 weights what float32 gets.
FILE_GOLDEN_TOLERANCE = {"float16": 1e-3, "float16-weights": 1e-4, "int8": 5e-3}
FIGURE_DECIMALS = 6

Score = Callable[[NDArray[np.uint8]], NDArray[np.float64]]


@dataclass(frozen=True)
class Measured:
    """Operating points, and what was measured at them on sets that chose nothing.

    Attributes:
        validation_scores: how the scores of the validation films spread, if there is a run.
        validation_features: and how these films look.
        precision: of the files; decides how closely a self-test has to agree.
        reliability: how far the scores can be trusted, where it was asked for.
    """

    operating_points: dict[str, OperatingPoint]
    evaluations: tuple[MeasuredSet, ...]
    validation_scores: ScoreDistribution | None = None
    validation_features: FeatureDistribution | None = None
    precision: str = "float32"
    reliability: Reliability | None = None


def draft_spec(name: str, source: Source, cells: tuple[int, int], measured: Measured) -> ModelSpec:
    """Draft of a spec: all of it but the files.

    Args:
        name: the model's name.
        source: the network, and its run if there is one.
        cells: (h, w) of the evidence map.
        measured: what it decides by, and how well.
    """
    run = source.run
    kermany = run is not None and run.training.data_sha256 == KERMANY_TRAIN_SHA256
    return ModelSpec(
        schema_version=SCHEMA_VERSION,
        name=name,
        version=FIRST_VERSION,
        created=run.training.created_utc if run else utc_text(datetime.now(UTC)),
        task=TASK,
        architecture=_architecture(source),
        network_data_format=_tensors(source.size, cells),
        preprocessing=Preprocessing(PREPROCESSING_VERSION, RESIZE_FILTER),
        receptive_field=receptive_field(steps_to(source.model, FEATURES_LAYER)),
        operating_points=measured.operating_points,
        validation_scores=measured.validation_scores,
        golden=golden(source.logits, source.size, GOLDEN_TOLERANCE[measured.precision]),
        training=run.training if run else None,
        evaluations=measured.evaluations,
        use=KERMANY_USE if kermany else UNKNOWN_USE,
        license=LICENSE if kermany else NOT_STATED,
        data_source=KERMANY if kermany else NOT_STATED,
        reliability=measured.reliability.to_dict() if measured.reliability else None,
        validation_features=measured.validation_features,
    )


def operating_points(source: Source, labelled: ImageSet) -> dict[str, OperatingPoint]:
    """Operating points of the run; without a run, from copies of the calibration images.

    Raises:
        ExportError: the run chose them by another rule.
    """
    if source.run is None:
        data = f"calibration, {len(labelled.labels)} images"
        return points_on_copies(source.score, labelled, data)
    points = source.run.operating_points
    if any(point.copies is None for point in points.values()):
        raise ExportError(
            "the run chose its operating points on films as they are, not on changed copies",
            tip="cxr-edge runs judge-again RUN DATA chooses them anew",
        )
    return points


def points_on_copies(score: Score, images: ImageSet, data: str) -> dict[str, OperatingPoint]:
    """Operating points chosen on changed copies of labelled films.

    Args:
        score: the network, uint8 [N, S, S, 1] to float64 [N].
        images: the films.
        data: what they are called.
    """
    copies = _copy_scores(score, images)
    return choose_on_copies(images.labels, score(images.pixels), copies, data)


def _copy_scores(score: Score, images: ImageSet) -> CopyScores:
    return CopyScores(COPIES_VERSION, scores_of_copies(score, images.pixels))


def remeasured(
    points: Mapping[str, OperatingPoint], images: ImageSet, score: Score, data: str
) -> dict[str, OperatingPoint]:
    """The same thresholds, with what a file in fewer bits measures there.

    Args:
        points: operating points by name.
        images: the films that the run validated on.
        score: the file, uint8 [N, S, S, 1] to float64 [N].
        data: what the films are called.
    """
    probability = score(images.pixels)
    chosen_on_copies = any(point.copies for point in points.values())
    copies = _copy_scores(score, images) if chosen_on_copies else None
    measured = {}
    for name, point in points.items():
        sensitivity, specificity = measure(images.labels, probability, point.threshold)
        measured[name] = replace(
            point,
            sensitivity=sensitivity,
            specificity=specificity,
            data=data if point.data == data else f"{data}; threshold from {point.data}",
            copies=copies.measure(images.labels, point.threshold) if copies else None,
        )
    return measured


def spread(data: str, images: ImageSet, probability: NDArray[np.float64]) -> ScoreDistribution:
    """Distribution of the scores of each class."""
    scores = {name: probability[images.labels == label] for label, name in enumerate(CLASSES)}
    return ScoreDistribution.of(data, scores)


def evaluate(
    score: Score, images: ImageSet, name: str, points: Mapping[str, OperatingPoint]
) -> MeasuredSet:
    """Measure the finished network on a labelled set; nothing is chosen.

    Args:
        score: the network as it will be exported, uint8 [N, S, S, 1] to float64 [N].
        images: the labelled set.
        name: what the set is called in spec and card.
        points: operating points by name.
    """
    # As reports print it, so that `cxr-edge evaluate` finds the same figures.
    probability = score(images.pixels).round(PROBABILITY_DECIMALS)
    decisions = {}
    for key, point in points.items():
        sensitivity, specificity = measure(images.labels, probability, point.threshold)
        right = round(sensitivity.value * sensitivity.n) + round(specificity.value * specificity.n)
        accuracy = Proportion.of(right, len(images.labels))
        decisions[key] = Decisions(accuracy, sensitivity, specificity)
    auc = auc_estimate(images.labels, probability, [file.patient for file in images.files])
    if auc is None:
        raise DataError(f"{name}: too few patients of a class for an interval of the AUC")
    return MeasuredSet(name, images.sha256, images.counts(), rounded(auc), decisions)


def rounded(figure: Estimate) -> Estimate:
    """Round for a spec: processors differ in the last digits; the same films give the same spec."""
    value, low, high = (
        round(number, FIGURE_DECIMALS) for number in (figure.value, figure.low, figure.high)
    )
    return replace(figure, value=value, low=low, high=high)


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


def golden(logits_of: Score, size: int, tolerance: float) -> Golden:
    """Scores of the rule-made images by a network or a file.

    Args:
        logits_of: uint8 [N, S, S, 1] to float64 [N].
        size: S, pixels a side.
        tolerance: of the self-test.
    """
    images = np.stack([golden_image(rule, size) for rule in RULES])
    logits = logits_of(images)
    cases = [
        GoldenCase(rule, round(float(p), 7), round(float(logit), 5))
        for rule, p, logit in zip(RULES, sigmoid(logits), logits, strict=True)
    ]
    return Golden(tolerance, tuple(cases))
