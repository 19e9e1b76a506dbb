"""The gate: no file is written that does not compute what its source computes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score

from cxr_edge.errors import ParityError
from cxr_edge.model.files import Parity
from cxr_edge.runtime.protocol import Runner
from cxr_edge.statistics.operating_points import OperatingPoint, measure
from cxr_export.source import sigmoid

BATCH_SIZES = (1, 32)
TOLERANCE = {
    "float32": 1e-5,
    "float16-weights": 5e-3,
    "int8-weights": 2e-2,
    "float16": 1e-3,
    "int8": 2e-2,
}
MOST_AUC_LOSS = 0.002


@dataclass(frozen=True)
class Gate:
    """The reference that a file is held against.

    Attributes:
        pixels: uint8 [N, S, S, 1], real x-rays.
        probability: float64 [N], the reference's answers.
        operating_points: whose decisions must not change.
        tolerance: largest allowed |difference| of probabilities.
        reference: what gave the answers, for the record.
    """

    pixels: NDArray[np.uint8]
    probability: NDArray[np.float64]
    operating_points: Mapping[str, OperatingPoint]
    tolerance: float
    reference: str

    def check(self, runner: Runner) -> Parity:
        """Hold one loaded file against the reference: values, evidence identity, decisions.

        Names and shapes were checked when the file was loaded.

        Raises:
            ParityError: with what was measured.
        """
        measured = [self._measure(runner, size) for size in BATCH_SIZES]
        # np.max and `not <=` so that NaN fails as well; the built-in max loses one in second place.
        difference, identity = (float(worst) for worst in np.max(measured, axis=0))
        if not difference <= self.tolerance:
            raise ParityError(
                f"{runner.backend} differs from {self.reference} by {difference:.2g}, "
                f"allowed {self.tolerance:.0e}"
            )
        if not identity <= TOLERANCE["float32"]:
            raise ParityError(f"evidence + bias is not the logit: off by {identity:.2g}")
        flips = self._flips(runner, difference)
        if flips:
            raise ParityError(f"{flips} decisions change outside +-{difference:.2g}")
        return Parity(
            reference=self.reference,
            samples=len(self.pixels),
            batch_sizes=BATCH_SIZES,
            max_abs_difference=difference,
            tolerance=self.tolerance,
            decision_flips=flips,
            max_identity_error=identity,
        )

    def _measure(self, runner: Runner, batch_size: int) -> tuple[float, float]:
        """Largest |dp|, and largest |sigmoid(evidence + bias) - p|, at one batch size."""
        difference, identity = [], []
        for start in range(0, len(self.pixels), batch_size):
            predicted = runner.predict(self.pixels[start : start + batch_size])
            expected = self.probability[start : start + batch_size]
            explained = sigmoid(predicted.logit())
            difference.append(np.abs(predicted.probability - expected).max())
            identity.append(np.abs(predicted.probability - explained).max())
        return float(np.max(difference)), float(np.max(identity))

    def _flips(self, runner: Runner, margin: float) -> int:
        """Decisions that change where the reference is further than `margin` from a threshold."""
        predicted = runner.predict(self.pixels).probability
        flips = 0
        for point in self.operating_points.values():
            clear = np.abs(self.probability - point.threshold) > margin
            changed = (predicted >= point.threshold) != (self.probability >= point.threshold)
            flips += int((clear & changed).sum())
        return flips


@dataclass(frozen=True)
class ValidationGate:
    """Gate on the validation films for a file whose weights or sums are in fewer bits.

    Attributes:
        labels: [N], 1 for pneumonia.
        probability: float64 [N], the reference's answers.
        threshold: of screening. What it measures is taken from `probability`: a point from folds
            has figures of other networks on other films.
    """

    labels: NDArray[np.float32]
    probability: NDArray[np.float64]
    threshold: float

    def check(self, probability: NDArray[np.float64]) -> float:
        """Hold a file's answers against the reference's.

        Args:
            probability: float64 [N].

        Returns:
            What it loses of the area under the ROC curve; negative where it gains.

        Raises:
            ParityError: it loses too much of it, or of the sensitivity at screening.
        """
        areas = [float(roc_auc_score(self.labels, p)) for p in (self.probability, probability)]
        loss = round(areas[0] - areas[1], 6)
        if not loss <= MOST_AUC_LOSS:
            raise ParityError(f"AUC on validation falls by {loss:.4f}, allowed {MOST_AUC_LOSS}")
        before, _ = measure(self.labels, self.probability, self.threshold)
        sensitivity, _ = measure(self.labels, probability, self.threshold)
        if sensitivity.value < before.low:
            raise ParityError(
                f"sensitivity at screening falls to {sensitivity.value:.4f}, below "
                f"{before.low:.4f}, the end of the reference's interval"
            )
        return loss


def sample_evenly(count: int, wanted: int) -> Sequence[int]:
    """`wanted` positions spread over `count`, always the same."""
    return [int(i) for i in np.unique(np.linspace(0, count - 1, min(count, wanted)).round())]
