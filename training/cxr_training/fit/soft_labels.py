"""Metrics of training where labels may lie between 0 and 1, as teachers draw them."""

from __future__ import annotations

from typing import Any

import keras

_registered = keras.saving.register_keras_serializable(package="cxr_training")


@_registered
class Accuracy(keras.metrics.BinaryAccuracy):  # type: ignore[misc]  # keras is untyped
    """Accuracy against the class that weighs more in the label."""

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """One batch."""
        super().update_state(keras.ops.round(y_true), y_pred, sample_weight)


@_registered
class AreaUnderCurve(keras.metrics.AUC):  # type: ignore[misc]  # keras is untyped
    """Area between the films whose label weighs pneumonia more and the others."""

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """One batch."""
        super().update_state(keras.ops.round(y_true), y_pred, sample_weight)


def metrics() -> list[keras.metrics.Metric]:
    """Metrics under the names that history.csv has."""
    return [Accuracy(name="binary_accuracy"), AreaUnderCurve(name="auc")]
