"""Pictures are of the very bytes that were scored, with the evidence of that score."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from cxr_edge.intake.discover import discover
from cxr_edge.intake.prepare import prepare
from cxr_edge.intake.prepared import IntakeSettings
from cxr_edge.runtime import Runner
from cxr_edge.scoring.page_films import illustrate
from cxr_edge.types import FoundFile, Picture
from tests.factories import InThisProcess, chest, write_tree
from tests.images.films import png
from tests.nights import SETTINGS
from tests.tiny import sigmoid

SHOWING = replace(SETTINGS, view=True)
Films = dict[str, FoundFile]


@pytest.fixture
def films(tmp_path: Path) -> Films:
    """Forty films, more than a batch, by sha256."""
    tree = {f"{number}.png": png(chest(tilt=number)) for number in range(40)}
    found = discover([write_tree(tmp_path / "in", tree)])
    bare = (replace(file, stamp=None) for file in found)  # as the ledger gives them back
    return {prepare(file, SHOWING).result.sha256: file for file in bare}


@pytest.fixture
def pictures(tiny_runner: Runner) -> Callable[..., dict[str, Picture]]:
    """`pictures(films)`, decoded in this process."""

    def make(films: Films, settings: IntakeSettings = SHOWING) -> dict[str, Picture]:
        workers = InThisProcess(settings)
        return illustrate(films, workers, tiny_runner, lambda: False)  # type: ignore[arg-type]

    return make


def test_film_and_evidence(
    films: Films, pictures: Callable[..., dict[str, Picture]], tiny_runner: Runner
) -> None:
    made = pictures(films)
    assert made.keys() == films.keys()
    for sha256, file in films.items():
        prepared, picture = prepare(file, SHOWING), made[sha256]
        assert prepared.pixels is not None
        assert prepared.view is not None
        assert np.array_equal(picture.film, prepared.view)
        logit = np.float64(picture.evidence.astype(np.float64).sum() + picture.bias)
        probability = tiny_runner.predict(prepared.pixels[np.newaxis]).probability[0]
        assert sigmoid(logit) == pytest.approx(probability, abs=1e-6)


CHANGES: dict[str, Callable[[Path], object]] = {
    "gone": lambda path: path.unlink(),
    "another film": lambda path: path.write_bytes(png(chest(tilt=-90))),
    "cut short": lambda path: path.write_bytes(path.read_bytes()[:50]),
    "no film any more": lambda path: path.write_bytes(b"hello"),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_a_film_that_is_not_the_same_any_more_is_not_shown(
    change: Callable[[Path], object], films: Films, pictures: Callable[..., dict[str, Picture]]
) -> None:
    sha256, file = next(iter(films.items()))
    change(file.path)
    assert pictures(films).keys() == films.keys() - {sha256}


def test_a_swap_shows_neither_under_the_name_of_the_other(
    films: Films, pictures: Callable[..., dict[str, Picture]]
) -> None:
    """Bytes count, not names: both films are among those that may be shown."""
    (one, first), (two, second), *_ = films.items()
    first_bytes, second_bytes = first.path.read_bytes(), second.path.read_bytes()
    first.path.write_bytes(second_bytes)
    second.path.write_bytes(first_bytes)
    shown = pictures({one: first, two: second})
    for sha256, file in ((one, second), (two, first)):
        assert np.array_equal(shown[sha256].film, prepare(file, SHOWING).view)  # type: ignore[arg-type]


def test_a_stop_ends_it(films: Films, tiny_runner: Runner) -> None:
    asked = iter([False, False, True])
    workers = InThisProcess(SHOWING)
    made = illustrate(films, workers, tiny_runner, lambda: next(asked))  # type: ignore[arg-type]
    assert len(made) == 2


def test_nothing_to_show(pictures: Callable[..., dict[str, Picture]]) -> None:
    assert pictures({}) == {}
