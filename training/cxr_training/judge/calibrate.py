"""Logits of differently confident networks on one scale: temperature scaling.

It draws the labels in from 0 and 1, as if there were one more film of each class on either side:
classes that are fully apart on a few films would else ask for an infinite slope. Source: Platt,
Advances in Large Margin Classifiers (1999), 61-74.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar

Logits = NDArray[np.float64]
Labels = NDArray[np.generic]

_RANGE = (0.05, 20.0)  # with labels at random the best temperature is infinite


def fit_temperature(labels: Labels, logits: Logits) -> float:
    """T that makes sigmoid(logit / T) most likely, within 0.05 to 20.

    Source: Guo et al., ICML 2017, "On calibration of modern neural networks". A network that was
    lucky on a few films would without the drawn-in labels count twenty times its logits.

    Args:
        labels: [N], 1 for pneumonia, 0 for normal; both occur.
        logits: [N], of films that the network was not trained on.
    """
    target = _drawn_in(labels)

    def loss(log_t: float) -> float:
        return _cross_entropy(target, logits / np.exp(log_t))

    minimum = minimize_scalar(loss, bounds=np.log(_RANGE), method="bounded")
    return float(np.exp(minimum.x))


def _drawn_in(labels: Labels) -> NDArray[np.float64]:
    positive = np.asarray(labels) == 1
    n_positive, n_negative = positive.sum(), (~positive).sum()
    drawn: NDArray[np.float64] = np.where(
        positive, (n_positive + 1) / (n_positive + 2), 1 / (n_negative + 2)
    )
    return drawn


def _cross_entropy(target: NDArray[np.float64], logits: Logits) -> float:
    return float((np.logaddexp(0, logits) - target * logits).mean())
