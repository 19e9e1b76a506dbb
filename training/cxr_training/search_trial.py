"""One trial of a search: a recipe judged on each fold by a network trained on the others."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import keras
import numpy as np
import optuna
from numpy.typing import NDArray

from cxr_edge.evaluate.auc import resampled_auc
from cxr_edge.operating_points import SCREENING_SENSITIVITY
from cxr_training import data, fit
from cxr_training.augment import TrainingBatches
from cxr_training.pooled import specificity_at_sensitivity
from cxr_training.recipe import Recipe
from cxr_training.search_space import Space

Objective = Literal["auc", "specificity"]
_FOLD_STEPS = 10_000  # steps of one fold never meet those of the next


@dataclass(frozen=True)
class Trials:
    """What a trial is judged by: called with one, it gives its figure.

    Attributes:
        space: what a trial may try.
        images: N films.
        fold_of: int [N], 1 to K.
        objective: what the figure is, as a mean over folds.
    """

    space: Space
    images: data.ImageSet
    fold_of: NDArray[np.int64]
    objective: Objective

    def __call__(self, trial: optuna.Trial) -> float:
        """Mean over folds of the objective; `TrialPruned` when others were better by then."""
        recipe = self.space.suggest(trial)
        areas: list[float] = []
        figures: list[float] = []
        for fold in range(1, self.fold_of.max() + 1):
            held_out = self.fold_of == fold
            split = data.Split(
                *(self.images.subset(np.flatnonzero(s)) for s in (~held_out, held_out))
            )
            watch = Pruning(trial, tuple(areas))
            logits = train_in_memory(recipe, split, watch)
            once = np.ones(len(logits), np.int64)
            labels = split.validation.labels
            areas.append(resampled_auc(labels, logits)(once) or 0.0)
            at_98 = specificity_at_sensitivity(labels, logits, SCREENING_SENSITIVITY)
            figures.append(areas[-1] if self.objective == "auc" else at_98(once) or 0.0)
        return float(np.mean(figures))


class Pruning(keras.callbacks.Callback):  # type: ignore[misc]  # keras is untyped
    """Ends a trial whose mean AUC is below the median of the others at the same epoch."""

    def __init__(self, trial: optuna.Trial, areas: tuple[float, ...]) -> None:
        """For the fold after those with these areas."""
        super().__init__()
        self._trial = trial
        self._areas = areas

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        """Report, and stop where it does not look worth while."""
        area = float((logs or {})["val_auc"])
        step = len(self._areas) * _FOLD_STEPS + epoch
        self._trial.report(float(np.mean([*self._areas, area])), step)
        if self._trial.should_prune():
            raise optuna.TrialPruned


def train_in_memory(
    recipe: Recipe, split: data.Split, watch: keras.callbacks.Callback
) -> NDArray[np.float64]:
    """A network that nobody keeps: its logits of the validation films, [N]."""
    keras.utils.clear_session()
    keras.utils.set_random_seed(recipe.seed)
    batches = TrainingBatches(split.train, recipe, 0)
    model = fit.build(recipe, len(batches))
    model.fit(batches, callbacks=[watch], **fit.fit_options(recipe, split))
    return fit.logits(model, split.validation.pixels)
