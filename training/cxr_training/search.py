"""Search for a recipe: the driver behind `cxr-edge search`.

A trial trains one network per fold on all other folds and is judged on the fold held out, after
its last epoch: nothing is stopped or chosen by that fold but the recipe itself, so the figure of
the best trial is optimistic. Judge the winner by `cxr-edge train --folds` with other seeds.

STUDY is an SQLite file of Optuna's; beside it lie STUDY.folds.csv and STUDY.lock.
"""

from __future__ import annotations

import fcntl
import multiprocessing
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import optuna
from optuna.trial import TrialState

from cxr_edge.cores import usable_cores
from cxr_edge.errors import CxrEdgeError, InputError
from cxr_training import data, fit, folds
from cxr_training.folds import Scheme
from cxr_training.progress import console
from cxr_training.recipe import read_table
from cxr_training.search_space import Space, load_space
from cxr_training.search_trial import Objective, Trials

_NAME = "cxr-edge"
_COUNTED = (TrialState.COMPLETE, TrialState.PRUNED, TrialState.RUNNING)
_PRUNED_FROM = 1 / 3  # of the epochs: before, the learning rate is still warming up


@dataclass(frozen=True)
class SearchJob:
    """What `cxr-edge search` was asked to do.

    Attributes:
        recipe: TOML file with a section `search`.
        data: folder with NORMAL and PNEUMONIA.
        study: SQLite file; an unfinished search in it goes on.
        trials: how many in all, those of earlier runs included.
        folds: networks per trial.
        scheme: which folds.
        objective: mean over folds of the AUC, or of the specificity at a sensitivity of 0.98.
        jobs: processes.
    """

    recipe: Path
    data: Path
    study: Path
    trials: int
    folds: int = 5
    scheme: Scheme = "style"
    objective: Objective = "auc"
    jobs: int = 1

    def beside(self, suffix: str) -> Path:
        """STUDY with something appended to its name."""
        return self.study.with_name(f"{self.study.name}.{suffix}")


def search(job: SearchJob) -> dict[str, Any]:
    """Run what is missing of the trials; the best so far: its figure and its values.

    Raises:
        InputError: the recipe, the data or the study cannot be used.
    """
    space = _space(job)
    job.study.parent.mkdir(parents=True, exist_ok=True)
    with _alone(job):
        images = _images(job, space)
        study = _claim(job, space, images)
        _run_again_what_was_cut_off(study)
        if job.jobs == 1:
            _work(job, space, images, worker=0)
        else:
            del images  # each process reads its own
            _work_in_parallel(job)
    best = study.best_trial
    return {"trial": best.number, job.objective: round(best.value or 0.0, 6), "values": best.params}


@contextmanager
def _alone(job: SearchJob) -> Iterator[None]:
    """Two searches in one study would take each other's running trials for cut off."""
    with job.beside("lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise InputError(f"another search uses {job.study}", tip="wait for it") from None
        yield


def _space(job: SearchJob) -> Space:
    return load_space(read_table(job.recipe, "a search", str(job.recipe)), str(job.recipe))


def _images(job: SearchJob, space: Space) -> data.ImageSet:
    asked = fit.TrainingJob(space.recipe({}), job.data, job.study)
    return fit.read_images(asked)[0]


def _claim(job: SearchJob, space: Space, images: data.ImageSet) -> optuna.Study:
    """Make the study this job's own, or recognise it; its folds are there afterwards."""
    plan = {
        "table": space.table,
        "data_sha256": images.sha256,
        "folds": job.folds,
        "scheme": job.scheme,
        "objective": job.objective,
    }
    study = _study(job, worker=0)
    if study.user_attrs.get("plan", plan) != plan:
        raise InputError(
            f"{job.study} is a search with another recipe, other data or another aim",
            tip="choose another --study",
        )
    if "plan" not in study.user_attrs:
        seed = space.recipe({}).seed
        fold_of, looks = folds.assign(images, job.scheme, job.folds, seed)
        folds.write_folds(job.beside("folds.csv"), images, fold_of, looks)
        study.set_user_attr("plan", plan)
    return study


def _study(job: SearchJob, worker: int) -> optuna.Study:
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    storage = optuna.storages.RDBStorage(
        f"sqlite:///{job.study}", engine_kwargs={"connect_args": {"timeout": 60}}
    )
    study = optuna.create_study(
        storage=storage, study_name=_NAME, direction="maximize", load_if_exists=True
    )
    # Another seed for each process and after each interruption, or they would all draw the same.
    study.sampler = optuna.samplers.TPESampler(seed=len(study.trials) + 1000 * worker)
    return study


def _run_again_what_was_cut_off(study: optuna.Study) -> None:
    """Nobody else is here: what is still running was killed."""
    for trial in study.get_trials(states=(TrialState.RUNNING,)):
        study.tell(trial.number, state=TrialState.FAIL)
        if trial.params:
            study.enqueue_trial(trial.params)


def _work_in_parallel(job: SearchJob) -> None:
    """Processes that share the study and the cores."""
    threads = str(max(1, usable_cores() // job.jobs))
    os.environ.update(TF_NUM_INTRAOP_THREADS=threads, OMP_NUM_THREADS=threads)
    context = multiprocessing.get_context("spawn")  # TensorFlow does not survive a fork
    workers = [
        context.Process(target=_work_apart, args=(job, number), daemon=True)
        for number in range(1, job.jobs + 1)
    ]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    if failed := [worker.exitcode for worker in workers if worker.exitcode]:
        raise CxrEdgeError(f"{len(failed)} of {job.jobs} processes failed; the study is safe")


def _work_apart(job: SearchJob, worker: int) -> None:
    space = _space(job)
    _work(job, space, _images(job, space), worker)


def _work(job: SearchJob, space: Space, images: data.ImageSet, worker: int) -> None:
    """Trial after trial, until there are enough."""
    study = _study(job, worker)
    epochs = space.recipe({}).epochs
    study.pruner = optuna.pruners.MedianPruner(n_warmup_steps=int(epochs * _PRUNED_FROM))
    fold_of = folds.read_folds(job.beside("folds.csv"))
    trials = Trials(space, images, fold_of, job.objective)
    while len(study.get_trials(deepcopy=False, states=_COUNTED)) < job.trials:
        study.optimize(trials, n_trials=1, callbacks=[_say])


def _say(study: optuna.Study, trial: optuna.trial.FrozenTrial) -> None:
    """One line per trial."""
    figure = "pruned" if trial.state == TrialState.PRUNED else f"{trial.value:.4f}"
    values = "  ".join(f"{name}={value}" for name, value in trial.params.items())
    console().print(f"trial {trial.number}  {figure}  {values}", soft_wrap=True)
