"""Thresholds that pooled out-of-fold scores give to a finished run."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.special import expit

from cxr_edge.errors import InputError, RecipeError
from cxr_edge.statistics.operating_points import choose
from cxr_training.fit.run import SUMMARY_FILE
from cxr_training.judge.out_of_fold import pooled_points
from cxr_training.judge.thresholds import out_of_fold_points
from cxr_training.support.writing import write_json, write_table

RECIPE = {"name": "x", "net": "cnn3_50", "seed": 1, "epochs": 3}
N = 4000


def scored(seed: int, temperature: float) -> tuple[np.ndarray, np.ndarray]:
    """Films and a network's logits of them, as sure of itself as its temperature says."""
    rng = np.random.default_rng(seed)
    true = rng.normal(1, 3, N)
    return (rng.random(N) < expit(true)).astype(int), temperature * true


def folds_and_run(folder: Path, temperature: float = 1.0, **changes: Any) -> tuple[Path, Path]:
    """OUT of folds whose logits are on one scale, and a RUN with its own temperature."""
    folds, run = folder / "folds", folder / "run"
    folds.mkdir()
    run.mkdir()
    labels, logits = scored(0, 1.0)
    points = pooled_points(labels, logits[np.newaxis], "pooled")
    described = {
        name: json.loads(json.dumps(point, default=vars)) for name, point in points.items()
    }
    summary = {"data_sha256": "a", "recipe": RECIPE, "operating_points": described, **changes}
    write_json(folds / SUMMARY_FILE, summary)
    write_json(run / "run.json", {"data": {"sha256": "a"}, "recipe": {**RECIPE, "seed": 9}})
    own_labels, own = scored(1, temperature)
    rows = [{"label": int(y), "logit": z} for y, z in zip(own_labels, own, strict=True)]
    write_table(run / "predictions.csv", rows)
    return folds, run


@pytest.mark.parametrize("temperature", [0.5, 1.0, 3.0])
def test_the_point_does_what_it_did_on_the_pooled_scores(
    tmp_path: Path, temperature: float
) -> None:
    """On new films, whatever the network's temperature."""
    points = out_of_fold_points(*folds_and_run(tmp_path, temperature))
    labels, logits = scored(2, temperature)
    for name, point in points.items():
        flagged = expit(logits) >= point.threshold
        assert flagged[labels == 1].mean() == pytest.approx(point.sensitivity.value, abs=0.02), name
        assert (~flagged)[labels == 0].mean() == pytest.approx(point.specificity.value, abs=0.03)


def test_the_record_says_where_the_point_is_from(tmp_path: Path) -> None:
    labels, logits = scored(0, 1.0)
    chosen = choose(labels, expit(logits), "pooled")
    points = out_of_fold_points(*folds_and_run(tmp_path, 2.0))
    for name, point in points.items():
        assert point.sensitivity == chosen[name].sensitivity
        assert point.chosen_by == chosen[name].chosen_by
        assert point.data.startswith("pooled; ")
        assert float(point.data.split()[1]) == pytest.approx(2, rel=0.1)


def test_extreme_thresholds_stay_inside(tmp_path: Path) -> None:
    folds, run = folds_and_run(tmp_path, 15.0)
    for point in out_of_fold_points(folds, run).values():
        assert 0 < point.threshold < 1


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"data_sha256": "b"}, "different data"),
        ({"preprocessing_version": 3}, "different preprocessing"),
        ({"recipe": {**RECIPE, "epochs": 4}}, "different recipes"),
        ({"teachers": ["0a1b"]}, "different teachers"),
        ({"operating_points": {}, "recipe": {}}, "missing 3 required"),
        ({"operating_points": {"screening": {}}}, "not of this version"),
    ],
    ids=["data", "preprocessing", "recipe", "teachers", "no recipe", "points"],
)
def test_folds_of_something_else_are_refused(
    tmp_path: Path, changes: dict[str, Any], says: str
) -> None:
    with pytest.raises(InputError, match=says):
        out_of_fold_points(*folds_and_run(tmp_path, **changes))


@pytest.mark.parametrize("folds_saw", [2, 3])
def test_a_run_that_was_judged_again_is_refused(tmp_path: Path, folds_saw: int) -> None:
    """It learnt through 2 and is scored through 3; folds learnt and were scored through one."""
    folds, run = folds_and_run(tmp_path, preprocessing_version=folds_saw)
    described = json.loads((run / "run.json").read_text())
    seen = {"preprocessing_version": 3, "trained_preprocessing_version": 2}
    write_json(run / "run.json", {**described, **seen})
    with pytest.raises(InputError, match="different preprocessing"):
        out_of_fold_points(folds, run)


def test_folds_and_a_run_that_learnt_from_the_same(tmp_path: Path) -> None:
    """In whatever order they were named."""
    folds, run = folds_and_run(tmp_path, teachers=["0a", "1b"])
    described = json.loads((run / "run.json").read_text())
    write_json(
        run / "run.json",
        {**described, "teachers": [{"recipe_sha256": "1b"}, {"recipe_sha256": "0a"}]},
    )
    assert out_of_fold_points(folds, run).keys() == {"screening", "balanced"}


@pytest.mark.parametrize("name", ["folds/summary.json", "run/run.json"])
def test_unfinished_ones_are_refused(tmp_path: Path, name: str) -> None:
    folds, run = folds_and_run(tmp_path)
    (tmp_path / name).unlink()
    with pytest.raises(InputError, match="cannot be read"):
        out_of_fold_points(folds, run)


def test_a_field_that_recipes_learnt_since_is_no_difference(tmp_path: Path) -> None:
    later = {**RECIPE, "augmentation": {"frame": 0.0}}
    assert out_of_fold_points(*folds_and_run(tmp_path, recipe=later))


def test_an_option_that_is_gone_is_no_difference_at_its_default(tmp_path: Path) -> None:
    older = {**RECIPE, "patience": 0, "augmentation": {"mixup": 0.0}}
    assert out_of_fold_points(*folds_and_run(tmp_path, recipe=older))


def test_folds_that_used_an_option_that_is_gone_are_refused(tmp_path: Path) -> None:
    folds, run = folds_and_run(tmp_path, recipe={**RECIPE, "patience": 5})
    with pytest.raises(RecipeError, match="patience is set, and was removed"):
        out_of_fold_points(folds, run)


def test_a_run_of_before_logits_were_kept_is_refused(tmp_path: Path) -> None:
    folds, run = folds_and_run(tmp_path)
    write_table(run / "predictions.csv", [{"label": 1, "probability": "0.5"}])
    with pytest.raises(InputError, match="not of this version: 'logit'"):
        out_of_fold_points(folds, run)
