"""Cross-validation of a tiny network: whole, interrupted, gone on with, and refused."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.special import expit

from cxr_edge.errors import DataError, InputError, StateBusyError
from cxr_edge.statistics.patients import ALONE
from cxr_training.crossval import crossval
from cxr_training.crossval.crossval import CrossValidation, cross_validate
from cxr_training.films import folds
from cxr_training.films.data import find_labelled, load_images
from cxr_training.fit import training
from cxr_training.fit.predictions import logits_of, read_scores
from cxr_training.fit.run_lock import locked
from cxr_training.fit.training import TrainingJob
from cxr_training.judge.calibrate import fit_temperature
from cxr_training.recipe.recipe import Recipe
from tests.training.helpers import (
    RUN_CONTENTS,
    Killed,
    command_line,
    killed,
    saves_keras_variables,
    table,
    write_labelled_folder,
)

pytestmark = saves_keras_variables
PER_CLASS = 48  # enough for two folds that are each split by ten once more


slow = pytest.mark.slow  # what begins with the trainings of `done`


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_labelled_folder(tmp_path_factory.mktemp("many") / "films", PER_CLASS)


@pytest.fixture(scope="module")
def asked(tmp_path_factory: pytest.TempPathFactory, many: Path, recipe: Recipe) -> CrossValidation:
    job = TrainingJob(replace(recipe, epochs=2), many, tmp_path_factory.mktemp("cv") / "out")
    return CrossValidation(job, folds=2, seeds=1)


@pytest.fixture(scope="module")
def done(asked: CrossValidation) -> Path:
    """OUT of a cross-validation that was killed between and inside its folds."""
    with pytest.MonkeyPatch.context() as patch, pytest.raises(Killed):
        patch.setattr(crossval, "_score_fold", killed)
        cross_validate(asked)
    with pytest.MonkeyPatch.context() as patch, pytest.raises(Killed):
        patch.setattr(training, "validation_metrics", killed)
        cross_validate(asked)
    assert (asked.job.out / "seed-1" / "fold-2" / "checkpoint").is_dir()
    assert "cnn3_50, recipe tiny, patients folds, seeds 1" in cross_validate(asked)
    return asked.job.out


@pytest.fixture(scope="module")
def summary(done: Path) -> dict[str, Any]:
    read: dict[str, Any] = json.loads((done / "summary.json").read_text())
    return read


def folds_of(path: Path) -> dict[str, int]:
    return {row["name"]: int(row["fold"]) for row in table(path)}


@slow
def test_out_holds_what_it_promises(done: Path) -> None:
    assert {path.name for path in done.iterdir()} == {
        *("plan.json", "folds.csv", "seed-1", "out_of_fold.csv", "summary.json", "summary.txt")
    }
    for fold in ("fold-1", "fold-2"):
        inside = {path.name for path in (done / "seed-1" / fold).iterdir()}
        assert inside == {*RUN_CONTENTS, "out_of_fold.csv"}


@slow
def test_every_film_is_scored_once_by_a_network_that_never_saw_its_patient(
    done: Path, many: Path
) -> None:
    rows = table(done / "out_of_fold.csv")
    names = [file.name for file in find_labelled(many)]
    assert [row["name"] for row in rows] == names
    for fold in (1, 2):
        folder = done / "seed-1" / f"fold-{fold}"
        held_out = {row["patient"] for row in rows if int(row["fold"]) == fold}
        kept = {row["patient"] for row in rows if int(row["fold"]) != fold}
        assert not held_out & kept
        data = json.loads((folder / "run.json").read_text())["data"]
        assert data["train"]["patients"] + data["validation"]["patients"] == len(kept)
        validated = {row["name"] for row in table(folder / "predictions.csv")}
        assert not validated & {row["name"] for row in table(folder / "out_of_fold.csv")}


@slow
def test_scores_are_those_of_the_networks_on_one_scale(
    done: Path, many: Path, asked: CrossValidation, summary: dict[str, Any]
) -> None:
    import keras

    folder = done / "seed-1" / "fold-2"
    fold_of = folds_of(done / "folds.csv")
    images, _ = load_images(find_labelled(many), 50)
    held_out = images.subset([i for i, f in enumerate(images.files) if fold_of[f.name] == 2])
    model = keras.models.load_model(folder / "model.keras", compile=False)
    temperature = fit_temperature(*read_scores(folder / "predictions.csv"))
    assert summary["temperatures"][0][1] == pytest.approx(temperature, abs=1e-4)
    pooled = [float(r["logit"]) for r in table(done / "out_of_fold.csv") if r["fold"] == "2"]
    expected = logits_of(model, held_out.pixels) / temperature
    np.testing.assert_allclose(pooled, expected, atol=1e-3)


@slow
def test_the_summary_says_what_it_is_about(
    summary: dict[str, Any], asked: CrossValidation, done: Path
) -> None:
    assert summary["recipe"] == asked.job.recipe.to_dict()
    assert (summary["scheme"], summary["seeds"], len(summary["folds"])) == ("patients", [1], 2)
    assert summary["pooled"]["NORMAL"] == PER_CLASS
    assert set(summary["operating_points"]) == {"screening", "balanced"}
    assert (
        "2 patients folds x 1 seeds of films" in (summary["operating_points"]["screening"]["data"])
    )
    auc = summary["pooled"]["auc"]
    assert auc["per_seed"] == pytest.approx([auc["value"]], abs=1e-6)
    assert auc["value"] > 0.9
    assert (done / "summary.txt").read_text().startswith("cnn3_50, recipe tiny")


def test_points_say_of_how_many_films_no_patient_is_known(
    asked: CrossValidation, films: Path
) -> None:
    images, _ = load_images(find_labelled(films), 8)
    assert "unknown" not in crossval.describe(asked, images)
    strange = tuple(replace(f, patient_from=ALONE) for f in images.files[:7])
    some = replace(images, files=strange + images.files[7:])
    said = f"; patients of 7 of {len(images.files)} films unknown"
    assert crossval.describe(asked, some).endswith(said)


@slow
def test_a_finished_fold_is_not_trained_again(
    done: Path, asked: CrossValidation, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = {path: path.read_bytes() for path in done.rglob("*") if path.is_file()}
    with monkeypatch.context() as patch:
        patch.setattr(training, "train_on", killed)
        patch.setattr(folds, "assign", killed)
        cross_validate(asked)
    assert {path: path.read_bytes() for path in done.rglob("*") if path.is_file()} == before


@slow
def test_more_seeds_go_on_and_keep_the_folds(
    done: Path, asked: CrossValidation, monkeypatch: pytest.MonkeyPatch
) -> None:
    trained: list[tuple[int, Path]] = []

    def record(loaded: training.LoadedData, job: TrainingJob) -> None:
        trained.append((job.recipe.seed, job.out))
        raise Killed

    with monkeypatch.context() as patch, pytest.raises(Killed):
        patch.setattr(training, "train_on", record)
        cross_validate(replace(asked, seeds=2))
    assert trained == [(2, done / "seed-2" / "fold-1")]


@slow
def test_another_plan_is_refused(done: Path, asked: CrossValidation, recipe: Recipe) -> None:
    other = replace(asked.job, recipe=replace(recipe, seed=2))
    for changed in (
        replace(asked, folds=3),
        replace(asked, scheme="style"),
        replace(asked, job=other),
    ):
        with pytest.raises(InputError, match="holds folds of another recipe"):
            cross_validate(changed)


@slow
def test_a_plan_of_before_recipes_had_a_field_is_still_this_one(
    done: Path, asked: CrossValidation, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = done / "plan.json"
    written = plan.read_text()
    older = json.loads(written)
    del older["recipe"]["augmentation"]["frame"]
    plan.write_text(json.dumps(older))
    with monkeypatch.context() as patch:
        patch.setattr(training, "train_on", killed)
        cross_validate(asked)
    plan.write_text(written)


def test_two_do_not_work_on_one_folder(tmp_path: Path, asked: CrossValidation) -> None:
    mine = replace(asked, job=replace(asked.job, out=tmp_path))
    with locked(tmp_path, "x"), pytest.raises(StateBusyError, match="another process works on"):
        cross_validate(mine)


@slow
@pytest.mark.parametrize("content", [None, "", "name,fold\nNORMAL/x.png,1\n", "name\nx\n"])
def test_folds_that_are_gone_or_cut_are_refused(
    done: Path, tmp_path: Path, asked: CrossValidation, content: str | None
) -> None:
    shutil.copy(done / "plan.json", tmp_path)
    if content is not None:
        (tmp_path / "folds.csv").write_text(content)
    with pytest.raises(InputError, match=r"folds\.csv (cannot be read|is about [01] films)"):
        cross_validate(replace(asked, job=replace(asked.job, out=tmp_path)))


def test_what_cannot_be_read_is_said_at_once(
    tmp_path: Path, many: Path, asked: CrossValidation, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    broken = tmp_path / "films"
    shutil.copytree(many, broken)
    (broken / "NORMAL" / "[b]\x1b[2Jbroken.png").write_bytes(b"")
    mine = replace(asked, job=replace(asked.job, data=broken, out=tmp_path / "out"))
    with monkeypatch.context() as patch, pytest.raises(Killed):
        patch.setattr(folds, "assign", killed)
        cross_validate(mine)
    said = capsys.readouterr().err
    assert r"left out, unreadable: 1 (first NORMAL/[b]\x1b[2Jbroken.png: empty" in said


def test_a_foreign_folder_is_refused(tmp_path: Path, asked: CrossValidation) -> None:
    (tmp_path / "thesis.tex").write_text("mine")
    with pytest.raises(InputError, match="is not empty and holds no folds"):
        cross_validate(replace(asked, job=replace(asked.job, out=tmp_path)))


def test_a_kill_before_the_plan_can_be_repeated(
    tmp_path: Path, asked: CrossValidation, monkeypatch: pytest.MonkeyPatch
) -> None:
    mine = replace(asked, job=replace(asked.job, out=tmp_path))
    for owner, step in ((crossval, "write_json"), (training, "train_on")):
        with monkeypatch.context() as patch, pytest.raises(Killed):
            patch.setattr(owner, step, killed)
            cross_validate(mine)
    assert {path.name for path in tmp_path.iterdir()} == {"folds.csv", "plan.json"}


def test_style_folds_say_how_each_film_looks(
    tmp_path: Path, asked: CrossValidation, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every film is measured; then the looks, here made up, decide."""
    mine = replace(asked, job=replace(asked.job, out=tmp_path), scheme="style")
    looks = np.linspace(0, 1, 2 * PER_CLASS)

    def propensity(figures: Any, images: Any, seed: int) -> Any:
        assert figures.shape == (len(images.files), 14)
        assert seed == mine.job.recipe.seed
        return looks

    with monkeypatch.context() as patch, pytest.raises(Killed):
        patch.setattr(training, "train_on", killed)
        patch.setattr(folds.style, "propensity", propensity)
        cross_validate(mine)
    rows = table(tmp_path / "folds.csv")
    assert [float(row["style_propensity"]) for row in rows] == pytest.approx(looks, abs=1e-4)
    assert [int(row["fold"]) for row in rows[:PER_CLASS]] == [1] * 24 + [2] * 24


@pytest.mark.parametrize("k", [2, 5])
def test_patient_folds_share_classes_and_no_patient(many: Path, k: int) -> None:
    images, _ = load_images(find_labelled(many), 50)
    fold_of = folds.patient_folds(images, k, 0)
    assert set(fold_of) == set(range(1, k + 1))
    for label in (0, 1):
        sizes = np.bincount(fold_of[images.labels == label])[1:]
        assert np.ptp(sizes) <= 4
    for fold in set(fold_of):
        inside, outside = (
            {
                f.patient
                for f, number in zip(images.files, fold_of, strict=True)
                if here == (number == fold)
            }
            for here in (True, False)
        )
        assert not inside & outside


@pytest.mark.parametrize("scheme", ["patients", "style"])
def test_a_fold_of_one_class_is_refused(
    many: Path, scheme: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As many normals as folds, of fewer patients: before hours of training."""
    images, _ = load_images(find_labelled(many), 50)
    few = images.subset([*range(6), *range(PER_CLASS, 2 * PER_CLASS)])
    monkeypatch.setattr(folds.style, "all_statistics", lambda _: None)
    monkeypatch.setattr(folds.style, "propensity", lambda *_: np.arange(len(few.files)) / 99)
    assert set(folds.assign(few, scheme, 3, 0)[0]) == {1, 2, 3}
    with pytest.raises(DataError, match=r"fold \d of 5 holds no NORMAL") as refused:
        folds.assign(few, scheme, 5, 0)
    assert "fewer --folds" in refused.value.tip


def test_a_training_part_without_a_class_is_refused_before_the_first_fold(
    many: Path, tmp_path: Path, asked: CrossValidation, monkeypatch: pytest.MonkeyPatch
) -> None:
    few = tmp_path / "few"
    shutil.copytree(many, few)
    for path in sorted((few / "NORMAL").iterdir())[12:]:
        path.unlink()
    mine = replace(asked, job=replace(asked.job, data=few, out=tmp_path / "out"))
    monkeypatch.setattr(training, "train_on", killed)
    with pytest.raises(DataError, match="holds one class only"):
        cross_validate(mine)
    assert not list((tmp_path / "out").iterdir()), "nothing is claimed"


@slow
def test_on_the_command_line(
    done: Path, many: Path, asked: CrossValidation, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    seen: list[CrossValidation] = []
    monkeypatch.setattr(crossval, "cross_validate", lambda it: seen.append(it) or "table\n")
    common = ("cnn3_50", "--data", many, "--out", done)
    options = ("--folds", 5, "--seeds", 3, "--scheme", "style")
    assert command_line(monkeypatch, "train", *common, *options) == 0
    assert capsys.readouterr().err == f"table\nfolds complete: {done}\n"
    ((made),) = seen
    assert (made.folds, made.seeds, made.scheme, made.job.out) == (5, 3, "style", done)


@pytest.mark.parametrize("option", [("--seeds", 3), ("--scheme", "style")], ids=str)
def test_options_of_folds_need_folds(
    many: Path, option: tuple[Any, ...], monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    common = ("cnn3_50", "--data", many, "--out", "x")
    assert command_line(monkeypatch, "train", *common, *option) == 2
    assert "--seeds and --scheme are for --folds" in capsys.readouterr().err


def test_a_fold_has_its_threshold_from_films_as_they_are() -> None:
    """A network's own operating points are chosen on copies; folds keep their rule."""
    labels = np.array([0] * 50 + [1] * 50)
    logits = np.linspace(-5, 5, 100)
    threshold = crossval.screening_threshold(labels, logits)
    flagged = expit(logits).round(6) >= threshold
    assert flagged[labels == 1].mean() == 0.98
