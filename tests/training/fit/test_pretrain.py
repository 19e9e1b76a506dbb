"""Epochs without labels: what they compare, what they leave, and that a kill costs an epoch."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from keras import layers
from numpy.typing import NDArray

from cxr_edge.errors import InputError
from cxr_training.films.data import Split
from cxr_training.fit import run, training
from cxr_training.fit.build import build
from cxr_training.fit.pretrain import ContrastiveLoss, PairBatches, begin, contrastive
from cxr_training.fit.training import TrainingJob, train
from cxr_training.recipe.recipe import Recipe, load_recipe
from cxr_training.recipe.sections import Augmentation, Pretraining
from cxr_training.search.trial import train_in_memory
from tests.training.helpers import (
    RUN_CONTENTS,
    killed_after_an_epoch,
    saves_keras_variables,
    table,
    weights,
)

pytestmark = saves_keras_variables

PRETRAINING = Pretraining(epochs=2, batch_size=16)


@pytest.fixture(scope="module")
def pretrained(recipe: Recipe) -> Recipe:
    return replace(recipe, epochs=1, pretraining=PRETRAINING)


@pytest.fixture(scope="module")
def split(films: Path, recipe: Recipe) -> Split:
    return training.load(TrainingJob(recipe, films, Path("unused"))).split


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory, films: Path, pretrained: Recipe) -> Path:
    out = tmp_path_factory.mktemp("pretrained") / "run"
    train(TrainingJob(pretrained, films, out))
    return out


def directions(*angles: float) -> NDArray[np.float32]:
    return np.stack([np.cos(angles), np.sin(angles)], axis=-1).astype(np.float32)


def test_the_loss_is_that_of_finding_the_other_copy() -> None:
    """Against SimCLR's equation 1, written out for each copy."""
    rng = np.random.default_rng(3)
    said = rng.normal(size=(6, 5)).astype(np.float32)
    said /= np.linalg.norm(said, axis=1, keepdims=True)
    film = np.array([4, 7, 9, 4, 7, 9])
    found = keras.ops.convert_to_numpy(ContrastiveLoss(0.5).call(film[:, np.newaxis], said))
    alike = np.exp(said @ said.T / 0.5)
    for i in range(6):
        j = (i + 3) % 6
        expected = -np.log(alike[i, j] / (alike[i].sum() - alike[i, i]))
        assert found[i] == pytest.approx(expected, abs=1e-5)


def test_copies_that_lie_together_cost_less() -> None:
    film = np.array([[0], [1], [0], [1]])
    together, apart = directions(0, 3.1, 0.1, 3.2), directions(0, 0.1, 3.1, 3.2)
    loss = ContrastiveLoss(0.2)
    assert float(loss(film, together)) < 1e-3 < 9 < float(loss(film, apart))


def test_a_film_alone_in_its_batch_costs_nothing() -> None:
    assert float(ContrastiveLoss(0.2)(np.zeros((2, 1)), directions(0, 2))) == pytest.approx(0)


def test_every_film_is_shown_twice_and_otherwise_each_time(
    split: Split, pretrained: Recipe
) -> None:
    batches = PairBatches(split.train, pretrained, 0)
    shown = [batches[index] for index in range(len(batches))]
    films = Counter(int(film) for _, of in shown for film in of[:, 0])
    assert films == dict.fromkeys(range(len(split.train.files)), 2)
    planes, of = shown[0]
    assert (planes.shape, planes.dtype) == ((32, 50, 50, 3), np.float32)
    np.testing.assert_array_equal(of[:16], of[16:])
    assert all((one != other).any() for one, other in zip(planes[:16], planes[16:], strict=True))


def test_a_pair_is_of_the_film_that_it_is_said_to_be(split: Split, pretrained: Recipe) -> None:
    noisy = replace(pretrained, augmentation=Augmentation(noise=0.02))
    planes, of = PairBatches(split.train, noisy, 0)[1]
    originals = split.train.pixels[of[:, 0], ..., 0].astype(np.float32)
    assert 0 < np.abs(planes[..., 0] - originals).mean() < 5


def test_batches_depend_on_seed_epoch_and_number_alone(split: Split, pretrained: Recipe) -> None:
    first = PairBatches(split.train, pretrained, 0)
    first[1]
    first.on_epoch_end()
    later = PairBatches(split.train, pretrained, 1)
    np.testing.assert_array_equal(first[2][0], later[2][0])
    np.testing.assert_array_equal(first[2][1], later[2][1])
    assert (first[2][1] != PairBatches(split.train, pretrained, 0)[2][1]).any()


@pytest.mark.parametrize("net", ["cnn3_50", "cnn4_50", "resnet18_96"])
def test_directions_have_length_one(net: str) -> None:
    recipe = replace(load_recipe(net, "tuned"), pretraining=PRETRAINING)
    model = contrastive(recipe, 10)
    size = model.input_shape[1]
    films = np.random.default_rng(1).uniform(0, 255, (3, size, size, 3)).astype(np.float32)
    said = keras.ops.convert_to_numpy(model(films))
    assert said.shape == (3, 64)
    np.testing.assert_allclose(np.linalg.norm(said, axis=1), 1, atol=1e-5)


def test_the_schedule_is_that_of_its_own_epochs_and_rate() -> None:
    recipe = replace(load_recipe("cnn3_50", "tuned"), pretraining=PRETRAINING)
    rate = contrastive(recipe, 10).optimizer._learning_rate
    assert float(rate(10)) == pytest.approx(PRETRAINING.learning_rate)  # after one warm-up epoch
    assert float(rate(20)) == pytest.approx(0, abs=1e-9)


def test_the_network_begins_with_what_was_learnt_and_its_own_head(
    split: Split, pretrained: Recipe, tmp_path: Path
) -> None:
    folder = run.RunFolder(tmp_path / "pretraining")
    keras.utils.set_random_seed(1)
    model = begin(pretrained, split.train, 10, folder)
    keras.utils.set_random_seed(1)
    fresh = build(pretrained, 10)
    learnt = folder.model_after(PRETRAINING.epochs)
    for name in ("conv1", "conv1_batchnorm", "conv2", "conv3", "conv3_batchnorm"):
        ours, new, theirs = (net.get_layer(name).get_weights() for net in (model, fresh, learnt))
        assert all((one != other).any() for one, other in zip(ours, new, strict=True)), name
        for one, other in zip(ours, theirs, strict=True):
            np.testing.assert_array_equal(one, other)
    for name in ("head_batchnorm", "head_dense", "output_dense"):
        ours, new = (net.get_layer(name).get_weights() for net in (model, fresh))
        for one, other in zip(ours, new, strict=True):
            np.testing.assert_array_equal(one, other)


def test_labels_do_not_matter(split: Split, pretrained: Recipe) -> None:
    """The same convolutions come out when every label is the other one."""
    other = replace(split.train, labels=1 - split.train.labels)
    found = []
    for images in (split.train, other):
        keras.utils.set_random_seed(1)
        model = begin(pretrained, images, 10, None)
        found.append(model.get_layer("conv3").get_weights())
    for one, two in zip(*found, strict=True):
        np.testing.assert_allclose(one, two, atol=1e-6)


def test_it_learns_to_tell_films_apart(split: Split, pretrained: Recipe, tmp_path: Path) -> None:
    longer = replace(pretrained, pretraining=replace(PRETRAINING, epochs=6))
    folder = run.RunFolder(tmp_path / "pretraining")
    begin(longer, split.train, 10, folder)
    losses = [row["loss"] for row in folder.progress().history]
    assert losses[-1] < losses[0] - 0.3


def test_a_run_says_what_came_before_its_labels(undisturbed: Path) -> None:
    assert {path.name for path in undisturbed.iterdir()} == RUN_CONTENTS | {"pretraining.csv"}
    rows = table(undisturbed / "pretraining.csv")
    assert [(row["epoch"], set(row)) for row in rows] == [
        ("1", {"epoch", "loss"}),
        ("2", {"epoch", "loss"}),
    ]
    described = json.loads((undisturbed / "run.json").read_text())
    assert described["recipe"]["pretraining"]["epochs"] == 2
    assert described["epochs"] == 1


def test_killed_after_each_epoch_it_is_the_run_that_was_not(
    tmp_path: Path,
    films: Path,
    pretrained: Recipe,
    undisturbed: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    job = TrainingJob(pretrained, films, tmp_path / "run")
    folder = run.RunFolder(job.out)
    seen = []
    for _ in range(PRETRAINING.epochs + 1):
        with killed_after_an_epoch(monkeypatch):
            train(job)
        seen.append((folder.pretraining.progress().epochs_done, folder.progress().epochs_done))
        keras.utils.clear_session()
    assert seen == [(1, 0), (2, 0), (2, 1)]
    train(job)
    for ours, theirs in zip(weights(job.out), weights(undisturbed), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-5)
    assert [float(row["loss"]) for row in table(job.out / "pretraining.csv")] == pytest.approx(
        [float(row["loss"]) for row in table(undisturbed / "pretraining.csv")], abs=1e-4
    )


def test_another_recipe_does_not_go_on_with_it(
    tmp_path: Path, films: Path, pretrained: Recipe, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = TrainingJob(pretrained, films, tmp_path / "run")
    with killed_after_an_epoch(monkeypatch):
        train(job)
    with pytest.raises(InputError, match="unfinished run of another recipe"):
        train(replace(job, recipe=replace(pretrained, seed=2)))


def test_a_search_pretrains_too_and_in_silence(
    split: Split, pretrained: Recipe, capsys: pytest.CaptureFixture[str]
) -> None:
    with_it, without = (
        train_in_memory(recipe, split)
        for recipe in (pretrained, replace(pretrained, pretraining=Pretraining()))
    )
    assert with_it.shape == without.shape
    assert not np.allclose(with_it, without)
    assert "epoch" not in capsys.readouterr().err


def test_pooling_is_over_what_the_network_calls_features() -> None:
    recipe = replace(load_recipe("cnn3_50", "tuned"), pretraining=PRETRAINING)
    model = contrastive(recipe, 10)
    pooled = model.get_layer("projection_pooling")
    assert isinstance(pooled, layers.GlobalAveragePooling2D)
    assert pooled.input.shape[1:] == model.get_layer("features").output.shape[1:]


def test_pretrained_weights_are_where_it_begins_and_a_frozen_base_learns(
    split: Split, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The file is read once; the base learns without labels, and not with them."""
    asked: list[str | None] = []
    real = keras.applications.ResNet50V2

    def spied(*, weights: str | None, **options: Any) -> keras.Model:
        asked.append(weights)
        return real(weights=None, **options)

    monkeypatch.setattr(keras.applications, "ResNet50V2", spied)
    file = tmp_path / "base.h5"
    file.touch()
    recipe = replace(
        load_recipe("resnet50v2_50", "report").with_weights(str(file)),
        pretraining=Pretraining(epochs=1, batch_size=4),
    )
    keras.utils.set_random_seed(1)
    few = split.train.subset(np.arange(4))
    model = begin(recipe, few, 10, None)
    assert asked == [None, str(file)]
    assert sum(int(np.prod(weight.shape)) for weight in model.trainable_weights) == 65
    keras.utils.set_random_seed(1)
    fresh = build(recipe.with_weights("none"), 10)
    base, before = (net.get_layer("resnet50v2").get_weights() for net in (model, fresh))
    assert any((one != other).any() for one, other in zip(base, before, strict=True))
