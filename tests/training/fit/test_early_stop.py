"""Early stopping and half precision: keys of a recipe that keep a run affordable."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from cxr_training.fit import run
from cxr_training.fit.build import build, precision
from cxr_training.fit.callbacks import Checkpoint, waited_enough
from cxr_training.fit.training import TrainingJob, train
from cxr_training.recipe.recipe import Recipe
from tests.training.helpers import (
    Killed,
    epochs_in,
    killed,
    killed_after_an_epoch,
    saves_keras_variables,
    weights,
)

pytestmark = saves_keras_variables

# The tiny recipe's validation loss, as if training went on like this.
LOSSES = (0.6, 0.4, 0.5, 0.45, 0.3, 0.2)


@pytest.fixture
def patient(recipe: Recipe) -> Recipe:
    return replace(recipe, epochs=len(LOSSES), patience=2)


@pytest.fixture
def told_losses(monkeypatch: pytest.MonkeyPatch) -> None:
    """Validation losses that do not depend on this machine's arithmetic."""
    save = Checkpoint.on_epoch_end

    def tell(self: Any, epoch: int, logs: dict[str, float] | None = None) -> None:
        save(self, epoch, {**(logs or {}), "val_loss": LOSSES[epoch]})

    monkeypatch.setattr(Checkpoint, "on_epoch_end", tell)


@pytest.mark.parametrize(
    ("losses", "patience", "enough"),
    [
        ((), 2, False),
        ((0.6, 0.4), 2, False),
        ((0.6, 0.4, 0.5), 2, False),
        ((0.6, 0.4, 0.5, 0.45), 2, True),
        ((0.6, 0.4, 0.5, 0.3), 2, False),
        ((0.6, 0.4, 0.5, 0.45), 0, False),
    ],
)
def test_how_long_it_waits(losses: tuple[float, ...], patience: int, enough: bool) -> None:
    progress = run.Progress(len(losses), 0.0, tuple({"val_loss": loss} for loss in losses))
    assert waited_enough(progress, patience) == enough


def test_it_stops_and_keeps_the_best_epoch(
    tmp_path: Path,
    films: Path,
    patient: Recipe,
    told_losses: None,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    job = TrainingJob(patient, films, tmp_path / "run")
    with monkeypatch.context() as patch, pytest.raises(Killed):
        patch.setattr(run.RunFolder, "finish", killed)  # so that the checkpoints can be seen
        train(job)
    best = run.RunFolder(job.out).model_after(2)
    capsys.readouterr()
    train(job)  # goes on after the kill: nothing is left to train
    assert "kept: epoch 2 of 4, lowest validation loss" in capsys.readouterr().err
    assert epochs_in(job.out) == [1, 2, 3, 4]
    described = json.loads((job.out / "run.json").read_text())
    assert (described["epochs"], described["kept_epoch"]) == (4, 2)
    for ours, theirs in zip(weights(job.out), best.get_weights(), strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_a_kill_does_not_make_it_wait_anew(
    tmp_path: Path, films: Path, patient: Recipe, told_losses: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = TrainingJob(patient, films, tmp_path / "run")
    for _ in range(3):
        with killed_after_an_epoch(monkeypatch):
            train(job)
    train(job)
    assert epochs_in(job.out) == [1, 2, 3, 4]


def test_without_patience_the_last_epoch_is_kept(
    tmp_path: Path, films: Path, patient: Recipe, told_losses: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = TrainingJob(replace(patient, patience=0), films, tmp_path / "run")
    with monkeypatch.context() as patch, pytest.raises(Killed):
        patch.setattr(run.RunFolder, "finish", killed)
        train(job)
    last = run.RunFolder(job.out).model_after(len(LOSSES))
    train(job)
    described = json.loads((job.out / "run.json").read_text())
    assert described["epochs"] == len(LOSSES)
    assert "kept_epoch" not in described
    for ours, theirs in zip(weights(job.out), last.get_weights(), strict=True):
        np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize("name", ["mixed_bfloat16", "mixed_float16"])
def test_half_precision_is_for_activations_alone(recipe: Recipe, name: Any) -> None:
    half = replace(recipe, precision=name)
    with precision(half):
        model = build(half, 10)
    conv = model.get_layer("conv2")
    assert (conv.compute_dtype, conv.variable_dtype) == (name.removeprefix("mixed_"), "float32")
    for last in ("output_dense", "probability"):  # a logit of 8 bits would tie films
        assert model.get_layer(last).compute_dtype == "float32"
    scales = isinstance(model.optimizer, keras.optimizers.LossScaleOptimizer)
    assert scales == (name == "mixed_float16")
    assert keras.config.dtype_policy().name == "float32"


@pytest.mark.parametrize("name", ["mixed_bfloat16", "mixed_float16"])
def test_a_half_precise_run_is_resumed_and_leaves_a_float32_network(
    tmp_path: Path, films: Path, recipe: Recipe, name: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = TrainingJob(replace(recipe, epochs=2, precision=name), films, tmp_path / "run")
    with killed_after_an_epoch(monkeypatch):
        train(job)
    train(job)  # a warning that Keras drops the optimizer's state would be an error here
    assert epochs_in(job.out) == [1, 2]
    undisturbed = replace(job, out=tmp_path / "undisturbed")
    train(undisturbed)
    for ours, theirs in zip(weights(job.out), weights(undisturbed.out), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-5)
    kept = keras.models.load_model(job.out / "model.keras", compile=False)
    assert {layer.compute_dtype for layer in kept.layers} == {"float32"}
    assert run.read_run(job.out)["recipe"]["precision"] == name
