"""Curves over all thresholds, and what the probabilities are worth."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import precision_recall_curve, roc_curve

from cxr_edge.evaluate.films import Scored
from cxr_edge.evaluate.results import Curve
from cxr_edge.model.reliability import CalibrationBin
from cxr_edge.types import PROBABILITY_DECIMALS

CALIBRATION_BINS = 10
_STEPS = 10**PROBABILITY_DECIMALS


def roc(scored: Scored) -> Curve | None:
    """False positive rate and true positive rate, or None where a class is missing."""
    if not scored.both_classes:
        return None
    false_positive, true_positive, thresholds = roc_curve(scored.labels, scored.probability)
    return _curve(false_positive, true_positive, thresholds)


def precision_recall(scored: Scored) -> Curve | None:
    """Recall and precision, or None where a class is missing."""
    if not scored.both_classes:
        return None
    precision, recall, thresholds = precision_recall_curve(
        scored.labels, scored.probability, drop_intermediate=True
    )
    # scikit-learn ends the curve at recall 0, precision 1, which no threshold reaches.
    return _curve(recall, precision, np.append(thresholds, np.inf))


def calibration(scored: Scored) -> tuple[CalibrationBin, ...]:
    """Observed share against mean probability, in ten equal bins; empty ones are left out.

    Bins of equal width, not of equal count: a reader meets a printed probability, and most scores
    lie at the two ends. How little a bin in the middle holds shows in its interval. The last bin
    holds 1.0 too.
    """
    # In whole millionths, as printed: 0.3 lies in the bin that begins at 0.3.
    steps = np.rint(scored.probability * _STEPS).astype(np.int64)
    indices = np.minimum(steps * CALIBRATION_BINS // _STEPS, CALIBRATION_BINS - 1)
    return tuple(_bin(scored, indices == index, int(index)) for index in np.unique(indices))


def _bin(scored: Scored, inside: NDArray[np.bool_], index: int) -> CalibrationBin:
    return CalibrationBin(
        low=index / CALIBRATION_BINS,
        high=(index + 1) / CALIBRATION_BINS,
        mean_probability=float(scored.probability[inside].mean()),
        observed=scored.share(scored.labels == 1, inside),
    )


def _curve(
    x: NDArray[np.float64], y: NDArray[np.float64], thresholds: NDArray[np.float64]
) -> Curve:
    finite = np.minimum(thresholds, 1.0)  # scikit-learn begins or ends beyond every score
    return Curve(tuple(x.tolist()), tuple(y.tolist()), tuple(finite.tolist()))
