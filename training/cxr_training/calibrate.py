"""Logits of differently confident networks on one scale."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar

_RANGE = (0.05, 20.0)  # with labels at random the best temperature is infinite


def fit_temperature(labels: NDArray[np.generic], logits: NDArray[np.float64]) -> float:
    """T that makes sigmoid(logit / T) most likely, within 0.05 to 20.

    Source: Guo et al., ICML 2017, "On calibration of modern neural networks". The labels are drawn
    in from 0 and 1, as if there were one more film of each class on either side: classes that are
    fully apart on a few films would ask for 0, and a network that was lucky there would count
    twenty times its logits among others. Source: Platt, Advances in Large Margin Classifiers
    (1999), 61-74.

    Args:
        labels: [N], 1 for pneumonia, 0 for normal; both occur.
        logits: [N], of films that the network was not trained on.
    """
    positive = np.asarray(labels) == 1
    n_positive, n_negative = positive.sum(), (~positive).sum()
    target = np.where(positive, (n_positive + 1) / (n_positive + 2), 1 / (n_negative + 2))

    def loss(log_t: float) -> float:
        scaled = logits / np.exp(log_t)
        return float((np.logaddexp(0, scaled) - target * scaled).mean())

    found = minimize_scalar(loss, bounds=np.log(_RANGE), method="bounded")
    return float(np.exp(found.x))
