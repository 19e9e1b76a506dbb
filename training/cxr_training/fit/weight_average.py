"""Batch statistics for averaged weights."""

from __future__ import annotations

import keras

from cxr_training.fit.training_batches import TrainingBatches


def refresh_statistics(model: keras.Model, batches: TrainingBatches) -> None:
    """Measure the moving statistics of batch normalisation anew, over one epoch of films.

    Keras averages trainable weights alone: the statistics are still those of the last steps'.

    Source: Izmailov et al., arXiv:1803.05407 (2018), section 3.2, "Batch normalization".
    """
    for index in range(len(batches)):
        model(batches[index][0], training=True)
