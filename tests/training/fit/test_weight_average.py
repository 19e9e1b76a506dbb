"""Batch statistics of averaged weights."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np

from cxr_training.fit.weight_average import refresh_statistics
from cxr_training.nets import NETS, NetOptions


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
