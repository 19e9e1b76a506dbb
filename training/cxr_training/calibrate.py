"""Logits of differently confident networks on one scale: temperature and Platt scaling."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize, minimize_scalar
from scipy.special import expit

Logits = NDArray[np.float64]
Labels = NDArray[np.generic]

# Where the classes are fully apart the best temperature is 0, and with labels at random infinite.
_RANGE = (0.05, 20.0)


@dataclass(frozen=True)
class Platt:
    """Probability sigmoid(slope * logit + offset)."""

    slope: float
    offset: float

    def __call__(self, logits: Logits) -> NDArray[np.float64]:
        """Calibrated probability of each logit."""
        return np.asarray(expit(self.slope * logits + self.offset), np.float64)


def negative_log_likelihood(labels: Labels, logits: Logits) -> float:
    """Mean over films, in nats.

    Args:
        labels: [N], 1 for pneumonia, 0 for normal.
        logits: [N].
    """
    signed = np.where(np.asarray(labels) == 1, logits, -logits)
    return float(np.logaddexp(0, -signed).mean())


def fit_temperature(labels: Labels, logits: Logits) -> float:
    """T that makes sigmoid(logit / T) most likely, within 0.05 to 20.

    Source: Guo et al., ICML 2017, "On calibration of modern neural networks".

    Args:
        labels: [N], 1 for pneumonia, 0 for normal.
        logits: [N], of films that the network was not trained on.
    """
    found = minimize_scalar(
        lambda log_t: negative_log_likelihood(labels, logits / np.exp(log_t)),
        bounds=np.log(_RANGE),
        method="bounded",
    )
    return float(np.exp(found.x))


def fit_platt(labels: Labels, logits: Logits) -> Platt:
    """Slope and offset that make sigmoid(slope * logit + offset) most likely.

    The labels are drawn in from 0 and 1 as the source does, so that classes that are fully apart
    have an answer. Source: Platt, Advances in Large Margin Classifiers (1999), 61-74.

    Args:
        labels: [N], 1 for pneumonia, 0 for normal; both occur.
        logits: [N], of films that the network was not trained on.
    """
    positive = np.asarray(labels) == 1
    n_positive, n_negative = positive.sum(), (~positive).sum()
    target = np.where(positive, (n_positive + 1) / (n_positive + 2), 1 / (n_negative + 2))

    def loss(line: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        z = line[0] * logits + line[1]
        error = expit(z) - target
        value = (np.logaddexp(0, z) - target * z).mean()
        return float(value), np.array([(error * logits).mean(), error.mean()])

    slope, offset = minimize(loss, np.array([1.0, 0.0]), jac=True, method="BFGS").x
    return Platt(float(slope), float(offset))
