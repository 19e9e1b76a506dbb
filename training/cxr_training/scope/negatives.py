"""Pictures that are no upright chest film, made by rule from films, other pictures and chance.

A mirrored film is none of them: the side of the heart is no matter of this gate.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont
from scipy import fft

from cxr_training.films.photometric import with_histogram
from cxr_training.scope.planes import SIDE, Planes, resized

_CLIPPED_LEAST = 0.4  # of the film, plain black or plain white
_PART = (0.2, 0.45)  # of a film's side
_WORDS = (
    "Name",
    "Date",
    "Dose",
    "Chest",
    "AP",
    "left",
    "right",
    "normal",
    "120 kV",
    "of the study",
)


@dataclass(frozen=True)
class Source:
    """Material of the rules, and chance.

    Attributes:
        films: uint8 [N, SIDE, SIDE], chest films.
        pictures: uint8 [M, SIDE, SIDE], anything else.
    """

    films: Planes
    pictures: Planes
    rng: np.random.Generator

    def film(self) -> Planes:
        """Any film, as often mirrored as not."""
        film: Planes = self.films[self.rng.integers(len(self.films))]
        return film[:, ::-1] if self.rng.random() < 0.5 else film

    def below(self, highest: int, lowest: int = 0) -> int:
        """An integer from `lowest` to below `highest`."""
        return int(self.rng.integers(lowest, highest))


def _turned(source: Source) -> Planes:
    return np.rot90(source.film(), source.rng.choice((1, 3)))


def _upside_down(source: Source) -> Planes:
    return source.film()[::-1]


def _inverted(source: Source) -> Planes:
    return 255 - source.film()


def _clipped(source: Source) -> Planes:
    """Much of it plain black, plain white, or both."""
    film = source.film()
    share = source.rng.uniform(_CLIPPED_LEAST, 0.9)
    black = share * source.rng.choice((0.0, source.rng.uniform(), 1.0))
    low, high = np.quantile(film, (black, 1 - (share - black)))
    return _grey((film - low) * (255 / max(high - low, 1)))


def _swapped_bytes(source: Source) -> Planes:
    """The lower byte of 10 to 16 bits where the higher one should be."""
    bits = source.below(17, 10)
    levels = source.film() * 2.0 ** (bits - 8) + source.rng.normal(0, 4, (SIDE, SIDE))
    return (levels.astype(np.int64) % 256).astype(np.uint8)


def _noise(source: Source) -> Planes:
    """White noise to clouds, or the waves of a film in other places."""
    white = source.rng.normal(size=(SIDE, SIDE))
    waves = fft.rfft2(white)
    if source.rng.random() < 0.5:
        strength = np.abs(fft.rfft2(source.film().astype(np.float64)))
        waves = waves / np.maximum(np.abs(waves), 1e-9) * strength
    else:
        rows, columns = fft.fftfreq(SIDE), fft.rfftfreq(SIDE)
        waves /= np.maximum(np.hypot.outer(rows, columns), 1 / SIDE) ** source.rng.uniform(0, 2)
    clouds = fft.irfft2(waves, white.shape)
    deviation = source.rng.uniform(10, 80)
    return _grey((clouds - clouds.mean()) / clouds.std() * deviation + source.rng.uniform(60, 200))


def _flat(source: Source) -> Planes:
    """One grey, or from one to another, with a little noise."""
    ends, angle = source.rng.uniform(0, 255, 2), source.rng.uniform(0, 2 * np.pi)
    rows, columns = np.indices((SIDE, SIDE)) / SIDE - 0.5
    ramp = rows * np.sin(angle) + columns * np.cos(angle) + 0.5
    levels = ends[0] + (ends[1] - ends[0]) * ramp * source.rng.integers(0, 2)
    return _grey(levels + source.rng.normal(0, source.rng.uniform(0, 6), levels.shape))


def _text(source: Source) -> Planes:
    """A page of lines, black on white or white on black."""
    side = 2 * SIDE
    page = Image.new("L", (side, side), 255)
    _write(ImageDraw.Draw(page), (6, 6, side - 6, side - 6), 0, source)
    plane = np.asarray(page.resize((SIDE, SIDE), Image.Resampling.BILINEAR))
    return plane if source.rng.random() < 0.7 else 255 - plane


def _write(draw: ImageDraw.ImageDraw, box: tuple[int, ...], ink: int, source: Source) -> None:
    left, top, right, bottom = box
    size = source.below(18, 6)
    font = ImageFont.load_default(size)
    for line in range(top, bottom - size, round(size * source.rng.uniform(1.2, 2.2))):
        words = " ".join(source.rng.choice(_WORDS, source.below(14)))
        fitting = (right - left) / max(draw.textlength(words, font), 1)
        draw.text((left, line), words[: int(fitting * len(words))], ink, font)


def _tiles(source: Source) -> Planes:
    """Several films or pictures in rows and columns."""
    rows, columns = source.below(5, 2), source.below(5, 2)
    return _sheet(source, rows, columns, source.below(4))


def _two_prints(source: Source) -> Planes:
    """Two films side by side, or one above the other."""
    return _sheet(source, *((1, 2) if source.rng.random() < 0.6 else (2, 1)), source.below(12))


def _sheet(source: Source, rows: int, columns: int, gap: int) -> Planes:
    level = int(source.rng.choice((0, 255, source.below(256))))
    sheet = np.full((SIDE, SIDE), level, np.uint8)
    height, width = (SIDE - gap) // rows, (SIDE - gap) // columns
    for row in range(rows):
        for column in range(columns):
            top, left = row * height + gap, column * width + gap
            _paste(sheet, source.film(), (top, left, height - gap, width - gap))
    return sheet


def _paste(sheet: Planes, film: Planes, place: tuple[int, int, int, int]) -> None:
    """Put a film there: top, left, height, width."""
    top, left, height, width = place
    small = Image.fromarray(film).resize((width, height), Image.Resampling.BILINEAR)
    sheet[top : top + height, left : left + width] = np.asarray(small)


def _screenshot(source: Source) -> Planes:
    """A viewer: bars and panels around a film, with writing."""
    level = source.below(80) if source.rng.random() < 0.7 else source.below(256, 170)
    sheet = np.full((SIDE, SIDE), level, np.uint8)
    height, width = source.below(int(0.72 * SIDE), 30), source.below(int(0.72 * SIDE), 30)
    top, left = source.below(SIDE - height), source.below(SIDE - width)
    _paste(sheet, source.film(), (top, left, height, width))
    image = Image.fromarray(sheet)
    draw = ImageDraw.Draw(image)
    for _ in range(source.below(6, 2)):
        x, y = source.below(SIDE - 16), source.below(SIDE - 10)
        if not (left - 12 < x < left + width and top - 8 < y < top + height):
            box = (x, y, x + source.below(40, 12), y + source.below(30, 6))
            draw.rectangle(box, source.below(256), source.below(256))
    edge = (2, 2, max(left - 1, 12), SIDE - 2) if left > SIDE - left - width else (2, 2, 90, top)
    _write(draw, edge, 255 if level < 128 else 0, source)
    return np.asarray(image)


def _scrambled(source: Source) -> Planes:
    """A film cut into squares that lie in another order."""
    cuts = int(source.rng.choice((3, 4, 6, 8)))
    side = SIDE // cuts
    squares = source.film().reshape(cuts, side, cuts, side).swapaxes(1, 2).reshape(-1, side, side)
    order = source.rng.permutation(cuts * cuts)
    while np.mean(order == np.arange(cuts * cuts)) > 0.5:
        order = source.rng.permutation(cuts * cuts)
    mixed = squares[order].reshape(cuts, cuts, side, side).swapaxes(1, 2)
    return mixed.reshape(SIDE, SIDE)


def _part(source: Source) -> Planes:
    """A small part of a film, enlarged."""
    side = round(source.rng.uniform(*_PART) * SIDE)
    top, left = source.below(SIDE - side), source.below(SIDE - side)
    return resized(source.film()[top : top + side, left : left + side], SIDE)


def _picture(source: Source) -> Planes:
    """Another picture: also mirrored, as a negative, or in the greys of a film."""
    picture: Planes = source.pictures[source.below(len(source.pictures))]
    picture = picture[:, ::-1] if source.rng.random() < 0.5 else picture
    if source.rng.random() < 0.5:
        side = source.below(SIDE + 1, SIDE // 2)
        top, left = source.below(SIDE - side + 1), source.below(SIDE - side + 1)
        picture = resized(picture[top : top + side, left : left + side], SIDE)
    if source.rng.random() < 0.3:
        picture = 255 - picture
    return _grey(with_histogram(picture, source.film())) if source.rng.random() < 0.4 else picture


def _grey(levels: NDArray[np.floating]) -> Planes:
    grey: Planes = np.clip(np.round(levels), 0, 255).astype(np.uint8)
    return grey


RULES: dict[str, Callable[[Source], Planes]] = {
    "turned by 90 or 270 degrees": _turned,
    "upside down": _upside_down,
    "inverted": _inverted,
    "clipped to black or white": _clipped,
    "swapped bytes": _swapped_bytes,
    "noise": _noise,
    "flat": _flat,
    "text page": _text,
    "tiles": _tiles,
    "two prints on a sheet": _two_prints,
    "viewer screenshot": _screenshot,
    "scrambled": _scrambled,
    "part of a film": _part,
    "photographs and drawings": _picture,
}

# Kinds that are alike: whoever has seen one may know the others.
GROUPS = {
    "turned": ("turned by 90 or 270 degrees", "upside down"),
    "other greys": ("inverted", "clipped to black or white", "swapped bytes", "noise", "flat"),
    "sheets": ("text page", "tiles", "two prints on a sheet", "viewer screenshot"),
    "pieces": ("scrambled", "part of a film"),
    "pictures": ("photographs and drawings",),
}


def make(rule: str, source: Source, count: int) -> Planes:
    """So many pictures by one of `RULES`: uint8 [count, SIDE, SIDE]."""
    return np.stack([np.ascontiguousarray(RULES[rule](source)) for _ in range(count)])
