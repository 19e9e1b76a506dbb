"""The headers and films that the gates are tried on: both sides of every limit."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from cxr_edge.intake.prepared import Scope
from cxr_edge.types import InputWarning, Study

INCOMING = Path(__file__).parents[1] / "data" / "incoming"
BROKEN = ("half-copied.jpeg", "preallocated.jpeg")
FILMS = {
    path.stem: np.asarray(Image.open(path).convert("L"))
    for path in sorted(INCOMING.glob("*.jpeg"))
    if path.name not in BROKEN
}
FILM = FILMS["IM-0234-0001"]

ASPECT, BLANK, INVERTED = InputWarning.ASPECT, InputWarning.BLANK, InputWarning.INVERTED
BODY_PART, VIEW_POSITION = InputWarning.BODY_PART, InputWarning.VIEW_POSITION
PATIENT_AGE, LOW_RESOLUTION = InputWarning.PATIENT_AGE, InputWarning.LOW_RESOLUTION
CLIPPED, ORIENTATION = InputWarning.CLIPPED, InputWarning.ORIENTATION
UNREADABLE_VIEW = InputWarning.UNREADABLE_VIEW

FRONTAL = ("anterior-posterior", "posterior-anterior")
CHILDREN = Scope((1.0, 5.0), FRONTAL)

STUDIES: dict[str, tuple[Study, Scope, tuple[InputWarning, ...]]] = {
    "header says nothing": (Study(), CHILDREN, ()),
    "all inside": (Study("DX", "CHEST", "PA", 3.0), CHILDREN, ()),
    "all outside": (
        Study("DX", "HAND", "LL", 40.0),
        CHILDREN,
        (BODY_PART, VIEW_POSITION, PATIENT_AGE),
    ),
    "chest with a remark": (Study(body_part="PORT CHEST"), CHILDREN, ()),
    "chest in one word": (Study(body_part="CHEST_PA"), CHILDREN, ()),
    "chest and view, comma": (Study(body_part="CHEST, PA"), CHILDREN, ()),
    "chest and view, hyphen": (Study(body_part="CHEST-PA"), CHILDREN, ()),
    "chest and view, stroke": (Study(body_part="PA/CHEST"), CHILDREN, ()),
    "chest, numbered": (Study(body_part="CHEST2"), CHILDREN, ()),
    "chest and abdomen": (Study(body_part="CHEST ABDOMEN"), CHILDREN, (BODY_PART,)),
    "thorax": (Study(body_part="THORAX"), CHILDREN, ()),
    "lung": (Study(body_part="LUNG"), CHILDREN, ()),
    "whole infant": (Study(body_part="CHESTABDOMEN"), CHILDREN, (BODY_PART,)),
    "ribs": (Study(body_part="RIB"), CHILDREN, (BODY_PART,)),
    "a code that cannot be read": (Study(body_part="?"), CHILDREN, (BODY_PART,)),
    "AP": (Study(view_position="AP"), CHILDREN, ()),
    "decubitus": (Study(view_position="LLD"), CHILDREN, (VIEW_POSITION,)),
    "AP decubitus": (Study(view_position="AP LLD"), CHILDREN, (VIEW_POSITION,)),
    "lateral": (Study(view_position="LATERAL"), CHILDREN, (VIEW_POSITION,)),
    "AP for a PA model": (
        Study(view_position="AP"),
        Scope((1.0, 5.0), ("posterior-anterior",)),
        (VIEW_POSITION,),
    ),
    "lateral, views not stated": (
        Study(view_position="LL"),
        Scope((1.0, 5.0), ("not stated",)),
        (),
    ),
    "no view at all": (Study(view_position="AP"), Scope((1.0, 5.0), ()), (VIEW_POSITION,)),
    "newborn": (Study(age_years=0.0), CHILDREN, (PATIENT_AGE,)),
    "eleven months": (Study(age_years=11 / 12), CHILDREN, (PATIENT_AGE,)),
    "first birthday": (Study(age_years=1.0), CHILDREN, ()),
    "day before the sixth birthday": (Study(age_years=5.997), CHILDREN, ()),
    "sixth birthday": (Study(age_years=6.0), CHILDREN, (PATIENT_AGE,)),
    "two ages, one outside": (Study(age_years=4.0, age_by_dates=70.0), CHILDREN, (PATIENT_AGE,)),
    "two ages inside": (Study(age_years=4.0, age_by_dates=3.0), CHILDREN, ()),
    "chest abd": (Study(body_part="CHEST ABD"), CHILDREN, (BODY_PART,)),
    "chest with a hand": (Study(body_part="THORAX/HAND"), CHILDREN, (BODY_PART,)),
    "chest in Portuguese": (Study(body_part="PEITO"), CHILDREN, ()),
    "a code of more": (Study(body_part="CHEST", body_parts=("KNEE",)), CHILDREN, (BODY_PART,)),
    "series of another part": (Study(descriptions=("KNIE LI",)), CHILDREN, (BODY_PART,)),
    "AP supine": (Study(view_position="AP SUPINE"), CHILDREN, ()),
    "a view that cannot be read": (Study(view_position="?"), CHILDREN, (UNREADABLE_VIEW,)),
    "a code of a lateral": (
        Study(view_position="AP", views=("left lateral",)),
        CHILDREN,
        (VIEW_POSITION,),
    ),
    "frontal, both known": (Study(views=("frontal",)), CHILDREN, ()),
    "frontal, one known": (
        Study(views=("frontal",)),
        Scope((1.0, 5.0), ("posterior-anterior",)),
        (VIEW_POSITION,),
    ),
    "series of laterals": (Study(descriptions=("CHEST LAT",)), CHILDREN, (VIEW_POSITION,)),
}


def scaled(width: int, height: int) -> NDArray[np.uint8]:
    return np.asarray(Image.fromarray(FILM).resize((width, height)))


def in_a_square(height: int, width: int) -> NDArray[np.uint8]:
    """A film of that size with a black border all around."""
    above, left = (300 - height) // 2, (300 - width) // 2
    return np.pad(scaled(width, height), ((above, above), (left, left)))


def blank(spread: int = 0) -> NDArray[np.uint8]:
    """One level, but for a white label and a black border."""
    film = np.full((400, 400), 120, np.uint8)
    film[::2] += np.uint8(spread)
    film[20:50, 20:90] = 255
    film[190:220, 190:220] = 255
    return np.pad(film, 60)


def striped(low: int, high: int) -> NDArray[np.uint8]:
    """Vertical stripes as broad as a cell of the reduced film."""
    stripes = np.where(np.arange(64) % 2, high, low).astype(np.uint8)
    return np.tile(stripes, (64, 1))


def noise() -> NDArray[np.uint8]:
    return np.random.default_rng(1).normal(120, 25, (640, 640)).clip(0, 255).astype(np.uint8)


def ramp() -> NDArray[np.uint8]:
    """No row of it has any range."""
    return np.repeat(np.arange(200, dtype=np.uint8)[:, np.newaxis], 200, axis=1)


def weighed(step: int) -> NDArray[np.uint8]:
    """A board that agrees with the mean chest film by 2, less 1 for each step."""
    film = np.where(np.indices((64, 64)).sum(axis=0) % 2, 90, 130).astype(np.uint8)
    film[:8, 16:24] -= np.uint8(27)
    film[16:24, 40:48] -= np.uint8(step)
    return film


def clipped(cells: int) -> NDArray[np.uint8]:
    """The film at the cells' size, so many of the 1,024 in its middle black."""
    film = np.clip(scaled(64, 64), 2, 253)
    film[16:48, 16:48].reshape(32, 32)[: cells // 32] = 0
    film[16 + cells // 32, 16 : 16 + cells % 32] = 0
    return film


def on_a_ledge(spread: int) -> NDArray[np.uint8]:
    """Dark under bright stripes: inverted, unless the bright ledge below belongs to the film."""
    film = np.concatenate([striped(200, 240)[:16], striped(20, 60)[:32], striped(250, 250)[:16]])
    film[48:, 0] -= np.uint8(spread)
    return film


PIXELS: dict[str, tuple[Callable[[], NDArray[np.uint8]], int, tuple[InputWarning, ...]]] = {
    "as large as the network": (lambda: scaled(128, 128), 128, ()),
    "shorter side too short": (lambda: scaled(130, 127), 128, (LOW_RESOLUTION,)),
    "narrowest": (lambda: scaled(140, 200), 50, ()),
    "too narrow": (lambda: scaled(139, 200), 50, (ASPECT,)),
    "broadest": (lambda: scaled(220, 100), 50, ()),
    "too broad": (lambda: scaled(221, 100), 50, (ASPECT,)),
    "one row": (lambda: scaled(200, 1), 50, (LOW_RESOLUTION, ASPECT)),
    "one level": (lambda: np.full((100, 100), 7, np.uint8), 50, (BLANK,)),
    "black": (lambda: np.zeros((100, 100), np.uint8), 50, (BLANK,)),
    "blank with border and label": (blank, 50, (BLANK,)),
    "wide film in a square border": (lambda: in_a_square(60, 200), 50, (ASPECT,)),
    "film in a wide border": (lambda: np.pad(FILM, ((9, 9), (999, 999))), 50, ()),
    "small film in a large border": (lambda: in_a_square(40, 48), 50, (LOW_RESOLUTION,)),
    "noise": (noise, 50, (BLANK,)),
    "hardly any range": (lambda: striped(100, 111), 50, (BLANK,)),
    "just enough range": (lambda: striped(100, 112), 50, ()),
    "faint film": (lambda: FILM // 4 + np.uint8(90), 50, ()),
    "negative": (lambda: 255 - FILM, 50, (INVERTED,)),
    "negative on black": (lambda: np.pad(255 - FILM, 40), 50, (INVERTED,)),
    "film on white": (lambda: np.pad(FILM, 40, constant_values=255), 50, ()),
    "narrow negative on black": (
        lambda: np.pad(255 - scaled(150, 200), ((0, 0), (60, 60))),
        50,
        (INVERTED,),
    ),
    "brighter towards the bottom": (ramp, 50, ()),
    "brighter towards the top": (lambda: ramp()[::-1], 50, (INVERTED,)),
    "clipped a little": (lambda: clipped(45), 50, ()),
    "clipped too much": (lambda: clipped(60), 50, (CLIPPED,)),
    "black air beside the film": (lambda: np.pad(FILM, ((0, 0), (90, 90))), 50, ()),
    "overexposed": (
        lambda: np.clip(FILM.astype(int) + 120, 0, 255).astype(np.uint8),
        50,
        (CLIPPED,),
    ),
    "upside down": (lambda: FILM[::-1, ::-1], 50, (ORIENTATION,)),
    "upside down, a mirror image": (lambda: FILM[::-1], 50, (ORIENTATION,)),
    "mirrored": (lambda: FILM[:, ::-1], 50, ()),
    "neither upright nor inverted": (lambda: weighed(2), 50, ()),
    "barely inverted": (lambda: weighed(3), 50, (INVERTED,)),
    "inverted above an even ledge": (lambda: on_a_ledge(8), 50, (INVERTED,)),
    "upright with an uneven ledge": (lambda: on_a_ledge(9), 50, ()),
    "tiny, narrow and blank": (
        lambda: np.zeros((8, 2), np.uint8),
        50,
        (LOW_RESOLUTION, ASPECT, BLANK),
    ),
}
