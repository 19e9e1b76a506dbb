"""One trial of a search: a recipe judged on each fold by a network trained on the others."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import keras
import numpy as np
import optuna
from numpy.typing import NDArray
from optuna.trial import TrialState

from cxr_edge.statistics.auc import resampled_auc
from cxr_edge.statistics.operating_points import SCREENING_SENSITIVITY
from cxr_training.films import data
from cxr_training.fit import training
from cxr_training.fit.build import build
from cxr_training.fit.predictions import logits_of
from cxr_training.fit.training_batches import TrainingBatches
from cxr_training.fit.weight_average import finish_average
from cxr_training.judge.out_of_fold import specificity_at_sensitivity
from cxr_training.recipe.recipe import Recipe
from cxr_training.search.space import Space

Objective = Literal["auc", "specificity"]
_LEAST_TRIALS = 5  # a median of fewer is chance


@dataclass(frozen=True)
class Trials:
    """Objective of a search: called with a trial, it gives its figure.

    Attributes:
        space: what a trial may try.
        images: N films.
        fold_of: int [N], 1 to K, each with both classes.
        objective: what the figure is, as a mean over folds.
    """

    space: Space
    images: data.ImageSet
    fold_of: NDArray[np.int64]
    objective: Objective

    def __call__(self, trial: optuna.Trial) -> float:
        """Mean over folds of the objective; `TrialPruned` once it is below the others' median.

        The last fold comes first: of style folds it is the one that tells recipes apart.
        """
        recipe = self.space.suggest(trial)
        figures: list[float] = []
        for fold in range(int(self.fold_of.max()), 0, -1):
            figures.append(self._figure(recipe, fold))
            mean = float(np.mean(figures))
            trial.report(mean, len(figures))
            if fold > 1 and mean < median_of_others(trial.study, len(figures)):
                raise optuna.TrialPruned
        return mean

    def _figure(self, recipe: Recipe, fold: int) -> float:
        """The objective on one fold."""
        held_out = self.fold_of == fold
        split = data.Split(*(self.images.subset(np.flatnonzero(s)) for s in (~held_out, held_out)))
        logits = train_in_memory(recipe, split)
        if not np.isfinite(logits).all():  # it diverged; what is no number can be sorted anywhere
            raise optuna.TrialPruned
        labels = split.validation.labels
        figure = (
            resampled_auc(labels, logits)
            if self.objective == "auc"
            else specificity_at_sensitivity(labels, logits, SCREENING_SENSITIVITY)
        )
        return figure(np.ones(len(logits), np.int64)) or 0.0


def median_of_others(study: optuna.Study, folds: int) -> float:
    """Median of the means that trials had after so many folds; no bound while they are few.

    Optuna's own pruner compares the best that a trial had after any fold, so that a good first one
    would excuse all others, and forgets pruned trials, so that the bound would only ever rise.
    """
    others = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE, TrialState.PRUNED))
    reported = [trial.intermediate_values for trial in others]
    means = [values[folds] for values in reported if folds in values]
    return float(np.median(means)) if len(means) >= _LEAST_TRIALS else -np.inf


def train_in_memory(recipe: Recipe, split: data.Split) -> NDArray[np.float64]:
    """A network that nobody keeps: its logits of the validation films, [N]."""
    keras.utils.clear_session()
    keras.utils.set_random_seed(recipe.seed)
    batches = TrainingBatches(split.train, recipe, 0)
    model = build(recipe, len(batches))
    model.fit(batches, **training.fit_options(recipe))
    finish_average(model, split.train, recipe)
    return logits_of(model, split.validation.pixels)
