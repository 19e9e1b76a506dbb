"""Figures that a run is judged by, on its validation images."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import (
    accuracy_score,
    classification_report,
    confusion_matrix,
    log_loss,
    roc_auc_score,
)

from cxr_edge.statistics.operating_points import OperatingPoint, choose, measure
from cxr_training.films.data import CLASSES

REPORT_THRESHOLD = 0.5  # the source report calls pneumonia above 0.5


@dataclass(frozen=True)
class ValidationMetrics:
    """Measured on validation; `confusion` is int [2, 2], rows true, columns predicted, at 0.5.

    Attributes:
        changed: of the same films, each changed as in training: AUC, and sensitivity and
            specificity at the operating points, which they have no part in choosing. None where
            the recipe changes no film.
    """

    auc: float
    accuracy: float
    log_loss: float
    confusion: NDArray[np.int64]
    report: str
    operating_points: dict[str, OperatingPoint]
    changed: dict[str, Any] | None

    def to_dict(self) -> dict[str, Any]:
        """The plain figures, for run.json."""
        return {
            "auc": round(self.auc, 6),
            "accuracy_at_0.5": round(self.accuracy, 6),
            "log_loss": round(self.log_loss, 6),
            "confusion_at_0.5": self.confusion.tolist(),
            **({"changed_films": self.changed} if self.changed else {}),
        }


def validation_metrics(
    labels: NDArray[np.float32],
    probability: NDArray[np.float64],
    data_name: str,
    changed: NDArray[np.float64] | None = None,
) -> ValidationMetrics:
    """Judge scores.

    Args:
        labels: [N], 1 for pneumonia.
        probability: [N] of pneumonia.
        data_name: what these images are, recorded with each operating point.
        changed: [N], of the same films changed as in training, if it changes films.
    """
    predicted = probability > REPORT_THRESHOLD
    points = choose(labels, probability, data_name)
    return ValidationMetrics(
        auc=float(roc_auc_score(labels, probability)),
        accuracy=float(accuracy_score(labels, predicted)),
        log_loss=float(log_loss(labels, probability, labels=[0, 1])),
        confusion=confusion_matrix(labels, predicted, labels=[0, 1]),
        report=classification_report(
            labels, predicted, labels=[0, 1], target_names=CLASSES, digits=3, zero_division=0
        ),
        operating_points=points,
        changed=None if changed is None else _of_changed(labels, changed, points),
    )


def _of_changed(
    labels: NDArray[np.float32],
    probability: NDArray[np.float64],
    points: dict[str, OperatingPoint],
) -> dict[str, Any]:
    """Figures of the thresholds on changed films."""
    reached: dict[str, Any] = {"auc": round(float(roc_auc_score(labels, probability)), 6)}
    for name, point in points.items():
        sensitivity, specificity = measure(labels, probability, point.threshold)
        reached[name] = {
            "sensitivity": round(sensitivity.value, 6),
            "specificity": round(specificity.value, 6),
        }
    return reached
