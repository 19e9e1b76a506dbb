"""What a run is judged by, on its validation images."""

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

from cxr_edge.operating_points import OperatingPoint, choose
from cxr_training.data import CLASSES

REPORT_THRESHOLD = 0.5  # the source report calls pneumonia above 0.5


@dataclass(frozen=True)
class ValidationMetrics:
    """Measured on validation; `confusion` is int [2, 2], rows true, columns predicted, at 0.5.

    `auc_changed` is of the same films, each changed as in training: it saturates later.
    """

    auc: float
    auc_changed: float
    accuracy: float
    log_loss: float
    confusion: NDArray[np.int64]
    report: str
    operating_points: dict[str, OperatingPoint]

    def to_dict(self) -> dict[str, Any]:
        """The plain figures, for run.json."""
        return {
            "auc": round(self.auc, 6),
            "auc_changed": round(self.auc_changed, 6),
            "accuracy_at_0.5": round(self.accuracy, 6),
            "log_loss": round(self.log_loss, 6),
            "confusion_at_0.5": self.confusion.tolist(),
        }


def validation_metrics(
    labels: NDArray[np.float32],
    probability: NDArray[np.float64],
    changed: NDArray[np.float64],
    data_name: str,
) -> ValidationMetrics:
    """Judge scores.

    Args:
        labels: [N], 1 for pneumonia.
        probability: [N] of pneumonia.
        changed: [N], of the same films changed as in training.
        data_name: what these images are, recorded with each operating point.
    """
    predicted = probability > REPORT_THRESHOLD
    return ValidationMetrics(
        auc=float(roc_auc_score(labels, probability)),
        auc_changed=float(roc_auc_score(labels, changed)),
        accuracy=float(accuracy_score(labels, predicted)),
        log_loss=float(log_loss(labels, probability, labels=[0, 1])),
        confusion=confusion_matrix(labels, predicted, labels=[0, 1]),
        report=classification_report(
            labels, predicted, labels=[0, 1], target_names=CLASSES, digits=3, zero_division=0
        ),
        operating_points=choose(labels, probability, data_name, changed),
    )
