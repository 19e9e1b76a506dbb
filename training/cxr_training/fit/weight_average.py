"""Batch statistics for averaged weights."""

from __future__ import annotations

import keras

from cxr_training.films.data import ImageSet
from cxr_training.fit.callbacks import Masks
from cxr_training.fit.teachers import NOBODY, Teachers
from cxr_training.fit.training_batches import TrainingBatches
from cxr_training.recipe.recipe import Recipe


def finish_average(
    model: keras.Model, films: ImageSet, recipe: Recipe, teachers: Teachers = NOBODY
) -> None:
    """Refresh the statistics of a network whose weights were averaged, after its last epoch.

    Args:
        model: trained; its moving statistics change.
        films: that trained it.
        recipe: how; nothing is done where it averages nothing.
        teachers: it learnt from, whose films may be larger.
    """
    if not recipe.optimizer.weight_average:
        return
    masks = Masks(recipe.seed)
    masks.set_model(model)
    masks.on_epoch_begin(recipe.epochs)
    refresh_statistics(model, TrainingBatches(films, recipe, recipe.epochs, teachers))


def refresh_statistics(model: keras.Model, batches: TrainingBatches) -> None:
    """Measure the moving statistics of batch normalisation anew, over one epoch of films.

    Keras averages trainable weights alone: the statistics are still those of the last steps'.

    Source: Izmailov et al., arXiv:1803.05407 (2018), section 3.2, "Batch normalization".
    """
    for index in range(len(batches)):
        model(batches[index][0], training=True)
