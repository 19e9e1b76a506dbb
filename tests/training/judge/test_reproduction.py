"""The table beside the source report's: figures against scikit-learn, and what is refused."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.special import expit
from sklearn.metrics import accuracy_score, recall_score, roc_auc_score

from cxr_edge.errors import DataError, InputError
from cxr_training.films.data import find_labelled, load_images
from cxr_training.judge import reproduction
from tests.factories import in_other_bytes
from tests.training.helpers import EPOCHS, command_line, saves_keras_variables

pytestmark = saves_keras_variables


@pytest.fixture(scope="module")
def held_back(labelled: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The pictures of the labelled films in other bytes, so that they are not the training's."""
    return in_other_bytes(labelled, tmp_path_factory.mktemp("test") / "held_back")


def unsure(_: object, pixels: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Logits around the threshold, so that both classes are mistaken."""
    return np.random.default_rng(0).normal(size=len(pixels))


def test_a_row_is_what_scikit_learn_says(
    held_back: Path, finished: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reproduction, "logits_of", unsure)
    header, _, row = reproduction.rows(held_back, [finished])
    images, _ = load_images(find_labelled(held_back), 50)
    probability = expit(unsure(None, images.pixels))
    predicted = probability > 0.5
    cells = dict(zip(header.split(" | "), row.split(" | "), strict=True))
    assert cells["recipe, epochs, seed"] == f"`tiny`, {EPOCHS}, 1"
    for name, value in {
        "accuracy": accuracy_score(images.labels, predicted),
        "normals": recall_score(images.labels, predicted, pos_label=0),
        "pneumonias": recall_score(images.labels, predicted, pos_label=1),
        "AUC": roc_auc_score(images.labels, probability),
    }.items():
        found, low, high = map(float, re.findall(r"[\d.]+", cells[name]))
        assert found == pytest.approx(value, abs=5e-4), name
        assert low < found < high


def test_intervals_are_by_patient(held_back: Path) -> None:
    """Every film twice says no more about other patients than once; as strangers it would seem."""
    images, _ = load_images(find_labelled(held_back), 50)
    probability = np.random.default_rng(0).random(len(images.labels))
    twice = images.subset(np.tile(np.arange(len(images.files)), 2))
    for once, doubled in zip(
        reproduction.figures(images, probability),
        reproduction.figures(twice, np.tile(probability, 2)),
        strict=True,
    ):
        assert once is not None
        assert doubled is not None
        assert (doubled.low, doubled.high) == pytest.approx((once.low, once.high))
        assert once.low < once.value < once.high


def test_all_right_is_not_certain(held_back: Path) -> None:
    """Wilson's interval over the 15 patients of a class."""
    images, _ = load_images(find_labelled(held_back), 50)
    _, normals, pneumonias, _ = reproduction.figures(images, np.ones(len(images.labels)))
    assert normals is not None
    assert pneumonias is not None
    assert (normals.value, normals.low, normals.high) == pytest.approx((0, 0, 0.204), abs=1e-3)
    assert (pneumonias.value, pneumonias.low) == pytest.approx((1, 0.796), abs=1e-3)


def test_the_training_films_test_nothing(films: Path, finished: Path, tmp_path: Path) -> None:
    readable = Path(shutil.copytree(films, tmp_path / "films"))
    (readable / "NORMAL" / "broken.png").unlink()
    with pytest.raises(DataError, match="it tests nothing"):
        list(reproduction.rows(readable, [finished]))


def test_one_film_of_the_training_is_told_by_its_bytes(
    held_back: Path, labelled: Path, finished: Path, tmp_path: Path
) -> None:
    """Whatever it is called now, and whatever else is new."""
    mixed = Path(shutil.copytree(held_back, tmp_path / "mixed"))
    known = next((labelled / "NORMAL").iterdir())
    shutil.copy(known, mixed / "NORMAL" / f"another{known.suffix}")
    with pytest.raises(DataError, match=r"1 of 61 films of .*mixed.* \(first NORMAL/another"):
        list(reproduction.rows(mixed, [finished]))


def test_a_run_of_before_its_films_were_kept_is_judged(
    held_back: Path, finished: Path, tmp_path: Path
) -> None:
    older = Path(shutil.copytree(finished, tmp_path / "run"))
    (older / "films.csv").unlink()
    assert len(list(reproduction.rows(held_back, [older]))) == 3


def test_a_film_that_cannot_be_read_is_no_detail(films: Path, finished: Path) -> None:
    with pytest.raises(
        DataError, match=r"films of .* cannot be read: 1, the first is NORMAL/broken"
    ):
        list(reproduction.rows(films, [finished]))


def test_an_unfinished_run_is_refused(held_back: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="holds no finished run"):
        list(reproduction.rows(held_back, [tmp_path]))
    (tmp_path / "run.json").write_text('{"net": "cnn3_50"}')
    with pytest.raises(InputError, match=r"no model\.keras"):
        list(reproduction.rows(held_back, [tmp_path]))
    (tmp_path / "model.keras").touch()
    with pytest.raises(
        InputError, match=r"run\.json lacks data, epochs, metrics, operating_points, recipe, seed"
    ):
        list(reproduction.rows(held_back, [tmp_path]))


def test_who_saw_films_otherwise_is_refused(
    held_back: Path, finished: Path, tmp_path: Path
) -> None:
    copied = Path(shutil.copytree(finished, tmp_path / "run"))
    described = json.loads((copied / "run.json").read_text())
    del described["preprocessing_version"]
    (copied / "run.json").write_text(json.dumps(described))
    with pytest.raises(InputError, match="trained through another preprocessing"):
        list(reproduction.rows(held_back, [copied]))


def test_on_the_command_line(
    held_back: Path,
    finished: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert command_line(monkeypatch, "runs", "reproduce", held_back, finished, finished) == 0
    header, ruler, *found = capsys.readouterr().out.splitlines()
    assert [header.count("|"), ruler.count("|")] == [found[0].count("|")] * 2
    assert found[0] == found[1]
