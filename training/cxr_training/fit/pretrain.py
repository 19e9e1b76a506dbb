"""Pre-training without labels: two changed copies of a film shall look alike, and like no other.

Source: Chen, Kornblith, Norouzi, Hinton, ICML 2020, "A simple framework for contrastive learning
of visual representations" (SimCLR). The copies are those of the recipe's augmentation, so what it
changes (light, borders, framing) is what the convolutions learn not to look at.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import keras
import numpy as np
from keras import layers, ops
from numpy.typing import NDArray

from cxr_training.films.augmentation import as_rgb, augment
from cxr_training.films.data import ImageSet
from cxr_training.fit.build import build, optimizer
from cxr_training.fit.callbacks import Checkpoint, Masks
from cxr_training.fit.epoch_progress import EpochProgress
from cxr_training.fit.run import Progress, RunFolder
from cxr_training.nets import NETS
from cxr_training.nets.blocks import FEATURES_LAYER
from cxr_training.recipe.recipe import Recipe

HIDDEN, PROJECTED = 128, 64
_APART = 1  # so that a batch's changes are others than those of the same batch with labels


def begin(recipe: Recipe, images: ImageSet, steps: int, folder: RunFolder | None) -> keras.Model:
    """The recipe's network before its first epoch with labels, pre-trained if the recipe says so.

    Args:
        recipe: how.
        images: the training films; their labels are not looked at.
        steps: batches in an epoch with labels.
        folder: where an unfinished pre-training keeps itself; None to keep and say nothing.

    Returns:
        The network, compiled.

    Raises:
        WeightsError: the recipe's pre-trained weights cannot be had.
    """
    if not recipe.pretraining.epochs:
        return build(recipe, steps)
    model = build(recipe.with_weights("none"), steps)  # the others are where pre-training begins
    learnt = _pretrained(recipe, images, folder)
    known = {layer.name for layer in learnt.layers}
    for layer in model.layers:
        if layer.name in known:
            layer.set_weights(learnt.get_layer(layer.name).get_weights())
    return model


def _pretrained(recipe: Recipe, images: ImageSet, folder: RunFolder | None) -> keras.Model:
    """The contrastive network after its last epoch."""
    done = folder.progress() if folder else Progress()
    batches = PairBatches(images, recipe, done.epochs_done)
    epochs = recipe.pretraining.epochs
    if folder and done.epochs_done:
        model = folder.model_after(done.epochs_done)
    else:
        model = contrastive(recipe, len(batches))
    callbacks: list[keras.callbacks.Callback] = [Masks(recipe.seed)]
    if folder:
        folder.checkpoint.mkdir(parents=True, exist_ok=True)
        callbacks += [
            Checkpoint(folder, done),
            EpochProgress(epochs, len(batches), "pre-training epoch"),
        ]
    model.fit(
        batches,
        epochs=epochs,
        initial_epoch=done.epochs_done,
        callbacks=callbacks,
        shuffle=False,
        verbose=0,
    )
    return model


def contrastive(recipe: Recipe, steps: int) -> keras.Model:
    """Raw grey levels [N, S, S, 3] to directions [N, 64] of length 1, compiled."""
    net = NETS[recipe.net].build(recipe.model)
    x = net.get_layer(FEATURES_LAYER).output
    x = layers.GlobalAveragePooling2D(name="projection_pooling")(x)
    x = layers.Dense(HIDDEN, activation="relu", name="projection_hidden")(x)
    x = layers.Dense(PROJECTED, name="projection")(x)
    x = layers.UnitNormalization(name="direction", dtype="float32")(x)
    model = keras.Model(net.input, x, name="contrastive")
    options = recipe.pretraining
    shared = replace(recipe.optimizer, learning_rate=options.learning_rate)
    model.compile(
        optimizer=optimizer(shared, options.epochs, steps),
        loss=ContrastiveLoss(options.temperature),
        jit_compile=False,  # see `build`
    )
    return model


@keras.saving.register_keras_serializable(package="cxr_training")
class ContrastiveLoss(keras.losses.Loss):  # type: ignore[misc]  # keras is untyped
    """Cross-entropy of finding the other copies of one's film among all copies of the batch."""

    def __init__(self, temperature: float, name: str = "contrastive", **options: Any) -> None:
        """Similarities are divided by `temperature`."""
        super().__init__(name=name, **options)
        self.temperature = temperature

    def call(self, y_true: Any, y_pred: Any) -> Any:
        """Which film each copy is of [N, 1], and its direction [N, D]: a loss for each, [N]."""
        itself = ops.eye(ops.shape(y_pred)[0])
        alike = ops.matmul(y_pred, ops.transpose(y_pred)) / self.temperature
        chances = ops.log_softmax(alike - 1e9 * itself, axis=-1)
        same = ops.cast(ops.equal(y_true, ops.transpose(y_true)), y_pred.dtype) - itself
        return -ops.sum(same * chances, axis=-1) / ops.sum(same, axis=-1)

    def get_config(self) -> dict[str, Any]:
        """For a checkpoint."""
        return {**super().get_config(), "temperature": self.temperature}


class PairBatches(keras.utils.PyDataset):  # type: ignore[misc]  # keras is untyped
    """Two changed copies of each film; the same seed, epoch and batch always give the same."""

    def __init__(self, images: ImageSet, recipe: Recipe, first_epoch: int) -> None:
        """Start at `first_epoch`, so that a resumed run sees what it would have seen."""
        super().__init__(workers=1, use_multiprocessing=False)
        self._films = images.pixels[..., 0]
        self._recipe = recipe
        self._epoch = first_epoch
        self._order = self._shuffled()

    def __len__(self) -> int:
        """Batches in an epoch; the last one may be smaller."""
        return -(-len(self._films) // self._recipe.pretraining.batch_size)

    def __getitem__(self, index: int) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """Batch `index`: float32 [2n, S, S, 3], and the film that each is of, int64 [2n, 1]."""
        rng = self._chance(index)
        size = self._recipe.pretraining.batch_size
        pairs = np.tile(self._order[index * size : (index + 1) * size], 2)
        ranges = self._recipe.augmentation
        planes = np.stack([augment(self._films[i], self._films, ranges, rng) for i in pairs])
        return as_rgb(planes[..., np.newaxis]), pairs[:, np.newaxis]

    def on_epoch_end(self) -> None:
        """Move on to the next epoch's order and chance."""
        self._epoch += 1
        self._order = self._shuffled()

    def _shuffled(self) -> NDArray[np.int64]:
        return self._chance().permutation(len(self._films))

    def _chance(self, *batch: int) -> np.random.Generator:
        return np.random.default_rng([self._recipe.seed, self._epoch, *batch, _APART])
