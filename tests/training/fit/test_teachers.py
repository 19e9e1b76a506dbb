"""Distillation: what a student is told, and who may not teach it."""

from __future__ import annotations

import hashlib
import json
import shutil
from dataclasses import replace
from pathlib import Path

import keras
import numpy as np
import pytest

from cxr_edge.errors import InputError
from cxr_training.crossval.crossval import CrossValidation, cross_validate
from cxr_training.films.data import find_labelled, load_images
from cxr_training.fit import training
from cxr_training.fit.teachers import NOBODY, Teacher, Teachers, load_teachers, reduced
from cxr_training.fit.training import TrainingJob
from cxr_training.fit.training_batches import TrainingBatches
from cxr_training.nets import NETS, NetOptions
from cxr_training.recipe.recipe import Recipe
from cxr_training.recipe.sections import Augmentation
from tests.training.helpers import Killed, command_line, killed, saves_keras_variables, table

pytestmark = saves_keras_variables


@pytest.fixture(scope="module")
def taught(recipe: Recipe) -> Recipe:
    return replace(recipe, name="taught", epochs=1, distillation=0.75)


def copied(finished: Path, to: Path, **changes: object) -> Path:
    """A run with another run.json."""
    shutil.copytree(finished, to)
    described = json.loads((to / "run.json").read_text())
    (to / "run.json").write_text(json.dumps({**described, **changes}))
    return to


@pytest.mark.slow
def test_a_label_is_drawn_towards_what_the_teachers_say_of_the_changed_film(
    finished: Path, films: Path, taught: Recipe
) -> None:
    images, _ = load_images(find_labelled(films), 50)
    plain = TrainingBatches(images, taught, 0)[0]
    teachers = load_teachers([finished, finished], 0.75)
    planes, labels, _ = TrainingBatches(images, taught, 0, teachers)[0]
    np.testing.assert_array_equal(planes, plain[0])
    teacher = keras.models.load_model(finished / "model.keras", compile=False)
    said = teacher.predict(planes, verbose=0)
    np.testing.assert_allclose(labels, 0.25 * plain[1] + 0.75 * said, atol=1e-5)
    assert np.ptp(said) > 0.1
    assert labels.dtype == plain[1].dtype == np.float32


def test_teachers_weigh_the_same() -> None:
    class Said(Teacher):
        def probability(self, planes: object) -> np.ndarray:
            return np.array([self.model], np.float32)

    members = tuple(Said(value, frozenset(), {}) for value in (0.2, 0.6))
    told = Teachers(members, 0.5).labels(np.zeros((1, 4, 4), np.float32), np.ones(1, np.float32))
    assert told == pytest.approx(0.7)
    assert NOBODY.labels(np.zeros((1, 4, 4), np.float32), np.ones(1, np.float32)) == 1


def test_a_teacher_may_look_at_smaller_films_than_its_student() -> None:
    model = NETS["cnn3_50"].build(NetOptions(normalization="per_image"))
    film = np.random.default_rng(0).uniform(0, 255, (8, 8)).astype(np.float32)
    large = np.stack([np.kron(film, np.ones((16, 16), np.float32))] * 2)
    said = Teacher(model, frozenset(), {}).probability(large)
    assert said.shape == (2,)
    assert said[0] == said[1]


@pytest.mark.slow
def test_a_run_says_who_taught_it(
    tmp_path: Path, finished: Path, films: Path, taught: Recipe
) -> None:
    out = tmp_path / "student"
    training.train(TrainingJob(taught, films, out, teachers=(finished,)))
    described = json.loads((out / "run.json").read_text())
    (epoch,) = table(out / "history.csv")
    assert 0.3 < float(epoch["auc"]) <= 1  # against the class that weighs more
    assert 0.3 < float(epoch["binary_accuracy"]) <= 1
    (teacher,) = described["teachers"]
    sha256 = hashlib.sha256((finished / "model.keras").read_bytes()).hexdigest()
    assert (teacher["net"], teacher["model_sha256"]) == ("cnn3_50", sha256)
    assert described["recipe"]["distillation"] == 0.75
    assert "teachers" not in json.loads((finished / "run.json").read_text())


@pytest.mark.slow
def test_a_killed_run_goes_on_with_the_same_teachers_only(
    tmp_path: Path, finished: Path, films: Path, taught: Recipe, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = TrainingJob(replace(taught, epochs=2), films, tmp_path / "out", teachers=(finished,))
    with monkeypatch.context() as patch, pytest.raises(Killed):
        patch.setattr(training, "_finish", killed)
        training.train(job)
    other = copied(finished, tmp_path / "other")
    with pytest.raises(InputError, match="unfinished run of another recipe"):
        training.train(replace(job, teachers=(other,)))
    training.train(job)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"data": {"sha256": "0" * 64}}, "was trained on other data"),
        ({"preprocessing_version": 1}, "with another preprocessing"),
        ({"trained_preprocessing_version": 1}, "with another preprocessing"),
        ({"data": {}}, "is no finished run"),
    ],
    ids=["data", "preprocessing", "judged again", "damaged"],
)
def test_who_learnt_elsewhere_is_no_teacher(
    tmp_path: Path,
    finished: Path,
    films: Path,
    taught: Recipe,
    change: dict[str, object],
    says: str,
) -> None:
    teacher = copied(finished, tmp_path / "teacher", **change)
    with pytest.raises(InputError, match=says):
        training.train(TrainingJob(taught, films, tmp_path / "out", teachers=(teacher,)))
    assert not (tmp_path / "out").exists()


def test_who_knows_the_validation_films_is_no_teacher(
    tmp_path: Path, finished: Path, films: Path, taught: Recipe
) -> None:
    job = TrainingJob(replace(taught, seed=2), films, tmp_path / "out", teachers=(finished,))
    with pytest.raises(InputError, match="trained on films that validate here"):
        training.train(job)


def test_a_teacher_may_look_at_larger_films_than_its_student(films: Path, taught: Recipe) -> None:
    """It says what it says of the large film; the student gets that film reduced."""
    large, _ = load_images(find_labelled(films), 96)
    keras.utils.set_random_seed(0)
    teacher = Teacher(
        NETS["resnet18_96"].build(NetOptions(normalization="per_image")), frozenset(), {}
    )
    teachers = Teachers((teacher,), 1.0)
    small, _ = load_images(find_labelled(films), 50)
    films_read = teachers.films(small)
    np.testing.assert_array_equal(films_read.pixels, large.pixels)

    still = replace(taught, augmentation=Augmentation(), shuffle=False)
    planes, labels, _ = TrainingBatches(films_read, still, 0, teachers)[0]
    count = still.batch_size
    assert planes.shape == (count, 50, 50, 3)
    as_read = large.pixels[:count, ..., 0].astype(np.float32)
    np.testing.assert_allclose(labels[:, 0], teacher.probability(as_read), atol=1e-6)
    np.testing.assert_array_equal(planes[..., 0], reduced(as_read, 50))


def test_nothing_is_enlarged_for_a_network() -> None:
    with pytest.raises(ValueError, match="films of 50 pixels for a network of 96"):
        reduced(np.zeros((1, 50, 50), np.float32), 96)


def test_films_are_read_once_where_no_teacher_takes_larger_ones(films: Path) -> None:
    images, _ = load_images(find_labelled(films), 50)
    model = NETS["cnn3_50"].build(NetOptions())
    assert Teachers((Teacher(model, frozenset(), {}),), 0.5).films(images) is images
    assert NOBODY.films(images) is images


def test_films_that_are_gone_when_a_teacher_wants_them_stop_the_run(
    films: Path, tmp_path: Path
) -> None:
    copy = tmp_path / "films"
    shutil.copytree(films, copy)
    images, _ = load_images(find_labelled(copy), 50)
    images.files[0].path.unlink()
    model = NETS["resnet18_96"].build(NetOptions())
    with pytest.raises(InputError, match="could not be read a second time"):
        Teachers((Teacher(model, frozenset(), {}),), 0.5).films(images)


@pytest.mark.parametrize(("weight", "count"), [(0.0, 1), (0.5, 0)])
def test_teachers_and_their_weight_go_together(finished: Path, weight: float, count: int) -> None:
    with pytest.raises(InputError, match="teacher"):
        load_teachers([finished] * count, weight)


@pytest.mark.slow
def test_folds_are_taught_by_the_networks_of_the_same_fold(
    tmp_path: Path, labelled: Path, recipe: Recipe, monkeypatch: pytest.MonkeyPatch
) -> None:
    fewer = replace(recipe, epochs=1, validation_tenths=5)
    teachers = CrossValidation(TrainingJob(fewer, labelled, tmp_path / "teachers"), folds=2)
    cross_validate(teachers)
    student = replace(fewer, distillation=0.5)
    job = TrainingJob(student, labelled, tmp_path / "students", teachers=(teachers.job.out,))
    cross_validate(CrossValidation(job, folds=2))
    for fold in ("fold-1", "fold-2"):
        described = json.loads((job.out / "seed-1" / fold / "run.json").read_text())
        model = (teachers.job.out / "seed-1" / fold / "model.keras").read_bytes()
        assert described["teachers"][0]["model_sha256"] == hashlib.sha256(model).hexdigest()
    plan = json.loads((job.out / "plan.json").read_text())
    assert plan["teachers"] == [fewer.sha256()]

    other = replace(job, out=tmp_path / "others")
    for asked, says in (
        (CrossValidation(other, folds=3), "has other folds"),
        (CrossValidation(other, folds=2, scheme="style"), "has other folds"),
        (CrossValidation(other, folds=2, seeds=2), "has no finished fold 1 of seed 2"),
        (CrossValidation(replace(other, teachers=()), folds=2), "asks for teachers"),
        (CrossValidation(replace(other, teachers=(labelled,)), folds=2), "holds no folds"),
    ):
        with pytest.raises(InputError, match=says):
            cross_validate(asked)
    assert list(other.out.iterdir()) in ([], [other.out / ".lock"]) or not other.out.exists()


def test_the_command_passes_its_teachers_on(
    tmp_path: Path,
    finished: Path,
    films: Path,
    recipe_file: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    arguments = ("cnn3_50", "--data", films, "--recipe", recipe_file, "--out", tmp_path / "out")
    assert command_line(monkeypatch, "train", *arguments, "--teacher", finished) == 2
    assert "error: the recipe weighs no teacher" in capsys.readouterr().err
