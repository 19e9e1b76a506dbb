"""The one preprocessing; its outcome is part of the model contract, so the numbers are pinned."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest
from numpy.typing import NDArray

from cxr_edge import preprocess
from cxr_edge.model.self_test import golden_image
from cxr_edge.preprocess import VIEW_SIDE, to_network_input, to_view, without_border
from tests.images.films import scene


@pytest.mark.parametrize("size", [1, 8, 50, 128])
@pytest.mark.parametrize("shape", [(1, 1), (3, 200), (200, 3), (64, 64)], ids=str)
def test_shape_and_type(shape: tuple[int, int], size: int) -> None:
    made = to_network_input(without_border(np.zeros(shape, np.uint8)), size)
    assert (made.shape, made.dtype) == ((size, size, 1), np.uint8)


@pytest.mark.parametrize("level", [0, 1, 127, 254, 255])
@pytest.mark.parametrize("shape", [(7, 9), (513, 300)], ids=str)
def test_constant_stays_constant(shape: tuple[int, int], level: int) -> None:
    assert np.all(to_network_input(without_border(np.full(shape, level, np.uint8)), 50) == level)


def test_aspect_is_not_kept() -> None:
    half = np.zeros((40, 80), np.uint8)
    half[:, 40:] = 255
    made = to_network_input(without_border(half), 20)[:, :, 0]
    assert np.all(made[:, :9] == 0)
    assert np.all(made[:, 11:] == 255)


def test_shrinking_averages() -> None:
    """A board of single pixels turns grey; an interpolation that skips would leave stripes."""
    board = (np.indices((256, 256)).sum(axis=0) % 2 * 255).astype(np.uint8)
    inner = to_network_input(without_border(board), 32)[2:-2, 2:-2]
    assert np.all(np.abs(inner.astype(int) - 127) <= 2)


def test_same_size_changes_nothing() -> None:
    image = golden_image("rings", 50)
    assert np.array_equal(to_network_input(without_border(image[:, :, 0]), 50), image)


def test_the_version_names_these_very_pixels() -> None:
    """A change here needs a new version, or every threshold in every spec silently drifts."""
    assert (preprocess.PREPROCESSING_VERSION, preprocess.RESIZE_FILTER) == (
        3,
        "bilinear_antialiased",
    )
    digest = hashlib.sha256(
        to_network_input(without_border(scene(480, 641)), 50).tobytes()
    ).hexdigest()
    assert digest[:16] == "348a13be8aecac5f"


@pytest.mark.parametrize(
    ("shape", "shown"),
    [
        ((1, 1), (1, 1)),
        ((384, 200), (384, 200)),
        ((768, 600), (384, 300)),
        ((600, 768), (300, 384)),
        ((3000, 5), (384, 1)),
    ],
    ids=str,
)
def test_a_view_keeps_the_aspect_and_is_never_enlarged(
    shape: tuple[int, int], shown: tuple[int, int]
) -> None:
    made = to_view(without_border(np.full(shape, 7, np.uint8)))
    assert (made.shape, made.dtype, max(made.shape) <= VIEW_SIDE) == (shown, np.uint8, True)
    assert np.all(made == 7)


def framed(film: NDArray[np.uint8], level: int, widths: tuple[int, ...]) -> NDArray[np.uint8]:
    """Rows above and below, columns left and right."""
    above, below, left, right = widths
    return np.pad(film, ((above, below), (left, right)), constant_values=level)


@pytest.mark.parametrize("level", [0, 97, 255])
@pytest.mark.parametrize("widths", [(5, 5, 7, 7), (30, 8, 80, 61), (300, 400, 500, 600)], ids=str)
def test_a_border_all_around_changes_nothing(level: int, widths: tuple[int, ...]) -> None:
    film = scene(480, 641)
    bordered = framed(film, level, widths)
    assert np.array_equal(
        to_network_input(without_border(bordered), 50), to_network_input(without_border(film), 50)
    )
    assert np.array_equal(to_view(without_border(bordered)), to_view(without_border(film)))


def test_a_border_may_be_slightly_uneven() -> None:
    film = scene(480, 641)
    bordered = framed(film, 240, (20, 20, 20, 20))
    noise = np.random.default_rng(0).integers(0, 9, bordered.shape, np.uint8)  # 0 to 8
    bordered[:20] += noise[:20]
    inside = without_border(bordered)
    assert np.array_equal(inside.pixels, film)
    assert inside.extent == (641, 480)
    bordered[0, 0] = 230  # 230 to 248
    assert without_border(bordered).pixels is bordered


def test_the_film_s_own_margins_stay_behind_a_border() -> None:
    film = framed(scene(480, 641), 0, (0, 0, 50, 60))
    bordered = framed(film, 255, (20, 20, 30, 30))
    assert np.array_equal(without_border(bordered).pixels, film)


def test_borders_come_off_one_after_the_other() -> None:
    shuttered = framed(scene(480, 641), 0, (20, 20, 30, 30))
    assert np.array_equal(
        without_border(framed(shuttered, 255, (15, 25, 35, 45))).pixels, scene(480, 641)
    )


def test_hardly_any_border_is_none() -> None:
    """At another decoding scale it would be gone, and with it whatever margins lie behind it."""
    film = framed(scene(480, 641), 0, (0, 0, 80, 80))
    for lines in (1, 2, 4):
        bordered = framed(film, 0, (lines, lines, 0, 0))
        assert without_border(bordered).pixels is bordered
    assert np.array_equal(without_border(framed(film, 0, (6, 6, 0, 0))).pixels, scene(480, 641))


@pytest.mark.parametrize("side", range(4))
def test_margins_on_three_sides_belong_to_the_film(side: int) -> None:
    widths = [20, 20, 20, 20]
    widths[side] = 0
    bordered = framed(scene(480, 641), 0, tuple(widths))
    assert without_border(bordered).pixels is bordered


def test_sides_may_have_levels_of_their_own() -> None:
    film = scene(480, 641)
    bordered = framed(framed(film, 0, (0, 0, 15, 25)), 255, (10, 10, 0, 0))
    assert np.array_equal(without_border(bordered).pixels, film)


@pytest.mark.parametrize("axis", [0, 1], ids=["rows", "columns"])
@pytest.mark.parametrize("levels", [(100, 200), (0, 8, 16), (200, 100, 100, 100), (1, 9)], ids=str)
def test_plain_bands_that_meet_have_nothing_inside(levels: tuple[int, ...], axis: int) -> None:
    bands = np.repeat(np.array(levels, np.uint8), 16)
    film = np.broadcast_to(bands[:, None], (len(bands), 40))
    film = film if axis == 0 else film.T
    assert without_border(film).pixels is film
    within = framed(film, 255, (20, 20, 20, 20))
    assert np.array_equal(without_border(within).pixels, film)


@pytest.mark.parametrize("shape", [(1, 1), (1, 9), (40, 40)], ids=str)
def test_of_one_grey_level_nothing_is_border(shape: tuple[int, int]) -> None:
    flat = np.full(shape, 255, np.uint8)
    assert without_border(flat).pixels is flat


def test_the_extent_is_that_of_the_film() -> None:
    """A reduced film may end inside its last pixels; behind a border it does not."""
    film = scene(480, 641)
    assert without_border(film, (640.5, 479.75)).extent == (640.5, 479.75)
    assert without_border(framed(film, 0, (9, 9, 9, 9)), (658.5, 497.5)).extent == (641, 480)
