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

from cxr_edge.statistics.operating_points import CopyScores, OperatingPoint, choose_on_copies
from cxr_training.films.copies import COPIES_VERSION
from cxr_training.films.data import CLASSES

REPORT_THRESHOLD = 0.5  # the source report calls pneumonia above 0.5


@dataclass(frozen=True)
class ValidationMetrics:
    """Measured on validation; `confusion` is int [2, 2], rows true, columns predicted, at 0.5.

    Attributes:
        auc_of_copies: mean over the draws of changed copies, which chose the operating points.
    """

    auc: float
    accuracy: float
    log_loss: float
    confusion: NDArray[np.int64]
    report: str
    operating_points: dict[str, OperatingPoint]
    auc_of_copies: float

    def to_dict(self) -> dict[str, Any]:
        """The plain figures, for run.json."""
        return {
            "auc": round(self.auc, 6),
            "accuracy_at_0.5": round(self.accuracy, 6),
            "log_loss": round(self.log_loss, 6),
            "confusion_at_0.5": self.confusion.tolist(),
            "copies": {"version": COPIES_VERSION, "auc": round(self.auc_of_copies, 6)},
        }


def validation_metrics(
    labels: NDArray[np.float32],
    probability: NDArray[np.float64],
    copies: NDArray[np.float64],
    data_name: str,
) -> ValidationMetrics:
    """Judge scores.

    Args:
        labels: [N], 1 for pneumonia.
        probability: [N] of pneumonia.
        copies: [draws, N], of their changed copies; these choose the operating points.
        data_name: what these images are, recorded with each operating point.
    """
    predicted = probability > REPORT_THRESHOLD
    scores = CopyScores(COPIES_VERSION, copies)
    return ValidationMetrics(
        auc=float(roc_auc_score(labels, probability)),
        accuracy=float(accuracy_score(labels, predicted)),
        log_loss=float(log_loss(labels, probability, labels=[0, 1])),
        confusion=confusion_matrix(labels, predicted, labels=[0, 1]),
        report=classification_report(
            labels, predicted, labels=[0, 1], target_names=CLASSES, digits=3, zero_division=0
        ),
        operating_points=choose_on_copies(labels, probability, scores, data_name),
        auc_of_copies=float(np.mean([roc_auc_score(labels, draw) for draw in copies])),
    )
