"""Judging a run on its validation scores."""

from __future__ import annotations

import json

import numpy as np
import pytest

from cxr_training.fit.validation import validation_metrics

LABELS = np.array([0, 0, 0, 1, 1, 1, 1], np.float32)
SCORES = np.array([0.1, 0.5, 0.7, 0.2, 0.6, 0.8, 0.9])
CHANGED = np.array([0.4, 0.3, 0.8, 0.15, 0.5, 0.7, 0.9])


def test_figures_by_hand() -> None:
    metrics = validation_metrics(LABELS, SCORES, "seven films")
    # Of 12 pairs 9 are in order. At 0.5, which itself is not flagged: 0.7 and 0.2 are wrong.
    assert metrics.auc == pytest.approx(9 / 12)
    assert metrics.confusion.tolist() == [[2, 1], [1, 3]]
    assert metrics.accuracy == pytest.approx(5 / 7)
    chance = np.where(LABELS == 1, SCORES, 1 - SCORES)
    assert metrics.log_loss == pytest.approx(-np.log(chance).mean())


def test_the_report_names_both_classes() -> None:
    lines = validation_metrics(LABELS, SCORES, "x").report.split("\n")
    rows = {line.split()[0]: line.split()[1:] for line in lines if line.split()}
    assert rows["NORMAL"] == ["0.667", "0.667", "0.667", "3"]
    assert rows["PNEUMONIA"] == ["0.750", "0.750", "0.750", "4"]


def test_everything_called_pneumonia_is_no_crash() -> None:
    metrics = validation_metrics(LABELS, np.full(7, 0.9), "x")
    assert metrics.confusion.tolist() == [[0, 3], [0, 4]]
    assert metrics.auc == 0.5


def test_changed_films_are_judged_and_choose_nothing() -> None:
    metrics = validation_metrics(LABELS, SCORES, "x", CHANGED)
    assert metrics.operating_points == validation_metrics(LABELS, SCORES, "x").operating_points
    changed = metrics.to_dict()["changed_films"]
    assert json.loads(json.dumps(changed)) == changed
    # Of 12 pairs 7 are in order. At 0.15, where all pneumonias are found as they are: so are the
    # changed ones but one, and no changed normal is spared.
    assert changed["auc"] == pytest.approx(7 / 12, abs=1e-6)
    for name, point in metrics.operating_points.items():
        flagged = point.threshold <= CHANGED
        assert changed[name]["sensitivity"] == pytest.approx(flagged[LABELS == 1].mean(), abs=1e-6)
        expected = (~flagged)[LABELS == 0].mean()
        assert changed[name]["specificity"] == pytest.approx(expected, abs=1e-6)
    assert changed["screening"] == {"sensitivity": 0.75, "specificity": 0.0}
