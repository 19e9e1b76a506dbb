"""`cxr-edge search`: spaces are data, a study goes on, and what is not one is refused."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cxr_edge.errors import CxrEdgeError, InputError, RecipeError
from cxr_training import fit
from cxr_training.recipe import load_recipe, recipe_of
from tests.training.helpers import TINY, Killed, command_line, killed, saves_keras_variables, table

optuna = pytest.importorskip("optuna", reason="optuna is not installed")

from cxr_training import search, search_trial  # noqa: E402
from cxr_training.search import SearchJob  # noqa: E402
from cxr_training.search_space import Choice, Range, load_space  # noqa: E402

pytestmark = [saves_keras_variables, pytest.mark.filterwarnings("ignore::ResourceWarning")]

SECTION = """
[search]
"optimizer.learning_rate" = { low = 1e-4, high = 1e-2, log = true }
"model.dropout_scale" = { low = 0.0, high = 1.0 }
"augmentation.histogram" = { choices = [0.0, 0.5] }
epochs = { low = 2, high = 4 }
"""


def table_of(text: str) -> dict[str, Any]:
    import tomllib

    return tomllib.loads(TINY + text)


@pytest.fixture
def job(tmp_path: Path, labelled: Path) -> SearchJob:
    recipe = tmp_path / "mine.toml"
    recipe.write_text(
        TINY.replace("epochs = 3", "epochs = 1") + SECTION.replace("epochs = {", "seed = {")
    )
    return SearchJob(recipe, labelled, tmp_path / "mine.db", 2, folds=2, scheme="patients")


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Networks that need no training: better the nearer the dropout is to 0.3."""
    tried: list[Any] = []

    def logits(recipe: Any, split: Any, watch: Any) -> Any:
        tried.append(recipe)
        noise = np.random.default_rng(0).normal(size=len(split.validation.labels))
        return split.validation.labels * (2 - abs(recipe.model.dropout_scale - 0.3)) + noise

    monkeypatch.setattr(search_trial, "train_in_memory", logits)
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
    ],
    ids=lambda text: text.strip().replace("\n", " ")[:60],
)
def test_a_space_that_is_none_is_refused_before_hours_are_spent(section: str, says: str) -> None:
    with pytest.raises(RecipeError, match=says) as refused:
        load_space(table_of(section), "mine.toml")
    assert "mine.toml" in str(refused.value)


def test_a_tiny_search(job: SearchJob, monkeypatch: pytest.MonkeyPatch) -> None:
    """Real networks; the first of them is cut off, and the command given again."""
    with monkeypatch.context() as patch, pytest.raises(Killed):
        patch.setattr(fit, "logits", killed)
        search.search(job)
    assert [trial.state.name for trial in trials(job)] == ["RUNNING"]
    best = search.search(job)
    first, second, third = trials(job)
    assert [t.state.name for t in (first, second, third)] == ["FAIL", "COMPLETE", "COMPLETE"]
    assert second.params == first.params, "what was cut off is tried again"
    assert best["auc"] == pytest.approx(max(second.value, third.value), abs=1e-6)
    assert set(best["values"]) == set(first.params)
    assert len(second.intermediate_values) == 2, "one epoch of each of two folds"


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


def test_the_folds_are_written_once(job: SearchJob, quick: list[Any]) -> None:
    search.search(job)
    rows = table(job.beside("folds.csv"))
    assert {row["fold"] for row in rows} == {"1", "2"}


def test_trials_below_the_median_are_pruned() -> None:
    """From a third of the epochs on, and only against the same epoch of the same fold."""
    study = optuna.create_study(direction="maximize", pruner=optuna.pruners.MedianPruner(2))
    for area in (0.9, 0.9, 0.8):
        trial = study.ask()
        watch = search_trial.Pruning(trial, (0.7,))
        if area < 0.9:
            with pytest.raises(optuna.TrialPruned):
                watch.on_epoch_end(0, {"val_auc": area})
        else:
            watch.on_epoch_end(0, {"val_auc": area})
            study.tell(trial, area)
        assert trial.study.trials[-1].intermediate_values == {
            10_000: pytest.approx((0.7 + area) / 2)
        }


@pytest.mark.parametrize(
    "changes", [{"folds": 3}, {"scheme": "style"}, {"objective": "specificity"}], ids=str
)
def test_another_aim_needs_another_study(
    job: SearchJob, quick: list[Any], changes: dict[str, Any]
) -> None:
    search.search(job)
    with pytest.raises(InputError, match="is a search with another recipe"):
        search.search(replace(job, **changes))


def test_two_searches_do_not_share_a_study(job: SearchJob, quick: list[Any]) -> None:
    with search._alone(job), pytest.raises(InputError, match="another search uses"):
        search.search(job)


def test_processes_share_the_trials(job: SearchJob) -> None:
    best = search.search(replace(job, jobs=2))
    found = trials(job)
    assert 2 <= len(found) <= 3
    assert all(trial.state.name == "COMPLETE" for trial in found)
    assert best["trial"] in {trial.number for trial in found}


def test_a_process_that_fails_is_a_sentence(
    job: SearchJob, quick: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    search.search(job)
    job.beside("folds.csv").unlink()
    with pytest.raises(CxrEdgeError, match="1 of 1 processes failed"):
        search._work_in_parallel(replace(job, trials=3))


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
