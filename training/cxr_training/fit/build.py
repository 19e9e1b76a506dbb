"""A recipe's network, compiled with a recipe's optimizer."""

from __future__ import annotations

from typing import Any

import keras

from cxr_training.fit import soft_labels
from cxr_training.nets import NETS
from cxr_training.nets.resnet50v2_50 import freeze
from cxr_training.recipe.recipe import Recipe
from cxr_training.recipe.sections import Optimizer


def build(recipe: Recipe, steps_per_epoch: int) -> keras.Model:
    """The recipe's network, compiled; for films of any size where its first epochs see others."""
    net = NETS[recipe.net]
    any_size = net.build_any_size if recipe.first_epochs else None
    model = (any_size or net.build)(recipe.model)
    if recipe.freeze_base:
        freeze(model)
    model.compile(
        optimizer=optimizer(recipe.optimizer, recipe.epochs, steps_per_epoch),
        loss=keras.losses.BinaryCrossentropy(label_smoothing=recipe.label_smoothing),
        metrics=soft_labels.metrics(),
        jit_compile=False,  # measured: XLA makes these convolutions ten times slower on CPU
    )
    return model


def optimizer(options: Optimizer, epochs: int, steps: int) -> keras.optimizers.Optimizer:
    """Adam or AdamW with the learning rate of `epochs` epochs of `steps` steps."""
    rate: Any = options.learning_rate
    if options.schedule == "cosine":
        warmup = options.warmup_epochs * steps
        rate = keras.optimizers.schedules.CosineDecay(
            0.0 if warmup else options.learning_rate,
            decay_steps=max(1, epochs * steps - warmup),
            warmup_target=options.learning_rate if warmup else None,
            warmup_steps=warmup,
        )
    average: dict[str, Any] = {}
    if options.weight_average:
        average = {"use_ema": True, "ema_momentum": options.weight_average}
    if options.name == "adamw":
        return keras.optimizers.AdamW(rate, weight_decay=options.weight_decay, **average)
    return keras.optimizers.Adam(rate, **average)
