"""Known flips of a network that is made up: its probability is the mean grey level."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from cxr_edge.errors import DataError
from cxr_edge.model.reliability import Turned
from cxr_edge.statistics.operating_points import OperatingPoint, Proportion
from cxr_export.film_changes import CHANGES, UNCHANGED, Change
from cxr_export.robustness import robustness, seen, turned
from cxr_training.films.data import ImageSet, find_labelled, load_images

SIZE = 50
HALF = Proportion.of(1, 2)
POINTS = {
    name: OperatingPoint(threshold, "made up", HALF, HALF, "nothing")
    for name, threshold in (("screening", 0.3), ("balanced", 0.5))
}
BY_NAME = {change.name: change for change in CHANGES}
# Mean grey levels: three that cross 0.5 (127.5) and one that crosses 0.3 (76.5) by 32 levels.
LEVELS = {
    "NORMAL": [60, 100, 101, 170, *[40] * 8],
    "PNEUMONIA": [140, 150, 99, 200, *[210] * 8],
}


def chest(level: int) -> NDArray[np.uint8]:
    """Dark corners and a bright middle, so that no gate takes it for inverted or blank."""
    down, across = np.mgrid[-1:1:224j, -1:1:224j]
    shape = np.cos(np.pi * down) + np.cos(np.pi * across)
    return (level + 15 * (shape - shape.mean())).round().clip(0, 255).astype(np.uint8)


@pytest.fixture
def films(tmp_path: Path) -> ImageSet:
    """Twelve films a class, a patient each."""
    for kind, levels in LEVELS.items():
        (tmp_path / kind).mkdir()
        for number, level in enumerate(levels):
            Image.fromarray(chest(level)).save(tmp_path / kind / f"{kind}-{number:02}.png")
    images, _ = load_images(find_labelled(tmp_path), SIZE)
    return images


def mean_grey(pixels: NDArray[np.uint8]) -> NDArray[np.float64]:
    """A network."""
    return pixels.reshape(len(pixels), -1).mean(axis=1) / 255


def test_flips_by_point_and_direction(films: ImageSet) -> None:
    changes = [BY_NAME[f"{way} by 32 levels"] for way in ("darker", "brighter")]
    same, darker, brighter = robustness(films, mean_grey, POINTS, [UNCHANGED, *changes])
    nothing = Turned(0, 0, 0)
    assert (same.turned, same.mean, same.largest) == (
        {"screening": nothing, "balanced": nothing},
        0.0,
        0.0,
    )
    # Screening: normals 100 and 101 and pneumonia 99 fall under 76.5.
    assert darker.turned["screening"] == Turned(films=3, missed=1, alarms=0)
    assert darker.turned["balanced"] == Turned(films=2, missed=2, alarms=0)
    # Screening: normal 60 rises over 76.5; balanced: 100 and 101 over 127.5, and pneumonia 99.
    assert brighter.turned["screening"] == Turned(films=1, missed=0, alarms=1)
    assert brighter.turned["balanced"] == Turned(films=3, missed=0, alarms=2)
    assert darker.largest == pytest.approx(32 / 255, abs=0.002)
    assert 0.1 < darker.mean <= darker.largest
    assert same.auc.value == pytest.approx(_area())
    assert (same.auc.patients, same.warned, darker.warned) == (24, 0, 0)


def _area() -> float:
    """Pairs in which the pneumonia is the brighter film; none are equal."""
    pairs = [(n, p) for n in LEVELS["NORMAL"] for p in LEVELS["PNEUMONIA"]]
    return sum(p > n for n, p in pairs) / len(pairs)


def test_inverted_films_turn_the_area_round_and_are_warned_about(films: ImageSet) -> None:
    same, inverted = robustness(films, mean_grey, POINTS, [UNCHANGED, BY_NAME["inverted"]])
    assert inverted.auc.value == pytest.approx(1 - same.auc.value, abs=0.01)
    assert (same.warned, inverted.warned) == (0, len(films.files))


def test_what_is_not_changed_is_what_training_saw(films: ImageSet) -> None:
    pixels, warned = seen(films.files, SIZE, UNCHANGED)
    np.testing.assert_array_equal(pixels, films.pixels)
    assert warned == 0


def test_sixteen_bits_change_nothing(films: ImageSet) -> None:
    pixels, _ = seen(films.files, SIZE, BY_NAME["16 bits a pixel"])
    np.testing.assert_array_equal(pixels, films.pixels)


def test_the_network_gets_the_changed_film(films: ImageSet) -> None:
    black = Change("black", lambda film, _: BY_NAME["darker by 32 levels"](film, "film"))
    pixels, _ = seen(films.files, SIZE, black)
    assert (pixels.astype(int) <= films.pixels).all()
    assert pixels.mean() == pytest.approx(films.pixels.mean() - 32, abs=2)


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ("1100", "1100", Turned(0, 0, 0)),
        ("1100", "0000", Turned(2, 1, 0)),
        ("0000", "1100", Turned(2, 0, 1)),
        ("1010", "0101", Turned(4, 2, 2)),
        ("1000", "0000", Turned(1, 1, 0)),
        ("0001", "0000", Turned(1, 0, 0)),
    ],
    ids=["none", "all lost", "all flagged", "both ways", "missed", "a normal cleared"],
)
def test_directions(before: str, after: str, expected: Turned) -> None:
    labels = np.array([1, 0, 1, 0])

    def flags(text: str) -> NDArray[np.bool_]:
        return np.array([letter == "1" for letter in text])

    assert turned(labels, flags(before), flags(after)) == expected


def test_a_score_just_under_a_threshold_is_decided_as_printed(films: ImageSet) -> None:
    """0.2999999 is printed, and flagged, as 0.300000."""

    def nearly(pixels: NDArray[np.uint8]) -> NDArray[np.float64]:
        return np.full(len(pixels), 0.2999999)

    def exactly(pixels: NDArray[np.uint8]) -> NDArray[np.float64]:
        return nearly(pixels) if pixels.mean() < films.pixels.mean() else nearly(pixels) + 1e-7

    darker = BY_NAME["darker by 32 levels"]
    (_, row) = robustness(films, exactly, POINTS, [UNCHANGED, darker])
    assert row.turned["screening"] == Turned(0, 0, 0)
    assert row.largest == 0


def test_too_few_patients_are_a_sentence(films: ImageSet) -> None:
    one = tuple(replace(file, patient="the same") for file in films.files)
    with pytest.raises(DataError, match="too few validation patients of a class"):
        robustness(replace(films, files=one), mean_grey, POINTS, [UNCHANGED])
