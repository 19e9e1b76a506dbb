"""What can be told without a lung, on films that differ in one thing alone."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from cxr_edge.evaluate.baseline import FEATURES
from cxr_export.shortcuts import shortcuts
from cxr_training.films.data import Split, find_labelled, load_images
from cxr_training.films.style import STATISTICS

A_CLASS = 40

Film = Callable[[int, int, np.random.Generator], NDArray[np.uint8]]


def _cloud(rng: np.random.Generator, height: int = 64) -> NDArray[np.uint8]:
    return rng.integers(60, 190, (height, 64), np.uint8)


def bordered(label: int, _: int, rng: np.random.Generator) -> NDArray[np.uint8]:
    """Pneumonia films have a black top, as style and nothing in the file tells."""
    film = _cloud(rng)
    film[:8] = 0 if label else 125
    return film


def taller(label: int, _: int, rng: np.random.Generator) -> NDArray[np.uint8]:
    """Normal films are higher; in the network's square nothing is left of that."""
    return _cloud(rng, 64 if label else 96)


def alike(_: int, number: int, rng: np.random.Generator) -> NDArray[np.uint8]:
    """Classes that differ in nothing; films that do."""
    return _cloud(rng, 64 + number % 7)


def split(folder: Path, film: Film) -> Split:
    """Every fourth film validates; a patient each."""
    rng = np.random.default_rng(3)
    for label, kind in enumerate(("NORMAL", "PNEUMONIA")):
        (folder / kind).mkdir()
        for number in range(A_CLASS):
            picture = Image.fromarray(film(label, number, rng))
            picture.save(folder / kind / f"{kind}-{number:02}.bmp.png", compress_level=0)
    images, _ = load_images(find_labelled(folder), 50)
    kept = np.arange(2 * A_CLASS) % 4 == 0
    return Split(images.subset(np.flatnonzero(~kept)), images.subset(np.flatnonzero(kept)))


@pytest.mark.parametrize(
    ("film", "style_tells", "metadata_tell"),
    [(bordered, True, None), (taller, None, True), (alike, False, False)],
    ids=["borders", "height", "nothing"],
)
def test_what_tells_the_classes_apart(
    film: Film, style_tells: bool | None, metadata_tell: bool | None, tmp_path: Path
) -> None:
    films = split(tmp_path, film)
    found = shortcuts(films, np.linspace(0.1, 0.9, len(films.validation.files)))
    for name, tells in (("style", style_tells), ("metadata", metadata_tell)):
        auc = found[name].auc
        if tells is not None:
            assert auc is not None
            assert (auc.low > 0.8) == tells
            assert auc.patients == len(films.validation.files)


def test_what_each_of_them_sees(tmp_path: Path) -> None:
    films = split(tmp_path, bordered)
    found = shortcuts(films, np.linspace(0.1, 0.9, len(films.validation.files)))
    assert found["metadata"].figures == FEATURES
    assert found["style"].figures == STATISTICS
    assert len(STATISTICS) == 14
    assert found["style"].fitted_on == "the run's training films"
    # Uncompressed, all of one size: nothing in the file differs.
    assert found["metadata"].auc is None
