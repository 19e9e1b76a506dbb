"""Callbacks that let a training go on as the same training after a kill."""

from __future__ import annotations

import time

import keras
import numpy as np

from cxr_training.fit import run
from cxr_training.support.writing import write_table


class Checkpoint(keras.callbacks.Callback):  # type: ignore[misc]  # keras is untyped
    """Save after every epoch, with its history row."""

    def __init__(self, folder: run.RunFolder, progress: run.TrainingProgress) -> None:
        """Go on after `progress`, into `folder`."""
        super().__init__()
        self._folder = folder
        self.progress = progress
        self._started = time.monotonic() - progress.seconds

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        """Weights and optimizer first, then the row."""
        row = {"epoch": epoch + 1, **{k: float(v) for k, v in (logs or {}).items()}}
        seconds = round(time.monotonic() - self._started, 1)
        self.progress = run.TrainingProgress(epoch + 1, seconds, (*self.progress.history, row))
        self._folder.save_epoch(self.model, self.progress)
        write_table(self._folder.path / run.HISTORY_FILE, list(self.progress.history))


class Masks(keras.callbacks.Callback):  # type: ignore[misc]  # keras is untyped
    """Dropout's chance from seed and epoch: a checkpoint holds no generator's state.

    Layers have generators of their own, which Keras passes over with PyTorch: there the backend's
    is the one that counts.
    """

    def __init__(self, seed: int) -> None:
        """Keep a recipe's seed."""
        super().__init__()
        self._seed = seed

    def on_epoch_begin(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        """Draw as any process would that comes to this epoch."""
        keras.utils.set_random_seed(drawn_seed(self._seed, epoch))
        dropouts = [it for it in self.model.layers if isinstance(it, keras.layers.Dropout)]
        for index, layer in enumerate(it for it in dropouts if it.rate):
            state = layer.seed_generator.state  # a seed, and how often it was drawn from
            drawn = drawn_seed(self._seed, epoch, index)
            state.assign(np.array([drawn, 0], keras.backend.standardize_dtype(state.dtype)))


def drawn_seed(*numbers: int) -> int:
    """One seed from several numbers, 31 bits: every backend's generators can hold it."""
    return int(np.random.SeedSequence(numbers).generate_state(1)[0]) >> 1
