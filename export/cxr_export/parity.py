"""The gate: no file is written that does not compute what its source computes."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score

from cxr_edge.errors import ParityError
from cxr_edge.model.files import Parity
from cxr_edge.runtime.protocol import Runner
from cxr_edge.statistics.operating_points import OperatingPoint, measure
from cxr_edge.types import Predictions
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
# How far the worst cell of an evidence map may be off, as a share of the map's largest, in nine of
# ten films. In the others a unit of the head may lie at the corner of its ReLU, where rounding
# moves its share between map and bias. Fewer bits move more units.
MAP_TOLERANCE = {
    "float32": 1e-3,
    "float16-weights": 0.1,
    "int8-weights": 0.2,
    "float16": 0.1,
    "int8": 0.2,
}
_FLIPS_AT = 64  # films in a pass for the decisions: a third size of batches, in bounded memory
_FILMS_HELD = 0.9


@dataclass(frozen=True)
class Gate:
    """The reference that a file is held against.

    Attributes:
        pixels: uint8 [N, S, S, 1], real x-rays.
        probability: float64 [N], the reference's answers.
        evidence: float64 [N, h, w], the reference's maps.
        operating_points: whose decisions must not change.
        precision: of the file, a value of `PRECISIONS`: how much it may differ.
        reference: what gave the answers, for the record.
    """

    pixels: NDArray[np.uint8]
    probability: NDArray[np.float64]
    evidence: NDArray[np.float64]
    operating_points: Mapping[str, OperatingPoint]
    precision: str
    reference: str

    @property
    def tolerance(self) -> float:
        """Largest allowed |difference| of probabilities."""
        return TOLERANCE[self.precision]

    def check(self, runner: Runner) -> Parity:
        """Hold one loaded file against the reference: values, maps, evidence identity, decisions.

        Names and shapes were checked when the file was loaded. Decisions may change where the
        reference lies no further from a threshold than the largest difference.

        Raises:
            ParityError: with what was measured.
        """
        measured = [self._measure(self._answers(runner, size)) for size in BATCH_SIZES]
        # np.max and `not <=` so that NaN fails as well; the built-in max loses one in second place.
        difference, identity, maps = (float(worst) for worst in np.max(measured, axis=0))
        if not difference <= self.tolerance:
            raise ParityError(
                f"{runner.backend} differs from {self.reference} by {difference:.2g}, "
                f"allowed {self.tolerance:.0e}"
            )
        if not identity <= TOLERANCE["float32"]:
            raise ParityError(f"evidence + bias is not the logit: off by {identity:.2g}")
        if not maps <= MAP_TOLERANCE[self.precision]:
            raise ParityError(
                f"{runner.backend} has another evidence map than {self.reference}: cells off by "
                f"{maps:.2g} of the largest, allowed {MAP_TOLERANCE[self.precision]:.0e}"
            )
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

    def _answers(self, runner: Runner, batch_size: int) -> Predictions:
        """A file's answers at one batch size."""
        starts = range(0, len(self.pixels), batch_size)
        parts = [runner.predict(self.pixels[start : start + batch_size]) for start in starts]
        return Predictions(
            np.concatenate([part.probability for part in parts]),
            np.concatenate([part.evidence for part in parts]),
            np.concatenate([part.bias for part in parts]),
        )

    def _measure(self, predicted: Predictions) -> tuple[float, float, float]:
        """Largest |dp|, largest |sigmoid(evidence + bias) - p|, and how far maps are off."""
        difference = np.abs(predicted.probability - self.probability).max()
        identity = np.abs(predicted.probability - sigmoid(predicted.logit())).max()
        largest = np.abs(self.evidence).max(axis=(1, 2))
        off = np.abs(predicted.evidence - self.evidence).max(axis=(1, 2))
        # A blank film has no evidence: nothing is a share of nothing.
        shares = np.sort(off / np.maximum(largest, np.finfo(np.float32).eps))
        maps = shares[math.ceil(_FILMS_HELD * len(shares)) - 1]
        return float(difference), float(identity), float(maps)

    def _flips(self, runner: Runner, margin: float) -> int:
        """Decisions that change where the reference is further than `margin` from a threshold."""
        predicted = self._answers(runner, _FLIPS_AT).probability
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
