"""Each change of a film does what its name says, and nothing else."""

from __future__ import annotations

import io
from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from cxr_edge.images import decode
from cxr_export.film_changes import CHANGES, UNCHANGED, Change
from tests.export.films import films

Grey = NDArray[np.int64]

HEIGHT, WIDTH = 200, 224
BY_NAME = {change.name: change for change in CHANGES}


def film() -> Grey:
    """Grey clouds, wider than high, that no shift of 32 levels clips."""
    (cloud,) = films(1, WIDTH, 3)
    return 64 + cloud[:HEIGHT, :, 0].astype(np.int64) // 2


def png(grey: Grey) -> bytes:
    """A file."""
    stream = io.BytesIO()
    Image.fromarray(grey.astype(np.uint8)).save(stream, "PNG")
    return stream.getvalue()


def grey_of(data: bytes) -> Grey:
    """What the product makes of a file."""
    return decode(data, "film").pixels.astype(np.int64)


def made(name: str, grey: Grey) -> Grey:
    """A change, through files."""
    return grey_of(BY_NAME[name](png(grey), "film"))


def roughness(grey: Grey) -> float:
    """Mean absolute difference of neighbours."""
    return float(np.abs(np.diff(grey)).mean())


def quality(data: bytes) -> int:
    """Of a JPEG, as told by its quantisation of the mean grey: 3 at 90, 16 at 50."""
    with Image.open(io.BytesIO(data)) as image:
        tables: dict[int, list[int]] = image.quantization  # type: ignore[attr-defined]
        return tables[0][0]


def spot(down: int, across: int) -> Grey:
    """A white square on black."""
    grey = np.zeros((HEIGHT, WIDTH), np.int64)
    grey[down - 4 : down + 5, across - 4 : across + 5] = 255
    return grey


def centre(grey: Grey) -> tuple[float, float]:
    """Of what is bright: down, across, from the middle of the film."""
    rows, columns = np.nonzero(grey > 100)
    return float(rows.mean() - (HEIGHT - 1) / 2), float(columns.mean() - (WIDTH - 1) / 2)


def rotated(degrees: float) -> Callable[[], bool]:
    """A spot right of the middle goes up, as counter-clockwise turns go."""

    def holds() -> bool:
        down, across = centre(made(f"turned by {degrees:+} degrees", spot(100, 192)))
        start = centre(spot(100, 192))[1]
        angle = np.radians(degrees)
        expected = (-start * np.sin(angle), start * np.cos(angle))
        return bool(np.allclose((down, across), expected, atol=1.0))

    return holds


def bordered(share: float, level: int) -> Callable[[], bool]:
    """The film is whole, in the middle of one level."""

    def holds() -> bool:
        name = f"{'white' if level else 'black'} border of {share:.0%}"
        down, across = round(share * HEIGHT), round(share * WIDTH)
        expected = np.pad(film(), ((down, down), (across, across)), constant_values=level)
        return np.array_equal(made(name, film()), expected)

    return holds


def bordered_with_text() -> bool:
    """Dark strokes in the white below the film, and nowhere else."""
    down, across = round(0.08 * HEIGHT), round(0.08 * WIDTH)
    changed = made("white border of 8% with text", film())
    expected = np.pad(film(), ((down, down), (across, across)), constant_values=255)
    different = changed != expected
    return bool(different[-down:].any() and not different[:-down].any())


def margined() -> bool:
    down, across = round(0.05 * HEIGHT), round(0.05 * WIDTH)
    expected = np.pad(film(), ((0, down), (across, across)), constant_values=255)
    return np.array_equal(made("white on three sides, 5%", film()), expected)


def cropped(share: float) -> Callable[[], bool]:
    """What is left is the middle."""

    def holds() -> bool:
        down, across = round(share * HEIGHT), round(share * WIDTH)
        left = film()[down : HEIGHT - down, across : WIDTH - across]
        return np.array_equal(made(f"cropped by {share:.0%} a side", film()), left)

    return holds


def lettered(name: str, *, right: bool) -> bool:
    """White strokes in one upper corner, 2 to 10 % of the film high, and nothing elsewhere."""
    grey = film()
    changed = made(name, grey)
    rows, columns = np.nonzero(changed != grey)
    corner = columns.min() > WIDTH / 2 if right else columns.max() < WIDTH / 4
    height = np.ptp(rows) + 1
    inside = rows.max() < HEIGHT / 5 and rows.min() > 0 and columns.max() < WIDTH - 1
    return bool(corner and inside and 0.02 < height / HEIGHT < 0.1 and changed.max() > 250)


def blurred(sigma: float) -> bool:
    """An edge is spread by as much, for a film whose shorter side is 224; here it is less."""
    edge = np.tile((np.arange(WIDTH) >= WIDTH / 2) * 255, (HEIGHT, 1))
    kernel = np.diff(made(f"blur, sigma {sigma} px", edge)[0]) / 255
    places = np.arange(WIDTH - 1) - (WIDTH / 2 - 1)
    spread = np.sqrt((kernel * places**2).sum())
    return bool(abs(kernel.sum() - 1) < 0.01 and abs(spread - sigma * HEIGHT / 224) < 0.15)


def noisy(sigma: float) -> bool:
    added = made(f"noise, sigma {sigma} levels", film()) - film()
    return bool(abs(added.std() - sigma) < 0.5 and abs(added.mean()) < 0.3)


def stretched(factor: float) -> bool:
    """About the film's own mean."""
    grey = made(f"contrast x {factor}", film())
    ratio = grey.std() / film().std()
    return bool(abs(ratio - factor) < 0.02 and abs(grey.mean() - film().mean()) < 1)


def bent(exponent: float) -> bool:
    """Black and white stay."""
    ramp = np.tile(np.arange(256), (224, 1))
    expected = np.round(255 * (np.arange(256) / 255) ** exponent)
    return np.array_equal(made(f"gamma {exponent}", ramp)[0], expected)


def reduced(side: int) -> bool:
    """Same size; what is finer than the smaller film is gone, what is coarser stays."""
    name = f"reduced to {side} px and enlarged"
    stripes = np.tile(np.arange(WIDTH) % 2 * 200, (HEIGHT, 1))
    halves = np.tile((np.arange(WIDTH) >= WIDTH / 2) * 200, (HEIGHT, 1))
    flat, kept = made(name, stripes), made(name, halves)
    whole = flat.shape == kept.shape == (HEIGHT, WIDTH)
    return whole and roughness(flat) < 5 < 190 < np.ptp(kept[:, [10, -10]])


def shifted(name: str, levels: int) -> Callable[[], bool]:
    return lambda: np.array_equal(made(name, film()), film() + levels)


def jpeg(name: str, step: int) -> Callable[[], bool]:
    return lambda: quality(BY_NAME[name](png(film()), "film")) == step


HOLDS: dict[str, Callable[[], bool]] = {
    "none": lambda: UNCHANGED(b"any bytes", "film") == b"any bytes",
    "JPEG quality 95": jpeg("JPEG quality 95", 2),
    "JPEG quality 70": jpeg("JPEG quality 70", 10),
    "JPEG quality 50": jpeg("JPEG quality 50", 16),
    "JPEG quality 30": jpeg("JPEG quality 30", 27),
    "16 bits a pixel": lambda: np.array_equal(made("16 bits a pixel", film()), film()),
    "blur, sigma 1 px": lambda: blurred(1),
    "blur, sigma 2 px": lambda: blurred(2),
    "noise, sigma 5 levels": lambda: noisy(5),
    "noise, sigma 15 levels": lambda: noisy(15),
    "darker by 32 levels": shifted("darker by 32 levels", -32),
    "brighter by 32 levels": shifted("brighter by 32 levels", 32),
    "contrast x 0.7": lambda: stretched(0.7),
    "contrast x 1.3": lambda: stretched(1.3),
    "gamma 0.7": lambda: bent(0.7),
    "gamma 1.4": lambda: bent(1.4),
    **{f"turned by {d:+} degrees": rotated(d) for d in (-10, -5, 5, 10)},
    **{f"cropped by {share:.0%} a side": cropped(share) for share in (0.05, 0.1)},
    **{f"black border of {share:.0%}": bordered(share, 0) for share in (0.05, 0.1)},
    **{f"white border of {share:.0%}": bordered(share, 255) for share in (0.05, 0.1)},
    "white border of 8% with text": bordered_with_text,
    "white on three sides, 5%": margined,
    "letter R burned in": lambda: lettered("letter R burned in", right=False),
    "letters L PORTABLE burned in": lambda: lettered("letters L PORTABLE burned in", right=True),
    **{f"reduced to {s} px and enlarged": lambda s=s: reduced(s) for s in (112, 64)},
    "inverted": lambda: np.array_equal(made("inverted", film()), 255 - film()),
}


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.name)
def test_it_does_what_its_name_says(change: Change) -> None:
    assert HOLDS[change.name]()


def test_every_change_has_a_name_of_its_own_and_the_first_is_none() -> None:
    assert CHANGES[0] is UNCHANGED
    assert len(BY_NAME) == len(CHANGES) == len(HOLDS)


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.name)
def test_the_same_film_is_always_changed_alike(change: Change) -> None:
    data = png(film())
    assert change(data, "NORMAL/a.png") == change(data, "NORMAL/a.png")


def test_chance_depends_on_the_film() -> None:
    noise = BY_NAME["noise, sigma 5 levels"]
    data = png(film())
    assert noise(data, "NORMAL/a.png") != noise(data, "NORMAL/b.png")
