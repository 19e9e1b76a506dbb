"""The picture of a capture: film left, map right, nothing of the patient in it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from cxr_edge.hospital.answer import Answer
from cxr_edge.hospital.drawing import SIZE, draw, figures
from cxr_edge.types import Picture
from tests.factories import chest
from tests.hospital.studies import ANSWERS
from tests.tiny import tiny_spec

EVIDENCE = np.array([[1.0, -1.0], [0.05, 0.5]], np.float32)
SCORED = [answer for answer in ANSWERS.values() if answer.probability is not None]


@pytest.mark.parametrize("answer", SCORED, ids=lambda answer: answer.band.value)
def test_it_has_its_size_and_is_the_same_again(answer: Answer) -> None:
    picture = Picture(chest(), EVIDENCE, 0.1)
    first = draw(picture, answer, tiny_spec())
    assert first.shape == (SIZE[1], SIZE[0], 3)
    assert first.dtype == np.uint8
    assert (draw(picture, answer, tiny_spec()) == first).all()


@pytest.mark.parametrize("shape", [(384, 200), (100, 384), (8, 8), (384, 1)])
def test_films_of_any_shape_fit(shape: tuple[int, int]) -> None:
    film = np.full(shape, 128, np.uint8)
    drawn = draw(Picture(film, EVIDENCE, 0.1), ANSWERS["flagged"], tiny_spec())
    assert drawn.shape == (SIZE[1], SIZE[0], 3)


@pytest.mark.parametrize(
    ("probability", "said"),
    [
        (0.912345, "0.91. Flagged from 0.18 on (screening)"),
        (0.999671, "above 0.99. Flagged from 0.18 on (screening)"),
        (0.000012, "below 0.01. Flagged from 0.18 on (screening)"),
        (0.182335, "0.182335. Flagged from 0.182336 on (screening)"),
    ],
)
def test_figures_are_short_and_never_certain(probability: float, said: str) -> None:
    answer = replace(ANSWERS["flagged"], probability=probability)
    assert figures(answer) == f"Score for pneumonia: {said}"


def test_raised_cells_are_orange_and_lowered_ones_blue() -> None:
    film = np.full((384, 384), 128, np.uint8)
    drawn = draw(Picture(film, EVIDENCE, 0.1), ANSWERS["flagged"], tiny_spec()).astype(int)
    right = drawn[150:790, SIZE[0] // 2 :]
    red_over_blue = right[..., 0] - right[..., 2]
    top = red_over_blue[:320]
    assert top[:, :300].max() > 50
    assert top[:, 330:600].min() < -50
    left = drawn[200:700, 100:600]
    assert (left[..., 0] == left[..., 2]).all()
