"""`cxr-edge search`: spaces are data, a study goes on, and what is not one is refused."""

from __future__ import annotations

import json
import multiprocessing
import os
import subprocess
import sys
import tomllib
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cxr_edge.errors import CxrEdgeError, InputError, RecipeError, StateBusyError
from cxr_training.fit.run_lock import locked
from cxr_training.recipe.recipe import load_recipe, recipe_of
from tests.training.helpers import TINY, Killed, command_line, saves_keras_variables

optuna = pytest.importorskip("optuna", reason="optuna is not installed")

from cxr_training.search import search  # noqa: E402
from cxr_training.search import trial as trial_module  # noqa: E402
from cxr_training.search.search import SearchJob  # noqa: E402
from cxr_training.search.space import Choice, Range, load_space  # noqa: E402

pytestmark = [saves_keras_variables, pytest.mark.filterwarnings("ignore::ResourceWarning")]

ROOT = Path(__file__).resolve().parents[3]

SECTION = """
[search]
"optimizer.learning_rate" = { low = 1e-4, high = 1e-2, log = true }
"model.dropout_scale" = { low = 0.0, high = 1.0 }
"augmentation.histogram" = { choices = [0.0, 0.5] }
epochs = { low = 2, high = 4 }
"""


def table_of(text: str) -> dict[str, Any]:
    return tomllib.loads(TINY + text)


@pytest.fixture
def job(tmp_path: Path, labelled: Path) -> SearchJob:
    recipe = tmp_path / "mine.toml"
    recipe.write_text(
        TINY.replace("epochs = 3", "epochs = 1") + SECTION.replace("epochs = {", "batch_size = {")
    )
    return SearchJob(recipe, labelled, tmp_path / "mine.db", 2, folds=2, scheme="patients")


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Networks that need no training: better the nearer the dropout is to 0.3."""
    tried: list[Any] = []

    def logits(recipe: Any, split: Any) -> Any:
        tried.append(recipe)
        noise = np.random.default_rng(0).normal(size=len(split.validation.labels))
        return split.validation.labels * (2 - abs(recipe.model.dropout_scale - 0.3)) + noise

    monkeypatch.setattr(trial_module, "train_in_memory", logits)
    return tried


def trials(job: SearchJob) -> list[Any]:
    found: list[Any] = optuna.load_study(
        study_name="cxr-edge", storage=f"sqlite:///{job.study}"
    ).trials
    return found


def test_a_space_is_read_and_put_into_the_recipe() -> None:
    space = load_space(table_of(SECTION), "mine.toml")
    assert space.varied["optimizer.learning_rate"] == Range(1e-4, 1e-2, log=True)
    assert space.varied["augmentation.histogram"] == Choice((0.0, 0.5))
    recipe = space.recipe({"model.dropout_scale": 0.75, "epochs": 4})
    assert (recipe.model.dropout_scale, recipe.epochs) == (0.75, 4)
    assert space.recipe({}) == recipe_of(table_of(""), "mine.toml")


def test_whole_numbers_stay_whole() -> None:
    space = load_space(table_of(SECTION), "mine.toml")
    trial = optuna.trial.FixedTrial(
        {
            "optimizer.learning_rate": 1e-3,
            "model.dropout_scale": 0.5,
            "augmentation.histogram": 0.5,
            "epochs": 3,
        }
    )
    recipe = space.suggest(trial)
    assert type(recipe.epochs) is int
    assert recipe.augmentation.histogram == 0.5


def test_whole_ends_of_a_field_of_numbers_are_no_two_choices() -> None:
    space = load_space(table_of('[search]\n"model.dropout_scale" = { low = 0, high = 1 }\n'), "")
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    drawn = {space.suggest(study.ask()).model.dropout_scale for _ in range(5)}
    assert len(drawn) == 5


def test_training_ignores_the_section(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(TINY + SECTION)
    assert load_recipe("cnn3_50", str(path)) == recipe_of(table_of(""), "")


@pytest.mark.parametrize(
    ("section", "says"),
    [
        ("", r"has no section \[search\]"),
        ("[search]\n", r"has no section \[search\]"),
        ("[search]\nepoch = { low = 1, high = 2 }\n", "unknown keys epoch"),
        ('[search]\n"optimiser.rate" = { low = 1, high = 2 }\n', "unknown keys optimiser"),
        ('[search]\n"model.dropout_scale" = { low = 0.0, high = 1.5 }\n', r"must be in \[0, 1\]"),
        ("[search]\nepochs = { low = 1.5, high = 2.5 }\n", "epochs must be int"),
        ("[search]\nepochs = { low = 2, high = 2 }\n", "not a range from low to high"),
        ('[search]\nepochs = { low = "a", high = "b" }\n', "not a range from low to high"),
        ("[search]\nepochs = { low = 1, high = 2, step = 1 }\n", "step"),
        ("[search]\nepochs = { low = 1 }\n", "high"),
        ('[search]\n"model.dropout_scale" = { low = 0.0, high = 1.0, log = true }\n', "above 0"),
        ("[search]\nepochs = { choices = [1] }\n", "not a choice between values"),
        ("[search]\nepochs = 3\n", "neither a range nor a choice: 3"),
        ("[search]\nseed = { low = 1, high = 9 }\n", "cannot vary seed"),
        ("[search]\npatience = { low = 1, high = 9 }\n", "unknown keys patience"),
        ('[search]\nnet = { choices = ["cnn3_50", "cnn3_128"] }\n', "cannot vary net"),
        ("[search]\nvalidation_tenths = { low = 1, high = 3 }\n", "cannot vary validation"),
    ],
    ids=lambda text: text.strip().replace("\n", " ")[:60],
)
def test_a_space_that_is_none_is_refused_before_hours_are_spent(section: str, says: str) -> None:
    with pytest.raises(RecipeError, match=says) as refused:
        load_space(table_of(section), "mine.toml")
    assert "mine.toml" in str(refused.value)


def test_a_recipe_that_a_search_would_not_follow_is_refused() -> None:
    table = {**table_of("[search]\nepochs = { low = 1, high = 2 }\n"), "distillation": 0.5}
    with pytest.raises(RecipeError, match="no teachers, so distillation must be 0"):
        load_space(table, "mine.toml")
    lite = {"net": "efficientnet_lite0_160", "epochs": 8, "first_epochs": 3, "first_size": 128}
    with pytest.raises(RecipeError, match="films of one size: first_epochs must be 0"):
        load_space({**table_of("[search]\nepochs = { low = 6, high = 9 }\n"), **lite}, "mine.toml")


@pytest.mark.slow
def test_a_tiny_search(job: SearchJob, monkeypatch: pytest.MonkeyPatch) -> None:
    """Real networks in a process of their own; the environment is as it was afterwards."""
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    monkeypatch.delenv("TF_NUM_INTRAOP_THREADS", raising=False)
    best = search.search(replace(job, trials=1, jobs=2))
    assert os.environ["OMP_NUM_THREADS"] == "7"
    assert "TF_NUM_INTRAOP_THREADS" not in os.environ
    (trial,) = trials(job)
    assert (trial.state.name, best["trial"]) == ("COMPLETE", 0)
    assert best["auc"] == pytest.approx(trial.value, abs=1e-6)
    assert set(best["values"]) == set(trial.params)
    assert len(trial.intermediate_values) == 2, "one of each of two folds"
    assert trial.intermediate_values[2] == trial.value
    assert 0 < trial.value <= 1


@pytest.mark.slow
@pytest.mark.parametrize(
    ("end", "left"),
    [(Killed, ["RUNNING"]), (KeyboardInterrupt, ["FAIL", "WAITING"])],
    ids=["kill", "Ctrl-C"],
)
def test_what_is_cut_off_is_tried_again(
    job: SearchJob,
    quick: list[Any],
    monkeypatch: pytest.MonkeyPatch,
    capsys: Any,
    end: type[BaseException],
    left: list[str],
) -> None:
    def cut_off(*_: object) -> None:
        raise end

    with monkeypatch.context() as patch, pytest.raises(end):
        patch.setattr(trial_module, "train_in_memory", cut_off)
        search.search(job)
    assert "Traceback" not in capsys.readouterr().err
    assert [trial.state.name for trial in trials(job)] == left
    search.search(job)
    first, second, third = trials(job)
    assert [t.state.name for t in (first, second, third)] == ["FAIL", "COMPLETE", "COMPLETE"]
    assert second.params == first.params


def test_a_trial_that_fails_is_told_and_made_up_for(
    job: SearchJob, quick: list[Any], monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    real = trial_module.train_in_memory

    def once(recipe: Any, split: Any) -> Any:
        if not quick:
            quick.append(recipe)
            raise MemoryError("batch too large")
        return real(recipe, split)

    monkeypatch.setattr(trial_module, "train_in_memory", once)
    assert search.search(job)["trial"] == 1
    assert [trial.state.name for trial in trials(job)] == ["FAIL", "COMPLETE"]
    told = capsys.readouterr().err
    assert "trial 0: MemoryError('batch too large')" in told
    assert "trial 0  fail" in told
    assert "Traceback" not in told
    search.search(job)
    assert [trial.state.name for trial in trials(job)] == ["FAIL", "COMPLETE", "COMPLETE"]


def test_a_network_that_diverged_is_not_the_best(
    job: SearchJob, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Scores that are no numbers would have an area of 0.5 or more."""
    monkeypatch.setattr(
        trial_module, "train_in_memory", lambda _, split: split.validation.labels * np.nan
    )
    with pytest.raises(CxrEdgeError, match="no trial could be finished"):
        search.search(job)
    assert [trial.state.name for trial in trials(job)] == ["PRUNED", "PRUNED"]


def test_a_finished_search_trains_nothing(job: SearchJob, quick: list[Any]) -> None:
    first = search.search(job)
    assert len(quick) == 2 * job.folds
    assert search.search(job) == first
    assert len(quick) == 2 * job.folds


def test_more_trials_go_on_with_other_draws(job: SearchJob, quick: list[Any]) -> None:
    search.search(job)
    best = search.search(replace(job, trials=12))
    found = trials(job)
    assert len(found) == 12
    rates = {trial.params["optimizer.learning_rate"] for trial in found}
    assert len(rates) == 12, "an interrupted search must not draw the same again"
    assert best["auc"] == pytest.approx(max(trial.value for trial in found), abs=1e-6)


@pytest.mark.parametrize(("state", "told"), [("PRUNED", "pruned"), ("COMPLETE", "0.9123")])
def test_a_figure_is_told_of_a_finished_trial_alone(state: str, told: str, capsys: Any) -> None:
    """A pruned one has a value too: of the folds that it came to."""
    trial = optuna.trial.create_trial(state=optuna.trial.TrialState[state], value=0.9123)
    search._say(optuna.create_study(), trial)
    assert f"  {told}  " in capsys.readouterr().err


def test_trials_below_the_median_are_pruned() -> None:
    """After the same fold, whatever they had before it; pruned ones go on counting."""
    study = optuna.create_study(direction="maximize")
    assert trial_module.median_of_others(study, 1) == -np.inf
    for number in range(5):
        trial = study.ask()
        trial.report(0.5 + number / 10, 1)
        if number < 2:
            study.tell(trial, state=optuna.trial.TrialState.PRUNED)
        else:
            trial.report(0.6, 2)
            study.tell(trial, 0.6)
    assert trial_module.median_of_others(study, 1) == pytest.approx(0.7)
    assert trial_module.median_of_others(study, 2) == -np.inf, "three have come so far"


@pytest.mark.slow
def test_a_search_does_not_train_what_is_below_the_median(job: SearchJob, quick: list[Any]) -> None:
    """The hardest fold comes first, and the last is never spared."""
    search.search(replace(job, trials=15))
    found = trials(job)
    pruned = [trial for trial in found if trial.state.name == "PRUNED"]
    assert pruned
    assert len(quick) == 2 * len(found) - len(pruned)
    for trial in pruned:
        before = [t.intermediate_values[1] for t in found[: trial.number]]
        assert trial.intermediate_values == {1: pytest.approx(trial.intermediate_values[1])}
        assert trial.intermediate_values[1] < np.median(before)


@pytest.mark.parametrize(
    "changes", [{"folds": 3}, {"scheme": "style"}, {"objective": "specificity"}], ids=str
)
def test_another_aim_needs_another_study(
    job: SearchJob, quick: list[Any], changes: dict[str, Any]
) -> None:
    search.search(job)
    with pytest.raises(InputError, match="is a search with another recipe"):
        search.search(replace(job, **changes))


def test_films_seen_otherwise_need_another_study(
    job: SearchJob, quick: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    search.search(job)
    monkeypatch.setattr(search, "PREPROCESSING_VERSION", search.PREPROCESSING_VERSION + 1)
    with pytest.raises(InputError, match="another aim or preprocessing"):
        search.search(job)


def test_two_searches_do_not_share_a_study(job: SearchJob, quick: list[Any]) -> None:
    search.search(job)
    with (
        locked(job.beside("lock"), "x"),
        pytest.raises(StateBusyError, match=r"works on .*mine\.db"),
    ):
        search.search(job)


def test_another_file_is_no_study(job: SearchJob, quick: list[Any]) -> None:
    with pytest.raises(InputError, match="cannot be used as a study: file is not a database"):
        search.search(replace(job, study=job.recipe))


@pytest.mark.parametrize("name", ["100%.db", "what?.db", "a#{b}.db", "a b:c@d.db"])
def test_a_study_may_have_any_name(job: SearchJob, quick: list[Any], name: str) -> None:
    search.search(replace(job, study=job.study.with_name(name), trials=1))
    assert job.study.with_name(name).is_file()


def test_a_study_without_its_folds_is_refused(job: SearchJob, quick: list[Any]) -> None:
    search.search(job)
    job.beside("folds.csv").unlink()
    with pytest.raises(InputError, match=r"mine.db.folds.csv cannot be read"):
        search.search(job)


@pytest.fixture
def forked(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> None:
    """Processes that need not import TensorFlow, as they run no network.

    A fork of a process with Ray in it crashes or hangs: there the test runs in one of its own.
    """
    if "ray" in sys.modules:
        alone = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-m", ""]
        subprocess.run([*alone, request.node.nodeid], check=True, timeout=300, cwd=ROOT)
        pytest.skip("passed in a process without Ray")
    monkeypatch.setattr(search, "_SPAWN", multiprocessing.get_context("fork"))


@pytest.mark.slow
@pytest.mark.usefixtures("quick", "forked")
@pytest.mark.filterwarnings("ignore:.*multi-threaded:DeprecationWarning")
def test_processes_share_the_trials_and_begin_not_one_more(job: SearchJob) -> None:
    best = search.search(replace(job, jobs=3, trials=4))
    found = trials(job)
    assert [trial.state.name for trial in found] == ["COMPLETE"] * 4
    assert best["trial"] in range(4)
    assert len({trial.params["optimizer.learning_rate"] for trial in found}) == 4


def test_processes_share_the_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    monkeypatch.setattr(search, "usable_cores", lambda: 8)
    with search._share_of_the_cores(3):
        assert os.environ["TF_NUM_INTRAOP_THREADS"] == "2"
        assert os.environ["OMP_NUM_THREADS"] == "7", "the user's own"


@pytest.mark.usefixtures("forked")
@pytest.mark.filterwarnings("ignore:.*multi-threaded:DeprecationWarning")
def test_a_process_that_fails_is_a_sentence(
    job: SearchJob, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(search, "_work_apart", lambda *_: os._exit(3))
    with pytest.raises(CxrEdgeError, match="2 of 2 processes failed") as failed:
        search._work_in_parallel(replace(job, jobs=5), 2)
    assert "the same command goes on" in failed.value.tip


def test_on_the_command_line(
    job: SearchJob, quick: list[Any], monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    arguments = [job.recipe, "--data", job.data, "--study", job.study, "--trials", 2]
    options = ["--folds", 2, "--scheme", "patients", "--objective", "specificity"]
    assert command_line(monkeypatch, "search", *arguments, *options) == 0
    seen = capsys.readouterr()
    best = json.loads(seen.out)
    assert set(best) == {"trial", "specificity", "values"}
    assert [line.split()[:2] for line in seen.err.splitlines() if line.startswith("trial")] == [
        ["trial", "0"],
        ["trial", "1"],
    ]
