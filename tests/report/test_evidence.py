"""Evidence maps as drawings: every share of weight drawn once, with the right sign and strength."""

from __future__ import annotations

import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from numpy.typing import NDArray

from cxr_edge.report.environment import page_environment
from cxr_edge.report.evidence import LEVELS, overlay_paths
from cxr_edge.report.texts import texts
from tests.tiny import tiny_spec

RUN = re.compile(r"M(\d+) (\d+)h(\d+)v1h-(\d+)z")


def drawn(evidence: NDArray[np.float32]) -> NDArray[np.int64]:
    """What the paths fill: the level of each cell, negative where it lowers the score."""
    filled = np.zeros(evidence.shape, np.int64)
    for name, path in overlay_paths(evidence):
        sign, level = name.split("-")
        assert RUN.sub("", path) == ""
        for left, row, there, back in (map(int, run) for run in RUN.findall(path)):
            assert there == back
            cells = filled[row, left : left + there]
            assert not cells.any()
            cells[:] = int(level) * (1 if sign == "raised" else -1)
    return filled


MAPS = {
    "all strengths": (
        [[8.0, 6.0, 4.0, 2.0], [-8.0, -6.0, -4.0, -2.0]],
        [[4, 3, 2, 1], [-4, -3, -2, -1]],
    ),
    "an eighth is drawn, less is clear": ([[8.0, 1.0, 0.99, -1.0]], [[4, 1, 0, -1]]),
    "against its own largest": ([[0.001, -0.0005]], [[4, -2]]),
    "nothing": ([[0.0, 0.0]], [[0, 0]]),
    "one cell": ([[-3.0]], [[-4]]),
}


@pytest.mark.parametrize(("shares", "levels"), MAPS.values(), ids=MAPS)
def test_cells_by_sign_and_strength(shares: list[list[float]], levels: list[list[int]]) -> None:
    assert drawn(np.array(shares, np.float32)).tolist() == levels


@given(
    arrays.arrays(
        np.float32, arrays.array_shapes(min_dims=2, max_dims=2), elements=st.floats(-9, 9, width=32)
    )
)
def test_any_map(evidence: NDArray[np.float32]) -> None:
    levels = drawn(evidence)
    largest = np.abs(evidence).max()
    assert np.abs(levels).max() == (LEVELS if largest else 0)
    assert ((np.sign(levels) == np.sign(evidence)) | (levels == 0)).all()
    assert (np.abs(evidence[levels == 0]) <= largest / 8).all()
    stronger = np.abs(evidence).ravel().argsort()
    assert (np.diff(np.abs(levels).ravel()[stronger]) >= 0).all()


def test_every_pattern_is_defined_in_the_legend_and_by_the_style() -> None:
    """And carries a sign: colour alone would tell nothing to some readers."""
    environment = page_environment()
    films = environment.get_template("film.html.j2").make_module({"t": texts()})
    legend = str(films.legend(tiny_spec()))  # type: ignore[attr-defined]
    style = environment.get_template("base.css").render()
    for sign in ("raised", "lowered"):
        for level in range(1, LEVELS + 1):
            (pattern,) = re.findall(f'<pattern id="{sign}-{level}".*?</pattern>', legend, re.DOTALL)
            (mark,) = re.findall('class="sign"[^>]* d="(.*?)"', pattern)
            across, upright = "H" in mark, "V" in mark
            assert (across, upright) == (True, sign == "raised")
            assert f".{sign}-{level} {{ fill: url(#{sign}-{level}); }}" in style
