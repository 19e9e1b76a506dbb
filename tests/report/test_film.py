"""Films with their maps: where the cells lie, and sums that are the score."""

from __future__ import annotations

import base64
import io
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from PIL import Image

from cxr_edge.model.spec import ModelSpec, ReceptiveField
from cxr_edge.report.environment import page_environment
from cxr_edge.report.film import Cell, FilmView, Grid, film_view
from cxr_edge.report.texts import texts
from cxr_edge.types import Picture
from tests.report.pictures import picture
from tests.tiny import tiny_spec


def test_the_film_is_a_jpeg_that_shows_it() -> None:
    shown = picture()
    view = film_view(shown, tiny_spec())
    kind, content = view.film.split(",")
    assert kind == "data:image/jpeg;base64"
    with Image.open(io.BytesIO(base64.b64decode(content))) as image:
        assert (image.mode, image.size) == ("L", (view.width, view.height)) == ("L", (64, 48))
        assert np.abs(np.asarray(image, int) - shown.film).mean() < 2


def test_shares_and_rest_are_the_logit() -> None:
    view = film_view(picture(), tiny_spec())
    assert (view.rest, view.raised, view.lowered, view.logit) == (-0.25, 2.5, -1.25, 1.0)
    assert view.strongest == (Cell(1, 1, 2.0), Cell(2, 2, -1.25), Cell(1, 2, 0.5))


def with_field(first_centre: float, stride: float) -> ModelSpec:
    return replace(tiny_spec(), receptive_field=ReceptiveField(first_centre, stride, 4))


# The tiny network sees 8 x 8 pixels, the film has 64 x 48.
GRIDS = {
    "cells fill the film": (with_field(2, 4), Grid(0, 0, 32, 24)),
    "cells reach outside": (with_field(1, 6), Grid(-16, -12, 48, 36)),
}


@pytest.mark.parametrize(("spec", "grid"), GRIDS.values(), ids=GRIDS)
def test_cells_lie_where_the_network_looks(spec: ModelSpec, grid: Grid) -> None:
    """The film is squashed to a square for it, and the map is stretched back."""
    assert film_view(picture(), spec).grid == grid


def one_cell() -> tuple[Picture, ModelSpec]:
    spec = tiny_spec()
    evidence = spec.network_data_format.outputs["evidence"]
    outputs = {
        **spec.network_data_format.outputs,
        "evidence": replace(evidence, spatial_shape=(1, 1)),
    }
    wired = replace(spec.network_data_format, outputs=outputs)
    return replace(picture(), evidence=np.array([[3.0]], np.float32)), replace(
        spec, network_data_format=wired
    )


def macros() -> Any:
    return page_environment().get_template("film.html.j2").make_module({"t": texts()})


def drawn(view: FilmView) -> str:
    return str(macros().film(view, "f1"))


def test_a_model_that_cannot_point_draws_no_map() -> None:
    shown, spec = one_cell()
    view = film_view(shown, spec)
    assert view.overlay == ()
    assert drawn(view).count("<svg") == 1
    assert "This model cannot point" in str(macros().legend(spec))


def test_the_film_is_in_the_page_once_and_drawn_twice() -> None:
    text = drawn(film_view(picture(), tiny_spec()))
    assert text.count("data:image/jpeg") == 1
    assert text.count('<use href="#f1"/>') == 1
    assert 'transform="translate(0.00 0.00) scale(32.000 24.000)"' in text


WIDTHS = {
    4: "A cell sees 50 % of the film&#39;s width and height. It is drawn as large as the step to "
    "the next one, 50 %",
    8: "Every cell sees a field as wide and high as the whole film. It is drawn as large as the "
    "step to the next one, 50 %",
    20: "Every cell sees a field as wide and high as the whole film",
}


@pytest.mark.parametrize(("size", "words"), WIDTHS.items())
def test_the_legend_says_how_wide_a_cell_sees(size: int, words: str) -> None:
    spec = replace(tiny_spec(), receptive_field=ReceptiveField(2, 4, size))
    assert words in str(macros().legend(spec))
