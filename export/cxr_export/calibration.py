"""Calibration of the probabilities as they ship.

No scale is fitted: one that was fitted on validation made the probabilities of films of another
series worse.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import brier_score_loss, log_loss

from cxr_edge.evaluate.curves import calibration as bins_of
from cxr_edge.evaluate.films import Scored
from cxr_edge.model.reliability import Calibration, CalibrationBin
from cxr_edge.types import PROBABILITY_DECIMALS
from cxr_export.spec_draft import FIGURE_DECIMALS


def calibration_on(
    data: str,
    labels: NDArray[np.generic],
    probability: NDArray[np.float64],
    patients: Sequence[str],
) -> Calibration:
    """Calibration on one set of films.

    Args:
        data: what these films are.
        labels: [N], 1 for pneumonia, 0 for normal.
        probability: [N].
        patients: [N] names.
    """
    # As reports print it; no film may have a probability of exactly 0 or 1 for a logarithm.
    step = 10.0**-PROBABILITY_DECIMALS
    printed = probability.round(PROBABILITY_DECIMALS)
    whole = np.asarray(labels).astype(np.int64)
    bins = bins_of(Scored((), whole, printed, tuple(patients)))
    figures = (
        printed.mean(),
        whole.mean(),
        log_loss(whole, printed.clip(step, 1 - step), labels=[0, 1]),
        brier_score_loss(whole, printed, pos_label=1),
        calibration_error(bins),
    )
    return Calibration(
        data, len(whole), *(round(float(figure), FIGURE_DECIMALS) for figure in figures)
    )


def calibration_error(bins: Iterable[CalibrationBin]) -> float:
    """Mean over films of |what was said - what was found| in their bin."""
    films, gaps = zip(
        *((each.observed.n, abs(each.mean_probability - each.observed.value)) for each in bins),
        strict=True,
    )
    return float(np.average(gaps, weights=films))
