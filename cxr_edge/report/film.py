"""One film as a page shows it: the film, its evidence map, and the sum that is its score."""

from __future__ import annotations

import io
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cxr_edge.model.spec import ModelSpec
from cxr_edge.report.environment import data_uri
from cxr_edge.report.evidence import overlay_paths
from cxr_edge.types import Picture

_JPEG_QUALITY = 80
_STRONGEST = 3


@dataclass(frozen=True)
class Grid:
    """Edges of the cells, in pixels of the film shown; the first and the last may lie outside.

    A cell is drawn as wide as the step to the next one, whatever it sees.
    """

    left: float
    top: float
    cell_width: float
    cell_height: float


@dataclass(frozen=True)
class Cell:
    """One cell of the evidence map: row and column counted from 1, top left, and its share."""

    row: int
    column: int
    share: float


@dataclass(frozen=True)
class FilmView:
    """Values for `film.html.j2`.

    Attributes:
        film: JPEG, as a data URI.
        width: of the film shown, pixels; `height` likewise.
        overlay: the evidence map: pattern and path in cells; empty where the model cannot point.
        grid: where its cells lie.
        rows: cells of the map from top to bottom; `columns` from left to right.
        logit: `rest` + `raised` + `lowered`.
        raised: sum of the positive shares; `lowered` of the negative ones.
        strongest: the cells with the largest shares, of either sign, largest first.
    """

    film: str
    width: int
    height: int
    overlay: tuple[tuple[str, str], ...]
    grid: Grid
    rows: int
    columns: int
    logit: float
    rest: float
    raised: float
    lowered: float
    strongest: tuple[Cell, ...]


def film_view(picture: Picture, spec: ModelSpec) -> FilmView:
    """A film with the map of the model that scored it."""
    height, width = picture.film.shape
    shares = picture.evidence.astype(np.float64)
    raised, lowered = shares[shares > 0].sum(), shares[shares < 0].sum()
    return FilmView(
        film=_jpeg(picture.film),
        width=width,
        height=height,
        overlay=overlay_paths(picture.evidence) if spec.can_point else (),
        grid=grid_of(picture, spec),
        rows=shares.shape[0],
        columns=shares.shape[1],
        logit=float(picture.bias + raised + lowered),
        rest=picture.bias,
        raised=float(raised),
        lowered=float(lowered),
        strongest=_strongest(shares),
    )


def grid_of(picture: Picture, spec: ModelSpec) -> Grid:
    """The film was squashed to the network's square: a cell has its share of either side."""
    height, width = picture.film.shape
    field = spec.receptive_field
    start, step = (field.first_centre - field.stride / 2) / spec.size, field.stride / spec.size
    return Grid(start * width, start * height, step * width, step * height)


def _strongest(shares: NDArray[np.float64]) -> tuple[Cell, ...]:
    order = np.argsort(-np.abs(shares), axis=None, kind="stable")[:_STRONGEST]
    places = zip(*np.unravel_index(order, shares.shape), strict=True)
    return tuple(
        Cell(int(row) + 1, int(column) + 1, float(shares[row, column])) for row, column in places
    )


def _jpeg(film: NDArray[np.uint8]) -> str:
    """Data URI of a JPEG."""
    from PIL import Image  # a report from the ledger shows no film and needs no decoder

    stream = io.BytesIO()
    Image.fromarray(film).save(stream, "JPEG", quality=_JPEG_QUALITY, optimize=True)
    return data_uri("image/jpeg", stream.getvalue())
