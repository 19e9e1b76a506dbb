"""Each change of how a film looks, against what it says it does."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from cxr_training.films import photometric
from cxr_training.recipe.sections import Augmentation

SIZE = 48


def film(seed: int = 0, levels: tuple[int, int] = (0, 256)) -> NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(*levels, (SIZE, SIZE), np.uint8)


def ramp() -> NDArray[np.uint8]:
    """Every pixel has its own brightness, as far as 256 levels go: ascending row by row."""
    return (np.arange(SIZE * SIZE) * 256 // SIZE**2).reshape(SIZE, SIZE).astype(np.uint8)


def flat(level: float = 100) -> NDArray[np.float32]:
    return np.full((SIZE, SIZE), level, np.float32)


def waves(image: NDArray[np.generic]) -> NDArray[np.complex128]:
    """Coefficients [S, S] by their number of waves down and across, lowest in the middle."""
    return np.fft.fftshift(np.fft.fft2(image.astype(np.float64)))


def low() -> NDArray[np.bool_]:
    count = np.abs(np.arange(SIZE) - SIZE // 2) < photometric.LOW_CYCLES
    return count[:, np.newaxis] & count


def test_a_matched_histogram_is_exactly_the_other_films() -> None:
    other = film(1, (30, 90))
    matched = photometric.with_histogram(film(), other)
    np.testing.assert_array_equal(np.sort(matched, axis=None), np.sort(other, axis=None))


def test_matching_keeps_the_order_of_brightness() -> None:
    matched = photometric.with_histogram(film(), film(1, (30, 90)))
    order = np.argsort(film(), axis=None, kind="stable")
    assert (np.diff(matched.ravel()[order]) >= 0).all()


def test_low_amplitudes_are_mixed_and_all_else_stays() -> None:
    image, other = film().astype(np.float32), film(1, (30, 90))
    before, foreign = waves(image), waves(other)
    after = waves(photometric.with_low_amplitudes(image, other, 0.25))
    np.testing.assert_allclose(after[~low()], before[~low()], atol=0.1)
    mixed = 0.75 * np.abs(before) + 0.25 * np.abs(foreign)
    np.testing.assert_allclose(np.abs(after[low()]), mixed[low()], rtol=1e-3)
    np.testing.assert_allclose(np.angle(after / before)[low()], 0, atol=1e-3)


@pytest.mark.parametrize("name", ["histogram", "fourier"])
def test_films_are_drawn_from_all_and_as_often_as_asked(name: str) -> None:
    """The mean level tells which of three films was drawn."""
    films = np.stack([np.full((SIZE, SIZE), level, np.uint8) for level in (50, 100, 200)])
    ranges = Augmentation(**{name: 0.5})
    means = np.array(
        [
            photometric.like_another_film(
                np.full((SIZE, SIZE), 100, np.uint8), films, ranges, np.random.default_rng(seed)
            ).mean()
            for seed in range(200)
        ]
    )
    darker, brighter = means < 99.9, means > 100.1
    # Two thirds of one half are drawn towards another level; each of the two as often.
    assert 20 <= darker.sum() <= 50
    assert 20 <= brighter.sum() <= 50
    assert means.min() == pytest.approx(50, abs=5)
    assert means.max() == pytest.approx(200, abs=10)


def test_shading_is_smooth_and_as_strong_as_asked() -> None:
    factors = np.stack(
        [photometric.shade(flat(), 0.4, np.random.default_rng(s)) / 100 for s in range(200)]
    )
    assert factors.mean() == pytest.approx(1, abs=0.02)
    # sigma 0.4 / 2, times the root mean square of a uniform factor, less at and between points.
    assert 0.06 < (factors - 1).std() < 0.2 / np.sqrt(3)
    neighbours = np.abs(np.diff(factors, axis=2)).max()
    assert neighbours < 0.1 * np.ptp(factors)


def test_a_frame_is_at_most_so_wide_black_or_white_or_grey() -> None:
    widest, levels, around = 0, [], 0
    for seed in range(120):
        changed = photometric.frame(flat(), 0.2, np.random.default_rng(seed))
        framed = changed != 100
        assert not framed[10:-10, 10:-10].any()
        for turns in range(4):
            strip = np.rot90(framed, turns).all(axis=1)
            widest = max(widest, int(strip.argmin()))
        levels += np.unique(changed[framed]).tolist()
        around += framed[:, 0].all() and framed[:, -1].all() and framed[0].all()
    assert widest == int(0.2 * SIZE)
    assert around > 30
    for level, least, most in ((0, 0.3, 0.7), (255, 0.15, 0.45)):
        assert least < np.mean(np.array(levels) == level) < most


def test_half_of_the_frames_keep_the_whole_film() -> None:
    """Its middle row then begins and ends with the film's own greys, within the border."""
    whole = 0
    for seed in range(60):
        changed = photometric.frame(ramp().astype(np.float32), 0.2, np.random.default_rng(seed))
        inside = changed[10:-10, 10:-10]
        whole += not np.array_equal(inside, ramp()[10:-10, 10:-10])
    assert 15 < whole < 45
