"""Batch statistics of averaged weights."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from cxr_training.films.data import find_labelled, load_images, split_by_patient
from cxr_training.fit.predictions import logits_of
from cxr_training.fit.training import LoadedData, TrainingJob, train_on
from cxr_training.fit.weight_average import refresh_statistics
from cxr_training.nets import NETS, NetOptions
from cxr_training.recipe.recipe import Recipe
from tests.training.helpers import saves_keras_variables


def test_statistics_are_those_of_the_weights_as_they_are() -> None:
    model = NETS["cnn4_50"].build(NetOptions(batchnorm_momentum=0.01))  # forgets all but a batch
    images = np.random.default_rng(0).uniform(0, 255, (8, 50, 50, 3)).astype(np.float32)
    batches: Any = [(images[:4], None), (images[4:], None)]
    before = [weight.numpy() for weight in model.trainable_weights]
    refresh_statistics(model, batches)
    first = keras.Model(model.input, model.get_layer("conv1").output)
    outputs = np.asarray(first(images[4:]))
    _, _, mean, variance = model.get_layer("conv1_batchnorm").get_weights()
    np.testing.assert_allclose(mean, outputs.mean(axis=(0, 1, 2)), atol=0.02 * outputs.std())
    np.testing.assert_allclose(variance, outputs.var(axis=(0, 1, 2)), rtol=0.1)
    for old, new in zip(before, model.trainable_weights, strict=True):
        np.testing.assert_array_equal(old, new.numpy())


@saves_keras_variables
def test_a_search_judges_the_network_that_a_training_keeps(
    labelled: Path, recipe: Recipe, tmp_path: Path
) -> None:
    """Without dropout, whose chance only a training that can be resumed takes care of."""
    pytest.importorskip("optuna", reason="optuna is not installed")
    from cxr_training.search.trial import train_in_memory

    averaged = replace(
        recipe,
        epochs=1,
        model=replace(recipe.model, dropout_scale=0.0),
        optimizer=replace(recipe.optimizer, weight_average=0.9),
    )
    images, _ = load_images(find_labelled(labelled), 50)
    split = split_by_patient(images, 3, averaged.patients_seed)
    judged = train_in_memory(averaged, split)
    kept = train_on(LoadedData(split, ()), TrainingJob(averaged, labelled, tmp_path / "run"))
    model = keras.models.load_model(kept.path / "model.keras", compile=False)
    np.testing.assert_allclose(judged, logits_of(model, split.validation.pixels), atol=1e-3)
