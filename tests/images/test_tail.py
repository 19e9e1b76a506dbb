"""Half-copied films without an end marker are refused, or doubted where they end as films do."""

from __future__ import annotations

import itertools
import random
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from cxr_edge.errors import ImageError
from cxr_edge.images.tail import check_tail, has_jpeg_end
from cxr_edge.types import InputWarning, Reason
from tests.images.films import Levels, in_16_bits, scene

INCOMING = Path(__file__).parents[1] / "data" / "incoming"
FILMS = [
    np.asarray(Image.open(path).convert("L"))
    for path in sorted(INCOMING.glob("*.jpeg"))
    if path.name not in ("half-copied.jpeg", "preallocated.jpeg")
]
SCENE = scene(200, 240)


def verdict(levels: NDArray[np.generic]) -> str:
    try:
        warnings = check_tail(levels)
    except ImageError as error:
        assert error.reason is Reason.TRUNCATED
        return "refused"
    assert warnings in ((), (InputWarning.CUT_SHORT,))
    return "doubted" if warnings else "passed"


def zero_from(levels: Levels, cut: int) -> Levels:
    """The film with every byte from `cut` on still unwritten."""
    data = levels.tobytes()
    stored = data[:cut].ljust(len(data), b"\0")
    return np.frombuffer(stored, levels.dtype).reshape(levels.shape)


def on_black(levels: Levels, top: int, bottom: int, left: int, right: int) -> Levels:
    return np.pad(levels, ((top, bottom), (left, right)))


def slanted(degrees: float) -> Levels:
    """The scene, turned on black."""
    turned = Image.fromarray(SCENE).rotate(degrees, Image.Resampling.BICUBIC, expand=True)
    return np.asarray(turned)


def in_a_circle() -> Levels:
    y, x = np.mgrid[-100:100, -120:120]
    return np.where(x**2 + y**2 < 90**2, SCENE, 0).astype(np.uint8)


def dark_corner() -> Levels:
    film = SCENE.copy()
    film[-12:, -40:] = 0
    return film


def faint_last_row() -> Levels:
    """A film that was padded and then scaled: the row at the border is faint, and partly zero."""
    film = on_black(SCENE, 20, 20, 0, 0)
    film[220, :150] = 9
    return film


GOOD: dict[str, Callable[[], NDArray[np.generic]]] = {
    "whole": lambda: SCENE,
    "16 bit": lambda: in_16_bits(),
    "12 bit, signed": lambda: in_16_bits(12).astype(np.int16) - 2000,
    "border all round": lambda: on_black(SCENE, 20, 20, 20, 20),
    "bottom border twice the top one": lambda: on_black(SCENE, 10, 20, 5, 30),
    "border above only": lambda: on_black(SCENE, 50, 0, 0, 0),
    "slanted by a tenth of a degree": lambda: slanted(0.1),
    "slanted by 15 degrees": lambda: slanted(15.0),
    "round shutter": in_a_circle,
    "dark corner": dark_corner,
    "faint last row": faint_last_row,
    "eight rows": lambda: on_black(SCENE[:8], 0, 4, 0, 0),
    "last four samples": lambda: zero_from(SCENE, SCENE.size - 4),
}


@pytest.mark.parametrize("make", GOOD.values(), ids=GOOD)
def test_film_with_a_natural_end_passes(make: Callable[[], NDArray[np.generic]]) -> None:
    assert verdict(make()) == "passed"


CUT: dict[str, Callable[[], NDArray[np.generic]]] = {
    "nothing written": lambda: np.zeros((200, 240), np.uint8),
    "more than half missing": lambda: on_black(SCENE[:50], 60, 120, 0, 0),
    "in the middle of a row": lambda: zero_from(SCENE, 150 * 240 + 120),
    "in the middle of the last row": lambda: zero_from(SCENE, 199 * 240 + 120),
    "slanted film": lambda: zero_from(slanted(0.1), 150 * 241 + 100),
    "signed": lambda: zero_from(in_16_bits(12).astype(np.int16) - 5000, 40 * 128 + 60),
}
AT_AN_EDGE: dict[str, Callable[[], NDArray[np.generic]]] = {
    "at a row's end": lambda: zero_from(SCENE, 150 * 240),
    "at the last row's beginning": lambda: zero_from(SCENE, 199 * 240),
    "left border, below twice the top border": lambda: zero_from(
        on_black(SCENE, 20, 20, 20, 20), 170 * 280 + 10
    ),
    "bottom border more than twice the top one": lambda: on_black(SCENE, 10, 21, 5, 30),
    "bottom border only": lambda: on_black(SCENE, 0, 1, 0, 0),
    "nine rows": lambda: on_black(SCENE[:9], 0, 4, 0, 0),
    "collimated below and beside": lambda: on_black(SCENE, 0, 67, 24, 24),
}


@pytest.mark.parametrize("make", CUT.values(), ids=CUT)
def test_end_in_the_middle_of_a_row_is_refused(make: Callable[[], NDArray[np.generic]]) -> None:
    assert verdict(make()) == "refused"


@pytest.mark.parametrize("make", AT_AN_EDGE.values(), ids=AT_AN_EDGE)
def test_end_at_the_edge_of_a_row_is_doubted(make: Callable[[], NDArray[np.generic]]) -> None:
    """Collimated, or zeros in place of the rest: the samples are the same."""
    assert verdict(make()) == "doubted"


STORED: dict[str, Callable[[Levels], Levels]] = {
    "8 bit": lambda film: film,
    "12 bit little endian": lambda film: film.astype("<u2") * 16,
    "border left and right": lambda film: on_black(film, 0, 0, 40, 40),
}


@pytest.mark.parametrize("store", STORED.values(), ids=STORED)
def test_real_film_passes_whole_and_never_at_200_cuts(
    store: Callable[[Levels], Levels],
) -> None:
    rng = random.Random(20261122)
    stored = [store(film) for film in (SCENE, *FILMS)]
    assert {verdict(film) for film in stored} == {"passed"}
    verdicts: Counter[str] = Counter()
    for film in itertools.islice(itertools.cycle(stored), 200):
        cut = zero_from(film, rng.randrange(1, film.nbytes))
        lost = np.count_nonzero(cut != film)
        verdicts[verdict(cut)] += 1
        assert verdict(cut) != "passed" or lost < 0.002 * film.size, (film[0, :4], lost)
    assert verdicts["refused"] >= 160


@pytest.mark.parametrize(
    ("data", "whole"),
    [
        (b"\xff\xda scan \xff\xd9", True),
        (b"\xff\xda scan \xff\xd9 \xff\xda scan \xff\xd9\0\0", True),
        (b"\xff\xda thumbnail \xff\xd9 \xff\xda scan \0\0", False),
        (b"\xff\xda scan", False),
        (b"", False),
    ],
)
def test_end_of_image_comes_last(data: bytes, whole: bool) -> None:
    assert has_jpeg_end(data) is whole
