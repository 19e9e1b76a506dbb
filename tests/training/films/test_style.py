"""Style figures, and folds that hold out a style."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from cxr_edge.errors import DataError
from cxr_training.films import style
from cxr_training.films.data import ImageSet, LabelledFile, find_labelled

SIDE = 448


def figures_of(folder: Path, pixels: NDArray[np.uint8]) -> dict[str, float]:
    path = folder / "film.png"
    Image.fromarray(pixels).save(path)
    found = style.statistics(LabelledFile(path, 0, "1"))
    return dict(zip(style.STATISTICS, found, strict=True))


def image_set(labels: list[int], patients: list[str]) -> ImageSet:
    files = tuple(
        LabelledFile(Path(f"{i}.png"), label, patient)
        for i, (label, patient) in enumerate(zip(labels, patients, strict=True))
    )
    pixels = np.zeros((len(labels), 1, 1, 1), np.uint8)
    return ImageSet(files, pixels, np.array(labels, np.float32), "0" * 64)


def test_levels_are_grey_levels_and_shares(tmp_path: Path) -> None:
    film = np.full((SIDE, SIDE), 100, np.uint8)
    film[:, : SIDE // 2] = 0
    film[: SIDE // 4] = 255
    found = figures_of(tmp_path, film)
    assert found["mean"] == pytest.approx(film.mean(), abs=1)
    assert found["deviation"] == pytest.approx(film.std(), abs=1)
    assert (found["percentile_1"], found["percentile_99"]) == (0, 255)
    assert found["white"] == pytest.approx(0.25, abs=0.02)
    assert found["black"] == pytest.approx(0.375, abs=0.02)
    assert found["bytes"] == (tmp_path / "film.png").stat().st_size


@pytest.mark.parametrize(
    ("name", "where"),
    [
        ("top", np.s_[:16]),
        ("bottom", np.s_[-16:]),
        ("left", np.s_[:, :16]),
        ("right", np.s_[:, -16:]),
    ],
    ids=["top", "bottom", "left", "right"],
)
def test_borders_are_told_apart(tmp_path: Path, name: str, where: tuple[slice, ...]) -> None:
    film = np.full((SIDE, SIDE), 100, np.uint8)
    film[where] = 200
    found = figures_of(tmp_path, film)
    assert found[name] > 190
    assert all(found[k] < 120 for k in ("top", "bottom", "left", "right") if k != name)


def test_sharpness_has_a_direction(tmp_path: Path) -> None:
    stripes = np.tile(np.repeat(np.array([80, 160], np.uint8), 8), SIDE // 16)
    found = figures_of(tmp_path, np.tile(stripes, (SIDE, 1)))
    turned = figures_of(tmp_path, np.tile(stripes, (SIDE, 1)).T.copy())
    assert found["fine_across"] > 10 * found["fine_down"]
    assert turned["fine_down"] == pytest.approx(found["fine_across"], rel=0.05)
    assert turned["log_fine_ratio"] == pytest.approx(-found["log_fine_ratio"], rel=0.05)
    assert found["log_fine_ratio"] > 0


def test_propensity_is_fitted_on_other_patients() -> None:
    """What tells the classes apart is learnt; what tells patients apart cannot be."""
    rng = np.random.default_rng(0)
    patients = [str(i // 4) for i in range(400)]
    labels = [i // 4 % 2 for i in range(400)]
    useless = rng.normal(size=(100, 14)).repeat(4, axis=0)
    looks = style.propensity(useless, image_set(labels, patients), 0)
    assert 0.3 < (looks.round() == labels).mean() < 0.7
    useful = useless + np.array(labels)[:, np.newaxis] * 3
    looks = style.propensity(useful, image_set(labels, patients), 0)
    assert (looks.round() == labels).mean() > 0.95


def test_too_few_films_for_a_propensity_are_refused() -> None:
    with pytest.raises(DataError, match="too few images to tell styles apart"):
        style.propensity(np.zeros((4, 14)), image_set([0, 0, 1, 1], list("abcd")), 0)


def test_bands_of_normals_by_look_and_pneumonias_by_chance() -> None:
    labels = [0] * 100 + [1] * 300
    patients = [f"{label}-{i // 2}" for i, label in enumerate(labels)]
    looks = np.concatenate((np.linspace(0, 1, 100)[::-1], np.linspace(0, 1, 300)))
    fold_of = style.style_folds(image_set(labels, patients), looks, 5, seed=0)
    normal, pneumonia = fold_of[:100], fold_of[100:]
    assert (np.diff(normal) <= 0).all(), "the most pneumonia-like normals are in the last fold"
    assert np.bincount(normal)[1:].tolist() == [20] * 5
    assert np.bincount(pneumonia)[1:].tolist() == [60] * 5
    means = [looks[100:][pneumonia == fold].mean() for fold in range(1, 6)]
    assert np.ptp(means) < 0.25, "pneumonias are dealt out by chance"
    for patient in set(patients):
        assert len(set(fold_of[[p == patient for p in patients]])) == 1


def test_a_patient_with_both_classes_is_in_one_fold_by_style() -> None:
    labels = [0, 0, 1, 0, 0, 1, 1]
    patients = ["a", "b", "b", "c", "d", "e", "f"]
    looks = np.array([0.1, 0.8, 1.0, 0.2, 0.7, 0.5, 0.5])
    fold_of = style.style_folds(image_set(labels, patients), looks, 2, seed=0)
    assert fold_of[:5].tolist() == [1, 2, 2, 1, 2]


def test_another_seed_deals_the_pneumonias_only() -> None:
    labels, looks = [0] * 40 + [1] * 40, np.linspace(0, 1, 80)
    shown = image_set(labels, [str(i) for i in range(80)])
    one, two = (style.style_folds(shown, looks, 4, seed) for seed in (0, 1))
    assert (one[:40] == two[:40]).all()
    assert (one[40:] != two[40:]).any()
    assert (one == style.style_folds(shown, looks, 4, 0)).all()


def test_a_film_is_measured_once_for_all_folds_seeds_and_trials(
    labelled: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = find_labelled(labelled)
    measured = style.all_statistics(files)
    monkeypatch.setattr(style, "statistics", None)
    for first in (2, 4):
        np.testing.assert_array_equal(style.all_statistics(files[first:]), measured[first:])
