"""Out-of-fold figures, against plain counting."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.special import expit
from sklearn.metrics import roc_auc_score

from cxr_edge.statistics.operating_points import highest_with_sensitivity, measure
from cxr_training.crossval.table import table
from cxr_training.films.data import ImageSet, LabelledFile
from cxr_training.judge.out_of_fold import (
    OutOfFold,
    mean_figure,
    pooled_points,
    pooled_threshold,
    specificity_at_sensitivity,
    summarize,
)

FILMS = 400
SEEDS = 2


def images(n: int = FILMS) -> ImageSet:
    """Two films a patient; three of four are pneumonias."""
    labels = (np.arange(n) // 2 % 4 > 0).astype(np.float32)
    files = tuple(LabelledFile(Path(f"{i}.png"), int(labels[i]), str(i // 2)) for i in range(n))
    return ImageSet(files, np.zeros((n, 1, 1, 1), np.uint8), labels, "0" * 64)


@pytest.fixture(scope="module")
def scores() -> OutOfFold:
    rng = np.random.default_rng(0)
    shown = images()
    logits = rng.normal(3 * shown.labels - 1.5, 1, (SEEDS, FILMS))
    return OutOfFold(shown, np.arange(FILMS) // 2 % 3 + 1, logits, np.full((SEEDS, 3), -0.5))


@pytest.fixture(scope="module")
def summary(scores: OutOfFold) -> dict[str, Any]:
    return summarize(scores)


@pytest.mark.parametrize("least", [0.5, 0.9, 0.98, 1.0])
def test_specificity_at_sensitivity_is_that_of_the_threshold(
    scores: OutOfFold, least: float
) -> None:
    labels, probability = scores.images.labels, expit(scores.logits[0])
    threshold = highest_with_sensitivity(labels, probability, least)
    expected = measure(labels, probability, threshold)[1].value
    found = specificity_at_sensitivity(labels, scores.logits[0], least)(np.ones(FILMS, np.int64))
    assert found == pytest.approx(expected)


def test_counts_are_films_that_occur_so_often(scores: OutOfFold) -> None:
    """Bootstrap counts must give what the repeated films would give."""
    counts = np.random.default_rng(1).integers(0, 4, FILMS)
    repeated = np.repeat(np.arange(FILMS), counts)
    logits, labels = scores.logits[0].round(1), scores.images.labels  # with ties
    weighted = specificity_at_sensitivity(labels, logits, 0.9)(counts)
    plain = specificity_at_sensitivity(labels[repeated], logits[repeated], 0.9)
    assert weighted == pytest.approx(plain(np.ones(len(repeated), np.int64)))


def test_equal_scores_are_flagged_together() -> None:
    figure = specificity_at_sensitivity(np.array([0, 0, 0, 1]), np.array([0.0, 1, 1, 1]), 0.98)
    assert figure(np.ones(4, np.int64)) == pytest.approx(1 / 3)


@pytest.mark.parametrize("missing", [0, 1])
def test_a_class_without_films_has_no_specificity(missing: int) -> None:
    labels = np.array([0, 0, 1, 1])
    figure = specificity_at_sensitivity(labels, np.arange(4.0), 0.98)
    assert figure((labels != missing).astype(np.int64)) is None


def test_pooled_figures_are_means_over_seeds(scores: OutOfFold, summary: dict[str, Any]) -> None:
    labels = scores.images.labels
    areas = [roc_auc_score(labels, z) for z in scores.logits]
    assert summary["pooled"]["auc"]["per_seed"] == pytest.approx(areas)
    assert summary["pooled"]["auc"]["value"] == pytest.approx(np.mean(areas), abs=1e-6)
    right = [(z[labels == 0] < -0.5).mean() for z in scores.logits]
    assert summary["pooled"]["specificity_at_validation"]["value"] == pytest.approx(np.mean(right))


def test_folds_are_judged_apart(scores: OutOfFold, summary: dict[str, Any]) -> None:
    assert [each["fold"] for each in summary["folds"]] == [1, 2, 3]
    assert sum(each["NORMAL"] + each["PNEUMONIA"] for each in summary["folds"]) == FILMS
    for each in summary["folds"]:
        of = scores.fold_of == each["fold"]
        area = np.mean([roc_auc_score(scores.images.labels[of], z[of]) for z in scores.logits])
        assert each["auc"]["value"] == pytest.approx(area, abs=1e-6)
        assert each["auc"]["low"] < area < each["auc"]["high"]


def test_every_fold_has_its_own_threshold() -> None:
    """One film of each class in each fold; fold 2 is a step higher in all."""
    shown = images(16).subset([0, 2, 8, 10])
    fold_of, logits = np.array([1, 1, 2, 2]), np.array([[0.0, 2, 10, 12]])
    made = summarize(OutOfFold(shown, fold_of, logits, np.array([[1.0, 11.0]])))
    for figures in (*made["folds"], made["pooled"]):
        assert figures["sensitivity_at_validation"]["value"] == 1
        assert figures["specificity_at_validation"]["value"] == 1
    assert made["pooled"]["specificity_at_other_folds"]["value"] == 0.5
    assert made["pooled"]["auc"]["low"] is None, "two patients of a class have no interval"


def test_no_fold_is_judged_by_a_threshold_of_its_own(scores: OutOfFold) -> None:
    """Fold 3 two steps higher: its threshold, from folds 1 and 2, flags more of it than 98 %."""
    third = scores.fold_of == 3
    logits = scores.logits + np.where(third, 2, 0)
    made = summarize(OutOfFold(scores.images, scores.fold_of, logits, scores.own_thresholds))
    labels = scores.images.labels
    threshold = highest_with_sensitivity(
        np.tile(labels[~third], SEEDS), expit(logits[:, ~third].ravel()), 0.98
    )
    assert made["other_folds_threshold_logits"][2] == pytest.approx(
        np.log(threshold / (1 - threshold)), abs=1e-5
    )
    right = (expit(logits[:, third & (labels == 0)]) < threshold).mean()
    assert made["folds"][2]["specificity_at_other_folds"]["value"] == pytest.approx(right)
    assert made["folds"][2]["sensitivity_at_other_folds"]["value"] == 1
    flagged = logits >= np.array(made["other_folds_threshold_logits"])[scores.fold_of - 1]
    assert made["pooled"]["sensitivity_at_other_folds"]["value"] == pytest.approx(
        flagged[:, labels == 1].mean(), abs=1e-6
    )


def test_the_pooled_threshold_keeps_its_sensitivity(scores: OutOfFold) -> None:
    positives = scores.logits[:, scores.images.labels == 1]
    threshold = pooled_threshold(scores, np.ones(FILMS, np.bool_))
    assert (positives >= threshold).mean() >= 0.98
    assert (positives >= threshold + 0.2).mean() < 0.98


def test_operating_points_count_films_and_not_scores(scores: OutOfFold) -> None:
    points = pooled_points(scores.images.labels, scores.logits, "these")
    assert set(points) == {"screening", "balanced"}
    screening = points["screening"]
    assert (screening.sensitivity.n, screening.specificity.n) == (300, 100)
    assert screening.sensitivity.value >= 0.98
    assert screening.data == "these"
    logit = np.log(screening.threshold / (1 - screening.threshold))
    assert logit == pytest.approx(pooled_threshold(scores, np.ones(FILMS, np.bool_)))


def test_an_interval_draws_patients_and_not_films(scores: OutOfFold) -> None:
    """Each patient's films twice over: the same interval."""
    labels, patients = scores.images.labels, [f.patient for f in scores.images.files]
    once = mean_figure([lambda c: float(c[labels == 1].mean())], labels, patients)
    twice_labels = np.tile(labels, 2)
    twice = mean_figure(
        [lambda c: float(c[twice_labels == 1].mean())], twice_labels, [*patients, *patients]
    )
    assert once == twice


def test_an_interval_without_width_is_none(scores: OutOfFold) -> None:
    labels, patients = scores.images.labels, [f.patient for f in scores.images.files]
    made = mean_figure([lambda _: 1.0], labels, patients)
    assert made == {"value": 1.0, "low": None, "high": None, "per_seed": [1.0]}


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"logits": np.zeros((1, FILMS))}, "not 2 seeds of 400 films"),
        ({"fold_of": np.ones(3, np.int64)}, "not 2 seeds of 400 films"),
        ({"fold_of": np.full(FILMS, 4)}, "folds must be 1 to 3"),
        ({"fold_of": np.zeros(FILMS, np.int64)}, "folds must be 1 to 3"),
    ],
    ids=["seeds", "films", "high", "low"],
)
def test_scores_of_other_films_are_refused(
    scores: OutOfFold, changes: dict[str, Any], says: str
) -> None:
    with pytest.raises(ValueError, match=says):
        OutOfFold(**{**vars(scores), **changes})


def test_the_table_prints_the_figures(summary: dict[str, Any]) -> None:
    recipe = {"net": "cnn3_50", "name": "tuned"}
    text = table({**summary, "recipe": recipe, "scheme": "style", "seeds": [42, 43]})
    lines = text.splitlines()
    assert lines[0] == "cnn3_50, recipe tuned, style folds, seeds 42, 43"
    assert [line.split()[0] for line in lines[2:7]] == ["fold", "1", "2", "3", "all"]
    auc = summary["pooled"]["auc"]
    assert f"{auc['value']:.3f} [{auc['low']:.3f}, {auc['high']:.3f}]" in lines[6]
