"""A kill at any moment: the same command goes on, and nothing of another run is touched."""

from __future__ import annotations

import json
import shutil
import signal
import time
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, NoReturn

import keras
import numpy as np
import pytest

from cxr_edge.errors import InputError, StateBusyError
from cxr_edge.preprocess import PREPROCESSING_VERSION
from cxr_training.fit import callbacks, run, training
from cxr_training.fit.build import build
from cxr_training.fit.callbacks import drawn_seed
from cxr_training.fit.run_lock import locked
from cxr_training.fit.training import TrainingJob, train
from cxr_training.fit.training_batches import TrainingBatches
from cxr_training.nets import NETS, Net, NetOptions
from cxr_training.nets.blocks import normalize, output
from cxr_training.recipe.recipe import Recipe
from cxr_training.support.writing import write_json
from tests.training.helpers import (
    EPOCHS,
    RUN_CONTENTS,
    TINY,
    Killed,
    command_line,
    epochs_in,
    fresh_python,
    killed,
    killed_after_an_epoch,
    saves_keras_variables,
    table,
    weights,
)

pytestmark = saves_keras_variables

LONG_EPOCHS = 12
# Everything whose state a checkpoint has to carry.
LONG = (
    TINY.replace(f"epochs = {EPOCHS}", f"epochs = {LONG_EPOCHS}")
    + """
name = "adamw"
schedule = "cosine"
warmup_epochs = 1
"""
)


@pytest.fixture
def killed_run(tmp_path: Path, films: Path) -> tuple[Path, Path]:
    """RUN and recipe of a training killed with -9 after its first checkpoint."""
    long, out = tmp_path / "long.toml", tmp_path / "run"
    long.write_text(LONG, encoding="utf-8")
    state = out / "checkpoint" / "state.json"
    deadline = time.monotonic() + 120
    with fresh_python(
        "from cxr_edge.cli import main; main()",
        *("train", "cnn3_50", "--data", films, "--recipe", long, "--out", out),
    ) as child:
        while not state.exists() and child.poll() is None and time.monotonic() < deadline:
            time.sleep(0.02)
        child.kill()
        output, _ = child.communicate()
    assert child.returncode == -signal.SIGKILL, output
    assert state.exists(), output
    return out, long


@pytest.mark.slow
def test_a_killed_run_goes_on_with_the_same_command(
    killed_run: tuple[Path, Path], films: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, long = killed_run
    done = json.loads((out / "checkpoint" / "state.json").read_text())
    assert 1 <= done["epochs_done"] < LONG_EPOCHS
    (out / ".history.csv.0a1b2c3d").write_text("epo")  # killed a moment later
    arguments = ("cnn3_50", "--data", films, "--recipe", long, "--out", out)
    assert command_line(monkeypatch, "train", *arguments) == 0
    assert {path.name for path in out.iterdir()} == RUN_CONTENTS
    assert epochs_in(out) == list(range(1, LONG_EPOCHS + 1))
    described = json.loads((out / "run.json").read_text())
    assert described["epochs"] == LONG_EPOCHS
    assert described["seconds"] >= done["seconds"]
    before = [row["loss"] for row in done["history"]]
    assert [float(row["loss"]) for row in table(out / "history.csv")][: len(before)] == before
    # Stripes against blobs: a run that lost its weights on the way would not tell them apart.
    assert described["metrics"]["auc"] > 0.9


@pytest.mark.slow
def test_kills_after_the_last_epoch_lose_nothing(
    tmp_path: Path, films: Path, recipe: Recipe, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before its history row, while judging, before the finished network; then undisturbed."""
    monkeypatch.chdir(films)
    job = TrainingJob(replace(recipe, epochs=1), Path(), tmp_path / "run")
    for owner, step in (
        (callbacks, "write_table"),
        (training, "validation_metrics"),
        (run.RunFolder, "finish"),
    ):
        with monkeypatch.context() as patch, pytest.raises(Killed):
            patch.setattr(owner, step, killed)
            train(job)
        assert not (job.out / "run.json").exists()
    train(job)
    assert {path.name for path in job.out.iterdir()} == RUN_CONTENTS
    assert epochs_in(job.out) == [1]
    described = json.loads((job.out / "run.json").read_text())
    assert described["data"]["name"] == f"{films.parent.name}/films"
    assert "of films, seed" in described["operating_points"]["balanced"]["data"]


def test_a_run_of_another_recipe_or_other_data_is_refused(
    tmp_path: Path, films: Path, labelled: Path, recipe: Recipe, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = TrainingJob(recipe, films, tmp_path / "run")
    with monkeypatch.context() as patch, pytest.raises(Killed):
        patch.setattr(training, "build", killed)
        train(job)
    write_json(job.out / "checkpoint" / "state.json", asdict(run.TrainingProgress(epochs_done=1)))
    more = Path(shutil.copytree(films, tmp_path / "more"))
    shutil.copy(more / "NORMAL" / "IM-0000-0000.png", more / "NORMAL" / "IM-0999-0001.png")
    for other in (replace(job, recipe=replace(recipe, seed=2)), replace(job, data=more)):
        with pytest.raises(InputError, match="unfinished run of another recipe or other data"):
            train(other)


def test_a_foreign_folder_is_refused(tmp_path: Path, films: Path, recipe: Recipe) -> None:
    (tmp_path / "thesis.tex").write_text("mine")
    with pytest.raises(InputError, match="is not empty and no run"):
        train(TrainingJob(recipe, films, tmp_path))
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


@pytest.mark.slow
def test_a_run_that_was_killed_is_the_run_that_was_not(
    tmp_path: Path, films: Path, recipe: Recipe, finished: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Weights, optimizer, order, augmentation and dropout: all go on as they would have."""
    assert recipe.model.dropout_scale > 0
    job = TrainingJob(recipe, films, tmp_path / "run")
    for _ in range(EPOCHS - 1):
        with killed_after_an_epoch(monkeypatch):
            train(job)
        keras.utils.clear_session()
    train(job)
    for ours, theirs in zip(*(weights(folder) for folder in (job.out, finished)), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-6)


def any_size(options: NetOptions) -> keras.Model:
    """A network that pools over the whole film, for one of 40 pixels or of fewer."""
    image = keras.Input((None, None, options.channels), name="image")
    x = keras.layers.Conv2D(4, 3, 2)(normalize(image, options))
    x = keras.layers.BatchNormalization(momentum=0.5)(x)
    return keras.Model(image, output(keras.layers.GlobalAveragePooling2D()(x)), name="pooled")


@pytest.mark.slow
def test_a_run_with_small_films_first_goes_on_after_a_kill_at_any_epoch(
    tmp_path: Path, films: Path, recipe: Recipe, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also after the one behind which the films grow."""
    monkeypatch.setitem(NETS, "pooled", Net("pooled", 40, any_size, False, any_size))
    smaller = replace(
        recipe,
        net="pooled",
        first_epochs=1,
        first_size=32,
        optimizer=replace(recipe.optimizer, weight_average=0.9),
    )
    whole = TrainingJob(smaller, films, tmp_path / "whole")
    train(whole)
    job = replace(whole, out=tmp_path / "killed")
    for _ in range(EPOCHS - 1):
        with killed_after_an_epoch(monkeypatch):
            train(job)
    train(job)
    assert epochs_in(job.out) == list(range(1, EPOCHS + 1))
    for ours, theirs in zip(*(weights(folder) for folder in (job.out, whole.out)), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-6)


def test_every_backend_can_hold_the_seeds_of_dropout() -> None:
    """Generators count in int32 with PyTorch, uint32 with JAX, int64 with TensorFlow."""
    drawn = [drawn_seed(42, epoch, layer) for epoch in range(100) for layer in range(5)]
    assert len(set(drawn)) == len(drawn)
    np.testing.assert_array_equal(np.array(drawn, np.int32), drawn)


def test_two_do_not_train_in_one_folder(tmp_path: Path, films: Path, recipe: Recipe) -> None:
    job = TrainingJob(recipe, films, tmp_path)
    with locked(tmp_path, "x"), pytest.raises(StateBusyError, match="another process works on"):
        train(job)


@pytest.mark.slow
@pytest.mark.parametrize("done", [0, 2])
@pytest.mark.parametrize("weighted", [True, False])
def test_fit_goes_on_after_what_is_done(
    tmp_path: Path,
    films: Path,
    recipe: Recipe,
    monkeypatch: pytest.MonkeyPatch,
    done: int,
    weighted: bool,
) -> None:
    """What Keras is asked to do, first and after two epochs."""
    asked: dict[str, Any] = {}

    def record(self: keras.Model, batches: Any, **options: Any) -> NoReturn:
        asked.update(options, batches=batches)
        raise Killed

    job = TrainingJob(replace(recipe, class_weights=weighted), films, tmp_path / "run")
    split = training.load(job).split
    if done:
        run.RunFolder(job.out).claim(
            {
                "recipe_sha256": job.recipe.sha256(),
                "data_sha256": split.train.sha256,
                "preprocessing_version": PREPROCESSING_VERSION,
            }
        )
        model = build(job.recipe, 1)
        model.optimizer.build(model.trainable_variables)
        run.RunFolder(job.out).save_epoch(
            model, run.TrainingProgress(done, 1.0, ({"epoch": 1.0},) * done)
        )
    monkeypatch.setattr(keras.Model, "fit", record)
    with pytest.raises(Killed):
        train(job)
    assert (asked["epochs"], asked["initial_epoch"], asked["shuffle"]) == (EPOCHS, done, False)
    expected = TrainingBatches(split.train, job.recipe, done)[0]
    for given, wanted in zip(asked["batches"][0], expected, strict=True):
        np.testing.assert_array_equal(given, wanted)
    pixels, labels = asked["validation_data"]
    np.testing.assert_array_equal(pixels[..., :1], split.validation.pixels)
    np.testing.assert_array_equal(labels[:, 0], split.validation.labels)
    assert "class_weight" not in asked
