"""What a whole training on sixty synthetic films leaves, and how it is compiled."""

from __future__ import annotations

import json
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from scipy.special import expit
from sklearn.metrics import accuracy_score, roc_auc_score

from cxr_edge import __version__
from cxr_edge.features import FEATURES
from cxr_edge.statistics.operating_points import CopyScores, choose_on_copies
from cxr_training.films.copies import COPIES_VERSION, DRAWS
from cxr_training.films.data import find_labelled, load_images, split_by_patient
from cxr_training.fit import run, training
from cxr_training.fit.build import build
from cxr_training.recipe.recipe import Recipe, load_recipe
from cxr_training.recipe.sections import Optimizer
from tests.training.helpers import (
    EPOCHS,
    FILMS_PER_CLASS,
    RUN_CONTENTS,
    epochs_in,
    fresh_python,
    saves_keras_variables,
    table,
)

pytestmark = saves_keras_variables


@pytest.fixture(scope="module")
def run_json(finished: Path) -> dict[str, Any]:
    described: dict[str, Any] = json.loads((finished / "run.json").read_text())
    return described


def predictions(folder: Path) -> tuple[list[str], np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """Names, labels and probabilities of predictions.csv."""
    rows = table(folder / "predictions.csv")
    labels = np.array([int(row["label"]) for row in rows])
    return [row["name"] for row in rows], labels, np.array([float(r["probability"]) for r in rows])


def test_a_run_holds_what_it_promises(finished: Path) -> None:
    assert {path.name for path in finished.iterdir()} == RUN_CONTENTS


def test_history_has_every_epoch(finished: Path) -> None:
    rows = table(finished / "history.csv")
    assert epochs_in(finished) == list(range(1, EPOCHS + 1))
    assert set(rows[0]) == {
        "epoch",
        *(f"{side}{name}" for side in ("", "val_") for name in ("loss", "binary_accuracy", "auc")),
    }
    assert all(np.isfinite([float(value) for value in row.values()]).all() for row in rows)


def test_run_json_holds_the_recipe_and_its_hash(run_json: dict[str, Any], recipe: Recipe) -> None:
    assert run_json["schema_version"] == 1
    assert run_json["net"] == "cnn3_50"
    assert run_json["recipe"] == recipe.to_dict()
    assert run_json["recipe_sha256"] == recipe.sha256()
    assert run_json["seed"] == 1
    assert run_json["epochs"] == EPOCHS
    assert run_json["seconds"] > 0
    time.strptime(run_json["created_utc"], "%Y-%m-%dT%H:%M:%SZ")


def test_run_json_holds_the_data(run_json: dict[str, Any], films: Path) -> None:
    images, _ = load_images(find_labelled(films), 50)
    split = split_by_patient(images, 3, 1)
    found = run_json["data"]
    assert found["name"] == f"{films.parent.name}/films"
    assert found["sha256"] == images.sha256
    assert (found["train"], found["validation"]) == (
        split.train.counts(),
        split.validation.counts(),
    )
    for name in ("NORMAL", "PNEUMONIA"):
        assert found["train"][name] + found["validation"][name] == FILMS_PER_CLASS
    assert [item["name"] for item in found["skipped"]] == ["NORMAL/broken.png"]
    assert found["skipped"][0]["reason"].startswith("truncated")


def test_run_json_holds_the_versions(run_json: dict[str, Any]) -> None:
    software = run_json["software"]
    assert software["cxr-edge"] == __version__
    assert software["keras"] == keras.__version__
    assert software["backend"].startswith(keras.backend.backend() + " ")
    assert software["python"] == sys.version.split()[0]
    assert software["numpy"] == np.__version__
    assert set(software) == {
        *("cxr-edge", "python", "keras", "backend", "numpy", "pillow", "scipy", "scikit-learn")
    }


def test_run_json_holds_the_metrics_of_the_predictions(
    finished: Path, run_json: dict[str, Any]
) -> None:
    _, labels, probability = predictions(finished)
    metrics = run_json["metrics"]
    assert metrics["auc"] == pytest.approx(roc_auc_score(labels, probability), abs=1e-3)
    areas = [roc_auc_score(labels, draw) for draw in of_copies(finished)]
    assert metrics["copies"] == {
        "version": COPIES_VERSION,
        "auc": pytest.approx(np.mean(areas), abs=1e-3),
    }
    accuracy = accuracy_score(labels, probability > 0.5)
    assert metrics["accuracy_at_0.5"] == pytest.approx(accuracy, abs=1e-6)
    assert np.sum(metrics["confusion_at_0.5"]) == len(labels)


def of_copies(folder: Path) -> np.ndarray[Any, Any]:
    """Probabilities of the changed copies in predictions.csv, [draws, N]."""
    rows = table(folder / "predictions.csv")
    columns = [f"copy_{draw}_logit" for draw in range(1, DRAWS + 1)]
    return np.array([[expit(float(row[name])) for row in rows] for name in columns])


def test_run_json_holds_both_operating_points(finished: Path, run_json: dict[str, Any]) -> None:
    _, labels, probability = predictions(finished)
    points = run_json["operating_points"]
    assert set(points) == {"screening", "balanced"}
    scores = CopyScores(COPIES_VERSION, of_copies(finished))
    for name, expected in choose_on_copies(labels, probability, scores, "").items():
        found = points[name]
        assert found["threshold"] == pytest.approx(expected.threshold, abs=2e-6)
        assert found["chosen_by"] == expected.chosen_by
        assert found["copies"]["draws"] == DRAWS
        assert found["sensitivity"]["value"] == expected.sensitivity.value
        assert found["specificity"]["n"] == expected.specificity.n
        assert found["data"] == "patient-grouped validation, 30 % of films, seed 1"


@pytest.mark.slow
def test_films_whose_names_tell_no_patient_are_told(
    labelled: Path, tmp_path: Path, recipe: Recipe, capsys: pytest.CaptureFixture[str]
) -> None:
    """`scan-7.png` may be of whom `scan-8.png` is: a split cannot know, so the record says so."""
    renamed = tmp_path / "films"
    for path in sorted(labelled.glob("*/*")):
        (renamed / path.parent.name).mkdir(parents=True, exist_ok=True)
        strange = path.parent.name == "NORMAL"
        name = f"scan-{path.stem}{path.suffix}" if strange else path.name
        (renamed / path.parent.name / name).symlink_to(path)
    out = training.train(
        training.TrainingJob(replace(recipe, epochs=1), renamed, tmp_path / "run")
    ).path
    assert (
        f"is known of {FILMS_PER_CLASS} of {2 * FILMS_PER_CLASS} films" in capsys.readouterr().err
    )
    described = json.loads((out / "run.json").read_text())
    validation = described["data"]["validation"]
    films = validation["NORMAL"] + validation["PNEUMONIA"]
    said = f"validation, patients of {validation['NORMAL']} of {films} films unknown, 30 % of films"
    assert described["operating_points"]["screening"]["data"].startswith(said)


def test_predictions_are_of_the_validation_films(finished: Path, run_json: dict[str, Any]) -> None:
    names, labels, probability = predictions(finished)
    counts = run_json["data"]["validation"]
    assert len(names) == len(set(names)) == counts["NORMAL"] + counts["PNEUMONIA"]
    assert [name.split("/")[0] for name in names] == [("NORMAL", "PNEUMONIA")[i] for i in labels]
    assert probability.min() >= 0
    assert probability.max() <= 1
    assert len(set(probability)) > len(names) / 2


def test_the_model_carries_no_optimizer(finished: Path) -> None:
    assert (finished / "model.keras").stat().st_size < 1.3 * 4 * 131_681


LOAD_ALONE = """
import sys
import keras, numpy as np
model = keras.models.load_model(sys.argv[1])
assert not [name for name in sys.modules if name.startswith("cxr_")], "imported ours"
assert not model.compiled, "carries an optimizer"
np.save(sys.argv[3], model.predict(np.load(sys.argv[2]), verbose=0))
"""


@pytest.mark.slow
def test_the_model_loads_without_this_project(finished: Path, films: Path, tmp_path: Path) -> None:
    """In a fresh process: no custom objects, and the same probabilities."""
    names, _, expected = predictions(finished)
    images, _ = load_images(find_labelled(films), 50)
    row_of = {file.name: row for row, file in enumerate(images.files)}
    pixels = images.pixels[[row_of[name] for name in names]].astype(np.float32)
    np.save(tmp_path / "pixels.npy", np.repeat(pixels, 3, axis=-1))
    child = fresh_python(
        LOAD_ALONE, finished / "model.keras", tmp_path / "pixels.npy", tmp_path / "p.npy"
    )
    output, _ = child.communicate(timeout=120)
    assert child.returncode == 0, output
    np.testing.assert_allclose(np.load(tmp_path / "p.npy")[:, 0], expected, atol=2e-6)


def test_cosine_rate_warms_up_and_ends_at_zero() -> None:
    options = Optimizer("adamw", 2e-3, weight_decay=1e-3, schedule="cosine", warmup_epochs=1)
    recipe = Recipe("x", "cnn3_50", epochs=11, optimizer=options)
    model = build(recipe, 10)
    assert type(model.optimizer) is keras.optimizers.AdamW
    assert model.optimizer.weight_decay == 1e-3
    rate = model.optimizer._learning_rate
    steps = (0, 5, 10, 60, 110, 500)
    expected = (0, 1e-3, 2e-3, 1e-3, 0, 0)
    assert [float(rate(step)) for step in steps] == pytest.approx(expected, abs=1e-9)


def test_cosine_without_warmup_starts_at_the_top() -> None:
    recipe = Recipe("x", "cnn3_50", epochs=2, optimizer=Optimizer(schedule="cosine"))
    rate = build(recipe, 10).optimizer._learning_rate
    assert float(rate(0)) == pytest.approx(1e-3)
    assert float(rate(20)) == pytest.approx(0, abs=1e-9)


@pytest.mark.slow
def test_a_finished_run_keeps_the_average_of_its_weights(
    tmp_path: Path, films: Path, recipe: Recipe
) -> None:
    """The average itself, not the last step's weights; they are in the checkpoint."""
    averaged = replace(recipe, epochs=1, optimizer=replace(recipe.optimizer, weight_average=0.9))
    job = training.TrainingJob(averaged, films, tmp_path / "run")
    folder = run.RunFolder(job.out)
    folder.claim({})
    model = training._fit(job.recipe, training.load(job), folder)
    again = training._fit(job.recipe, training.load(job), folder)  # a kill before it was finished
    last = folder.model_after(folder.progress().epochs_done)
    average = [a.numpy() for a in last.optimizer._model_variables_moving_average]
    for kept, resumed, mean, raw in zip(
        *(model.trainable_weights, again.trainable_weights, average, last.trainable_weights),
        strict=True,
    ):
        np.testing.assert_array_equal(kept.numpy(), mean, err_msg=kept.path)
        np.testing.assert_array_equal(resumed.numpy(), mean, err_msg=kept.path)
        assert (kept.numpy() != raw.numpy()).any(), kept.path
    for kept, resumed, raw in zip(
        *(it.non_trainable_weights for it in (model, again, last)), strict=True
    ):
        np.testing.assert_array_equal(kept.numpy(), resumed.numpy(), err_msg=kept.path)
        assert (kept.numpy() != raw.numpy()).any(), kept.path  # measured anew for the average


def test_runs_of_two_seeds_may_share_a_split(films: Path, recipe: Recipe, tmp_path: Path) -> None:
    other = replace(recipe, seed=2)
    splits = [
        training.load(training.TrainingJob(it, films, tmp_path)).split.validation.files
        for it in (recipe, other, replace(other, split_seed=recipe.seed))
    ]
    assert splits[0] == splits[2] != splits[1]


def test_the_frozen_resnet_trains_65_parameters() -> None:
    model = build(load_recipe("resnet50v2_50", "report").with_weights("none"), 10)
    trainable = sum(int(np.prod(weight.shape)) for weight in model.trainable_weights)
    assert trainable == 65


def test_run_json_holds_how_the_validation_films_look(
    finished: Path, run_json: dict[str, Any]
) -> None:
    found = run_json["features"]
    rows = table(finished / "predictions.csv")
    assert found["films"] == len(rows)
    assert set(found["quantiles"]) == set(FEATURES) - {"scope"}
    logits = sorted(float(row["logit"]) for row in rows)
    assert found["quantiles"]["logit"][0] == pytest.approx(logits[0], rel=1e-4)
    assert found["quantiles"]["logit"][-1] == pytest.approx(logits[-1], rel=1e-4)
