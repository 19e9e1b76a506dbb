"""Changed copies, version 1: their pixels are pinned, whatever recipes become."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest
from numpy.typing import NDArray

from cxr_training.films import copies
from cxr_training.films.copies import COPIES_VERSION, DRAWS, changed_copies, scores_of_copies

SIZE = 16
PINNED = {
    1: "a4ecb5fb5dff796c3a2216ac53724ddae3392b7a7ebe80eac980a3cadf93268a"
}  # by version, of all draws


def films() -> NDArray[np.uint8]:
    """Three slopes of light, made by rule."""
    rows, columns = np.mgrid[:SIZE, :SIZE]
    planes = [(7 * rows + 5 * k * columns) % 251 for k in range(3)]
    return np.stack(planes).astype(np.uint8)[..., np.newaxis]


def test_nobody_changes_a_version_silently() -> None:
    drawn = np.stack([changed_copies(films(), draw) for draw in range(DRAWS)])
    assert hashlib.sha256(drawn.tobytes()).hexdigest() == PINNED[COPIES_VERSION]


def test_copies_are_changed_and_the_same_every_time() -> None:
    first = changed_copies(films(), 0)
    assert (first.shape, first.dtype) == (films().shape, np.uint8)
    assert (first != films()).any(axis=(1, 2, 3)).all()
    np.testing.assert_array_equal(changed_copies(films(), 0), first)
    assert (changed_copies(films(), 1) != first).any()


def test_grey_levels_are_rounded_and_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    levels = np.full((SIZE, SIZE), 99.6, np.float32)
    levels[0], levels[1] = 255.4, -0.4
    monkeypatch.setattr(copies, "augment", lambda *_: levels)
    copy = changed_copies(films(), 0)[0, ..., 0]
    assert [copy[row, 0] for row in (0, 1, 2)] == [255, 0, 100]


def test_scores_are_of_every_draw() -> None:
    scores = scores_of_copies(lambda pixels: pixels.mean(axis=(1, 2, 3)), films())
    assert scores.shape == (DRAWS, 3)
    last = changed_copies(films(), DRAWS - 1).mean(axis=(1, 2, 3))
    np.testing.assert_array_equal(scores[-1], last)
