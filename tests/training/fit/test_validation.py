"""Judging a run on its validation scores."""

from __future__ import annotations

import json

import numpy as np
import pytest

from cxr_training.films.copies import COPIES_VERSION
from cxr_training.fit.validation import validation_metrics

LABELS = np.array([0, 0, 0, 1, 1, 1, 1], np.float32)
SCORES = np.array([0.1, 0.5, 0.7, 0.2, 0.6, 0.8, 0.9])
COPIES = np.array([[0.4, 0.3, 0.8, 0.15, 0.5, 0.7, 0.9], [0.1, 0.2, 0.6, 0.25, 0.7, 0.8, 0.9]])


def test_figures_by_hand() -> None:
    metrics = validation_metrics(LABELS, SCORES, COPIES, "seven films")
    # Of 12 pairs 9 are in order. At 0.5, which itself is not flagged: 0.7 and 0.2 are wrong.
    assert metrics.auc == pytest.approx(9 / 12)
    assert metrics.confusion.tolist() == [[2, 1], [1, 3]]
    assert metrics.accuracy == pytest.approx(5 / 7)
    chance = np.where(LABELS == 1, SCORES, 1 - SCORES)
    assert metrics.log_loss == pytest.approx(-np.log(chance).mean())


def test_the_report_names_both_classes() -> None:
    lines = validation_metrics(LABELS, SCORES, COPIES, "x").report.split("\n")
    rows = {line.split()[0]: line.split()[1:] for line in lines if line.split()}
    assert rows["NORMAL"] == ["0.667", "0.667", "0.667", "3"]
    assert rows["PNEUMONIA"] == ["0.750", "0.750", "0.750", "4"]


def test_operating_points_say_what_they_were_chosen_on() -> None:
    points = validation_metrics(LABELS, SCORES, COPIES, "seven films").operating_points
    assert set(points) == {"screening", "balanced"}
    assert {point.data for point in points.values()} == {"seven films"}


def test_everything_called_pneumonia_is_no_crash() -> None:
    metrics = validation_metrics(LABELS, np.full(7, 0.9), np.full((2, 7), 0.9), "x")
    assert metrics.confusion.tolist() == [[0, 3], [0, 4]]
    assert metrics.auc == 0.5


def test_to_dict_is_plain_json() -> None:
    figures = validation_metrics(LABELS, SCORES, COPIES, "x").to_dict()
    assert json.loads(json.dumps(figures)) == figures
    assert figures["confusion_at_0.5"] == [[2, 1], [1, 3]]
    assert set(figures) == {"auc", "accuracy_at_0.5", "log_loss", "confusion_at_0.5", "copies"}


def test_copies_choose_the_points_and_films_as_they_are_do_not() -> None:
    metrics = validation_metrics(LABELS, SCORES, COPIES, "x")
    # Of 12 pairs 7 and 11 are in order.
    copies = metrics.to_dict()["copies"]
    assert copies == {"version": COPIES_VERSION, "auc": 18 / 24}
    screening = metrics.operating_points["screening"]
    assert screening.threshold < COPIES[:, LABELS == 1].min() + 1e-6
    other = validation_metrics(LABELS, 1 - SCORES, COPIES, "x").operating_points["screening"]
    assert other.threshold == screening.threshold
    assert other.sensitivity != screening.sensitivity
    assert screening.copies is not None
    assert (screening.copies.version, screening.copies.draws) == (COPIES_VERSION, 2)
    assert screening.copies.sensitivity.value == 1
