"""Films drawn so that style does not tell the classes apart."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score

from cxr_training.films import balance, data, style
from cxr_training.fit import batches
from cxr_training.fit.batches import TrainingBatches
from cxr_training.recipe.recipe import Recipe
from tests.training.helpers import write_labelled_folder

FILMS = 4000


def styled() -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Propensities that are right: of the films of propensity p, the share p has the class 1."""
    rng = np.random.default_rng(0)
    looks = rng.beta(0.8, 0.5, FILMS).clip(0.12, 0.88)  # none weighs more than is allowed
    return looks, (rng.random(FILMS) < looks).astype(np.int64)


def test_style_tells_less_the_higher_the_power() -> None:
    looks, labels = styled()
    told = [
        roc_auc_score(labels, looks, sample_weight=balance.weights_of(looks, labels, power))
        for power in (0, 0.25, 0.5, 0.75, 1)
    ]
    assert told[0] == pytest.approx(roc_auc_score(labels, looks))
    assert told[0] > 0.8
    assert (np.diff(told) < -0.02).all()
    assert told[-1] == pytest.approx(0.5, abs=0.02)


def test_the_mean_weight_of_a_class_is_one_and_no_film_drowns_the_others() -> None:
    looks, labels = styled()
    looks[labels == 0] *= 0.1
    looks[np.flatnonzero(labels == 0)[0]] = 1.0  # a normal that no style could tell
    weights = balance.weights_of(looks, labels, 2.0)
    for label in (0, 1):
        assert weights[labels == label].mean() == pytest.approx(1)
    assert weights.max() / np.median(weights[labels == 0]) <= 10 * 1.5


def test_no_power_is_equal_weights() -> None:
    looks, labels = styled()
    np.testing.assert_allclose(balance.weights_of(looks, labels, 0.0), 1)


@pytest.mark.parametrize("seed", range(20))
def test_a_film_is_drawn_as_often_as_its_weight_says(seed: int) -> None:
    looks, labels = styled()
    weights = balance.weights_of(looks, labels, 1.0)
    drawn = balance.draw(weights, labels, np.random.default_rng(seed))
    times = np.bincount(drawn, minlength=FILMS)
    assert (times >= np.floor(weights - 1e-6)).all()
    assert (times <= np.ceil(weights + 1e-6)).all()
    assert np.bincount(labels[drawn]).tolist() == np.bincount(labels).tolist()


def test_over_epochs_every_film_is_seen() -> None:
    looks, labels = styled()
    weights = balance.weights_of(looks, labels, 1.0)
    epochs = [balance.draw(weights, labels, np.random.default_rng(seed)) for seed in range(300)]
    times = np.bincount(np.concatenate(epochs), minlength=FILMS) / len(epochs)
    np.testing.assert_allclose(times, weights, atol=0.2)


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> data.ImageSet:
    folder = write_labelled_folder(tmp_path_factory.mktemp("balance") / "films", 40)
    return data.load_images(data.find_labelled(folder), 50)[0]


def recipe(power: float) -> Recipe:
    return Recipe(name="x", net="cnn3_50", epochs=3, batch_size=16, style_balance=power)


def test_a_recipe_draws_by_the_style_of_its_training_films(
    images: data.ImageSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks = np.where(np.arange(len(images.labels)) % 4, images.labels * 0.8 + 0.1, 0.5)
    monkeypatch.setattr(style, "propensity", lambda figures, films, seed: looks)
    weights = balance.weights_of(looks, images.labels, 1.0)
    batches = TrainingBatches(images, recipe(1.0), 0)
    seen = np.concatenate([batches._order, *(_next_order(batches) for _ in range(60))])
    times = np.bincount(seen, minlength=len(weights)) / 61
    np.testing.assert_allclose(times, weights, atol=0.25)
    assert np.ptp(weights) > 0.5


def _next_order(batches: TrainingBatches) -> NDArray[np.int64]:
    batches.on_epoch_end()
    return batches._order


def test_what_goes_on_draws_what_it_would_have_drawn(images: data.ImageSet) -> None:
    through = TrainingBatches(images, recipe(0.5), 0)
    through.on_epoch_end()
    resumed = TrainingBatches(images, recipe(0.5), 1)
    for index in range(len(through)):
        np.testing.assert_array_equal(through[index][0], resumed[index][0])
        np.testing.assert_array_equal(through[index][1], resumed[index][1])


def test_without_the_power_no_film_is_looked_at_again(
    images: data.ImageSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batches.balance, "style_weights", None)
    order = TrainingBatches(images, recipe(0.0), 0)._order
    assert sorted(order.tolist()) == list(range(len(images.labels)))


def test_a_film_is_measured_once_for_all_folds_seeds_and_trials(
    images: data.ImageSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    style.all_statistics(images.files)
    monkeypatch.setattr(style, "statistics", None)
    for first in (2, 4):
        fold = images.subset(np.arange(first, len(images.labels)))
        balance.style_weights(fold, 1.0, 0)


def test_a_cap_leaves_some_of_what_style_tells() -> None:
    """Where styles hardly overlap no weight can even them out: 0.97 in the public films."""
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 2, FILMS)
    looks = 1 / (1 + np.exp(-rng.normal(6 * labels - 3, 2.5)))
    before = roc_auc_score(labels, looks)
    weights = balance.weights_of(looks, labels, 1.0)
    assert before > 0.95
    assert 0.7 < roc_auc_score(labels, looks, sample_weight=weights) < before - 0.05


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"style_balance": -0.5}, "style_balance must be"),
        ({"style_balance": 2.5}, "style_balance must be"),
        ({"style_balance": 1.0, "shuffle": False}, "shuffle must be true"),
    ],
    ids=["negative", "too-high", "unshuffled"],
)
def test_a_recipe_that_cannot_draw_is_refused(changes: dict[str, float], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        replace(recipe(0.0), **changes)
