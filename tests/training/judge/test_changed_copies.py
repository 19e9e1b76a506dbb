"""Runs compared on changed copies: figures against scikit-learn, pairs, and what is refused."""

from __future__ import annotations

import json
import re
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from scipy.special import logit
from sklearn.metrics import roc_auc_score

from cxr_edge.errors import InputError
from cxr_training.films import copies
from cxr_training.films.data import find_labelled, load_images, split_by_patient
from cxr_training.fit import training
from cxr_training.fit.predictions import logits_of
from cxr_training.fit.training import TrainingJob
from cxr_training.judge import changed_copies
from cxr_training.recipe.recipe import Recipe
from tests.training.helpers import command_line, saves_keras_variables

# Runs of several networks are judged on changed copies of their films.
pytestmark = [saves_keras_variables, pytest.mark.slow]


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> int:
    """Copies of each film: enough to tell a mean from one of them."""
    monkeypatch.setattr(copies, "DRAWS", 3)
    return 3


def cells(header: str, row: str) -> dict[str, str]:
    names, values = (line.strip("| ").split(" | ") for line in (header, row))
    return dict(zip(names, values, strict=True))


def numbers(cell: str) -> list[float]:
    return [float(number) for number in re.findall(r"[-+]?[\d.]+", cell)]


def unsure(model: Any, pixels: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Logits with a grain of noise that hangs on the pixels, so that classes overlap."""
    grain = np.random.default_rng(int(pixels.sum() % 1000)).normal(0, 4, len(pixels))
    logits: np.ndarray[Any, Any] = logits_of(model, pixels) + grain
    return logits


def test_a_row_is_what_scikit_learn_says(
    films: Path, finished: Path, recipe: Recipe, few: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(changed_copies, "logits_of", unsure)
    header, _, row = changed_copies.rows(films, [finished])
    found = cells(header, row)
    images, _ = load_images(find_labelled(films), 50)
    split = split_by_patient(images, recipe.validation_tenths, recipe.seed)
    model = keras.models.load_model(finished / "model.keras", compile=False)
    labels = split.validation.labels
    logits = np.stack(
        [unsure(model, copies.changed_copies(split.validation.pixels, n)) for n in range(few)]
    )
    areas = [roc_auc_score(labels, scores) for scores in logits]
    assert np.ptp(areas) > 0
    value, low, high = numbers(found["AUC of copies"])
    assert value == pytest.approx(np.mean(areas), abs=1e-4)
    assert low < value < high
    plain = roc_auc_score(labels, unsure(model, split.validation.pixels))
    assert numbers(found["AUC"]) == [pytest.approx(plain, abs=1e-4)]
    threshold = logit(
        json.loads((finished / "run.json").read_text())["operating_points"]["screening"][
            "threshold"
        ]
    )
    flagged = logits >= threshold
    shares = [flagged[:, labels == 1].mean(), 1 - flagged[:, labels == 0].mean()]
    assert numbers(found["sensitivity, specificity of copies at `screening`"]) == pytest.approx(
        shares, abs=1e-3
    )
    learnt = copies.changed_copies(split.train.pixels, 0)
    assert numbers(found["AUC of copies of training films"]) == [
        pytest.approx(roc_auc_score(split.train.labels, unsure(model, learnt)), abs=1e-3)
    ]
    assert found["difference to the first"] == ""


def test_a_run_is_held_against_the_first_film_by_film(
    films: Path, finished: Path, tmp_path: Path, few: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same network twice: areas have a width, their difference has none."""
    monkeypatch.setattr(changed_copies, "logits_of", unsure)
    again = Path(shutil.copytree(finished, tmp_path / "again"))
    header, _, first, second = changed_copies.rows(films, [finished, again])
    _, low, high = numbers(cells(header, second)["AUC of copies"])
    assert low < high
    assert cells(header, first)["AUC of copies"] == cells(header, second)["AUC of copies"]
    assert numbers(cells(header, second)["difference to the first"]) == [0, 0, 0]


def test_runs_with_other_validation_films_are_not_compared(
    films: Path, labelled: Path, finished: Path, recipe: Recipe, tmp_path: Path, few: int
) -> None:
    job = TrainingJob(replace(recipe, epochs=1, seed=2), films, tmp_path / "other")
    training.train(job)
    with pytest.raises(InputError, match="other was validated on other films than"):
        list(changed_copies.rows(films, [finished, job.out]))
    fewer = Path(shutil.copytree(labelled, tmp_path / "fewer"))
    next((fewer / "NORMAL").iterdir()).unlink()
    with pytest.raises(InputError, match="fewer holds other films than"):
        list(changed_copies.rows(fewer, [finished]))


def test_a_run_of_another_preprocessing_is_refused(
    films: Path, finished: Path, tmp_path: Path, few: int
) -> None:
    """Its threshold is about other pixels."""
    old = Path(shutil.copytree(finished, tmp_path / "old"))
    described = json.loads((old / "run.json").read_text())
    (old / "run.json").write_text(json.dumps({**described, "preprocessing_version": 1}))
    with pytest.raises(InputError, match="another preprocessing"):
        list(changed_copies.rows(films, [finished, old]))


def test_the_command_prints_the_table(
    films: Path,
    finished: Path,
    few: int,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert command_line(monkeypatch, "runs", "compare", films, finished) == 0
    assert [line[:2] for line in capsys.readouterr().out.splitlines()] == ["| ", "|-", "| "]
