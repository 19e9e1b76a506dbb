"""Decisions of one operating point on a labelled set."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import classification_report, confusion_matrix

from cxr_edge.evaluate.films import Scored
from cxr_edge.evaluate.results import (
    ClassReport,
    Confusion,
    PointFigures,
    PredictiveValue,
    PredictiveValues,
)
from cxr_edge.statistics.operating_points import Proportion, predictive_shares

_AVERAGES = ("macro avg", "weighted avg")


def point_figures(
    point: tuple[str, float], scored: Scored, classes: tuple[str, str], prevalence: float | None
) -> PointFigures:
    """Figures that follow from one threshold.

    Args:
        point: name and threshold; flagged at or above it.
        scored: at least one film.
        classes: (negative, positive).
        prevalence: in (0, 1), of the site's own films, or None.
    """
    name, threshold = point
    flagged, positive = scored.probability >= threshold, scored.labels == 1
    called = flagged.astype(np.int64)
    matrix = confusion_matrix(scored.labels, called, labels=[0, 1])
    tn, fp, fn, tp = (int(films) for films in matrix.ravel())
    sensitivity = _share(scored, flagged, positive)
    specificity = _share(scored, ~flagged, ~positive)
    return PointFigures(
        name=name,
        threshold=threshold,
        confusion=Confusion(tp, fn, fp, tn),
        accuracy=scored.share(flagged == positive, np.full(len(flagged), True)),
        sensitivity=sensitivity,
        specificity=specificity,
        positive_predictive_value=_share(scored, positive, flagged),
        negative_predictive_value=_share(scored, ~positive, ~flagged),
        at_prevalence=predictive_values(sensitivity, specificity, prevalence),
        report=_class_reports(scored.labels, called, classes),
    )


def predictive_values(
    sensitivity: Proportion | None, specificity: Proportion | None, prevalence: float | None
) -> PredictiveValues | None:
    """Predictive values where this share of the films is positive, by Bayes' theorem.

    The ends of an interval take sensitivity and specificity at the lower, or the upper, ends of
    their own 95 % intervals both at once. Source: Altman, Bland, BMJ 309:102 (1994).

    Returns:
        None without a prevalence; a value is None where a class is missing or no film would be
        called so.
    """
    if prevalence is None:
        return None
    if sensitivity is None or specificity is None:
        return PredictiveValues(prevalence, None, None)
    ends = [
        predictive_shares(getattr(sensitivity, end), getattr(specificity, end), prevalence)
        for end in ("value", "low", "high")
    ]
    positive, negative = (_with_ends(values) for values in zip(*ends, strict=True))
    return PredictiveValues(prevalence, positive, negative)


def _with_ends(values: Sequence[float]) -> PredictiveValue | None:
    return None if any(map(math.isnan, values)) else PredictiveValue(*values)


def _share(
    scored: Scored, chosen: NDArray[np.bool_], among: NDArray[np.bool_]
) -> Proportion | None:
    return scored.share(chosen, among) if among.any() else None


def _class_reports(
    labels: NDArray[np.int64], flagged: NDArray[np.int64], classes: tuple[str, str]
) -> tuple[ClassReport, ...]:
    """Both classes, then their averages.

    An average over a class that has no figure has none either; scikit-learn would leave it out.
    """
    # The classes stay numbers here: a class folder may be called `macro avg`.
    report = classification_report(
        labels, flagged, labels=[0, 1], output_dict=True, zero_division=np.nan
    )
    lines = tuple(_line(name, report[key]) for name, key in zip(classes, "01", strict=True))
    figures = [{"precision": x.precision, "recall": x.recall, "f1-score": x.f1} for x in lines]
    for name in _AVERAGES:
        is_complete = {key: all(each[key] is not None for each in figures) for key in figures[0]}
        values = {key: report[name][key] if is_complete[key] else math.nan for key in is_complete}
        lines += (_line(name, {**values, "support": report[name]["support"]}),)
    return lines


def _line(name: str, values: Mapping[str, float]) -> ClassReport:
    """A line of the report; figures of a class without films are None."""
    precision, recall, f1 = (
        None if math.isnan(values[key]) or not values["support"] else float(values[key])
        for key in ("precision", "recall", "f1-score")
    )
    return ClassReport(name, precision, recall, f1, int(values["support"]))
