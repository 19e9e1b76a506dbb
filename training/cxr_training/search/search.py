"""Search for a recipe: the driver behind `cxr-edge search`.

A trial trains one network per fold on all other folds and is judged on the fold held out, after
its last epoch: nothing is stopped or chosen by that fold but the recipe itself, so the figure of
the best trial is optimistic. Judge the winner by `cxr-edge train --folds` with other seeds.

STUDY is an SQLite file of Optuna's; beside it lie STUDY.folds.csv and STUDY.lock. What a kill cuts
off is tried again; a trial that fails is told and made up for when the command is given again.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from multiprocessing.synchronize import Semaphore
from pathlib import Path
from typing import Any

import optuna
from optuna.trial import TrialState
from sqlalchemy.exc import DatabaseError

from cxr_edge.errors import CxrEdgeError, InputError
from cxr_edge.evaluate.job import FOLDER_NAMES, Labels
from cxr_edge.preprocess import PREPROCESSING_VERSION
from cxr_edge.support.cores import usable_cores
from cxr_training.films import data, folds
from cxr_training.films.folds import Scheme
from cxr_training.fit import training
from cxr_training.fit.run_lock import end_with_the_parent, locked
from cxr_training.recipe.recipe import read_table
from cxr_training.search.space import Space, load_space
from cxr_training.search.trial import Objective, Trials
from cxr_training.support.memory import keep_freed_memory
from cxr_training.support.progress import console

_NAME = "cxr-edge"
_COUNTED = (TrialState.COMPLETE, TrialState.PRUNED, TrialState.RUNNING)
_THREADS = ("TF_NUM_INTRAOP_THREADS", "OMP_NUM_THREADS")
# TensorFlow does not survive a fork.
_SPAWN = multiprocessing.get_context("spawn")


@dataclass(frozen=True)
class SearchJob:
    """A request to `cxr-edge search`.

    Attributes:
        recipe: TOML file with a section `search`.
        data: labelled folder.
        study: SQLite file; an unfinished search in it goes on.
        trials: how many in all, those of earlier runs included.
        folds: networks per trial.
        scheme: which folds.
        objective: mean over folds of the AUC, or of the specificity at a sensitivity of 0.98.
        jobs: processes.
        labels: where findings and patients of the films stand.
    """

    recipe: Path
    data: Path
    study: Path
    trials: int
    folds: int = 5
    scheme: Scheme = "style"
    objective: Objective = "auc"
    jobs: int = 1
    labels: Labels = FOLDER_NAMES

    def beside(self, suffix: str) -> Path:
        """STUDY with something appended to its name."""
        return self.study.with_name(f"{self.study.name}.{suffix}")


def search(job: SearchJob) -> dict[str, Any]:
    """Run what is missing of the trials; the best so far: its figure and its values.

    Raises:
        InputError: the recipe, the data or the study cannot be used.
        StateBusyError: another search uses the study.
        CxrEdgeError: no trial could be finished.
    """
    space = _space(job)
    job.study.parent.mkdir(parents=True, exist_ok=True)
    job.beside("lock").touch()
    # Two searches in one study would take each other's running trials for cut off.
    with locked(job.beside("lock"), str(job.study)):
        images, skipped = _images(job, space)
        training.say_about(images, skipped)
        study = _claim(job, space, images)
        _run_again_what_was_cut_off(study)
        missing = job.trials - len(study.get_trials(deepcopy=False, states=_COUNTED))
        if job.jobs == 1 or missing <= 0:
            _work(job, images, Worker(0, _SPAWN.Semaphore(max(0, missing))))
        else:
            del images  # each process reads its own
            _work_in_parallel(job, missing)
    return _best(study, job)


def _best(study: optuna.Study, job: SearchJob) -> dict[str, Any]:
    """Figure and values of the best trial so far."""
    if not study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,)):
        raise CxrEdgeError("no trial could be finished", tip="what went wrong is told above")
    best = study.best_trial
    return {"trial": best.number, job.objective: round(best.value or 0.0, 6), "values": best.params}


def _space(job: SearchJob) -> Space:
    return load_space(read_table(job.recipe, "a search", str(job.recipe)), str(job.recipe))


def _images(job: SearchJob, space: Space) -> tuple[data.ImageSet, tuple[data.Skipped, ...]]:
    recipe = space.recipe({})
    return training.read_images(
        training.TrainingJob(recipe, job.data, job.study, labels=job.labels)
    )


def _claim(job: SearchJob, space: Space, images: data.ImageSet) -> optuna.Study:
    """Make the study this job's own, or recognise it; its folds are there afterwards."""
    plan = {
        "table": space.table,
        "data_sha256": images.sha256,
        **({"patients_sha256": images.patients_sha256} if images.patients_sha256 else {}),
        "preprocessing_version": PREPROCESSING_VERSION,
        "folds": job.folds,
        "scheme": job.scheme,
        "objective": job.objective,
    }
    study = _study(job, worker=0)
    if study.user_attrs.get("plan", plan) != plan:
        raise InputError(
            f"{job.study} is a search with another recipe, other data, another aim or "
            "preprocessing",
            tip="choose another --study",
        )
    if "plan" not in study.user_attrs:
        seed = space.recipe({}).seed
        fold_of, looks = folds.assign(images, job.scheme, job.folds, seed)
        folds.write_folds(job.beside("folds.csv"), images, fold_of, looks)
        study.set_user_attr("plan", plan)
    return study


def _study(job: SearchJob, worker: int) -> optuna.Study:
    optuna.logging.set_verbosity(optuna.logging.ERROR)  # its warnings are tracebacks
    try:
        storage = optuna.storages.RDBStorage(
            "sqlite:///study",  # only the kind: a file's name may hold what an address may not
            engine_kwargs={"creator": lambda: _connect(job.study)},
        )
        study = optuna.create_study(
            storage=storage, study_name=_NAME, direction="maximize", load_if_exists=True
        )
    except DatabaseError as error:
        raise InputError(
            f"{job.study} cannot be used as a study: {error.orig}",
            tip="--study is an SQLite file that cxr-edge search makes",
        ) from error
    # Another seed for each process and after each interruption, or they would all draw the same.
    study.sampler = optuna.samplers.TPESampler(seed=len(study.trials) + 1000 * worker)
    return study


def _connect(study: Path) -> sqlite3.Connection:
    """Connect for the threads of SQLAlchemy's pool; other processes may write for a minute."""
    return sqlite3.connect(study, timeout=60, check_same_thread=False)


def _run_again_what_was_cut_off(study: optuna.Study) -> None:
    """Nobody else is here: what is still running was killed."""
    for trial in study.get_trials(states=(TrialState.RUNNING,)):
        study.tell(trial.number, state=TrialState.FAIL)
        if trial.params:
            study.enqueue_trial(trial.params)


@dataclass(frozen=True)
class Worker:
    """One process: its number, and a ticket for each trial that all of them may still begin."""

    number: int
    tickets: Semaphore


def _work_in_parallel(job: SearchJob, missing: int) -> None:
    """Processes that share the study, the trials that are missing and the cores."""
    tickets = _SPAWN.Semaphore(missing)
    workers = [
        _SPAWN.Process(target=_work_apart, args=(job, Worker(number, tickets)), daemon=True)
        for number in range(1, min(job.jobs, missing) + 1)
    ]
    with _share_of_the_cores(len(workers)):
        for worker in workers:
            worker.start()
    for worker in workers:
        worker.join()
    if failed := [worker.exitcode for worker in workers if worker.exitcode]:
        raise CxrEdgeError(
            f"{len(failed)} of {len(workers)} processes failed; the study is safe",
            tip="what they said stands above; the same command goes on",
        )


@contextlib.contextmanager
def _share_of_the_cores(processes: int) -> Iterator[None]:
    """Share the cores among processes that start now, unless the environment already does."""
    ours = [name for name in _THREADS if name not in os.environ]
    os.environ.update(dict.fromkeys(ours, str(max(1, usable_cores() // processes))))
    try:
        yield
    finally:
        for name in ours:
            del os.environ[name]


def _work_apart(job: SearchJob, worker: Worker) -> None:
    keep_freed_memory()
    end_with_the_parent()  # or it would go on in a study that nobody holds
    with contextlib.suppress(KeyboardInterrupt):  # the parent says it
        _work(job, _images(job, _space(job))[0], worker)


def _work(job: SearchJob, images: data.ImageSet, worker: Worker) -> None:
    """Trial after trial, as long as there are tickets."""
    study = _study(job, worker.number)
    fold_of = folds.read_folds(job.beside("folds.csv"), len(images.files))
    trials = Trials(_space(job), images, fold_of, job.objective)
    while worker.tickets.acquire(False):
        # One recipe that needs too much memory must not cost the night.
        study.optimize(
            lambda trial: _tried(trials, trial), n_trials=1, callbacks=[_say], catch=(Exception,)
        )


def _tried(trials: Trials, trial: optuna.Trial) -> float:
    """The trial's figure; before Optuna takes note of an error, it is told, or made up for."""
    try:
        return trials(trial)
    except KeyboardInterrupt:
        trial.study.enqueue_trial(trial.params)
        raise
    except optuna.TrialPruned:
        raise
    except Exception as error:
        console().print(f"trial {trial.number}: {error!r}", soft_wrap=True, markup=False)
        raise


def _say(study: optuna.Study, trial: optuna.trial.FrozenTrial) -> None:
    """One line per trial."""
    # A pruned trial has a value too: of the folds that it came to.
    done = trial.state is TrialState.COMPLETE and trial.value is not None
    figure = f"{trial.value:.4f}" if done else trial.state.name.lower()
    values = "  ".join(f"{name}={value}" for name, value in trial.params.items())
    console().print(f"trial {trial.number}  {figure}  {values}", soft_wrap=True, markup=False)
