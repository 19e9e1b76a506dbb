"""The scope gate in a run: doubts beside the scores, which stay as they are."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import cxr_edge
from cxr_edge.decoders.pool import Workers
from cxr_edge.engines.forward_passes import Networks
from cxr_edge.images import decode
from cxr_edge.intake.discover import discover
from cxr_edge.preprocess import to_scope_input, without_border
from cxr_edge.runtime.scope import Look
from cxr_edge.types import InputWarning
from tests.factories import FakeRunner, chest, write_tree
from tests.images.films import png
from tests.nights import SETTINGS, InThisProcess, Night

SEEING = replace(SETTINGS, scope_size=48)
DARK, BRIGHT = png(chest()), png(chest(tilt=-100))


class Gate:
    """Doubts what is bright on the left."""

    def looks(self, planes: Any) -> list[Look]:
        assert planes.shape[1:] == (48, 48, 1)
        bright = planes[:, :, :24].mean(axis=(1, 2, 3)) > planes[:, :, 24:].mean(axis=(1, 2, 3))
        doubts = [(InputWarning.OUT_OF_SCOPE,) if each else () for each in bright]
        return [Look(float(each), doubt) for each, doubt in zip(bright, doubts, strict=True)]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    films = {"a.png": DARK, "b.png": BRIGHT, "copy of b.jpg": BRIGHT, "c.txt": b"hello"}
    return write_tree(tmp_path / "in", films)


@pytest.mark.parametrize("batch_size", [1, 32])
def test_doubts_stand_beside_scores(batch_size: int, night: Night, folder: Path) -> None:
    """The same bytes under another name too, whose score is known; in the vocabulary's order."""
    runner = FakeRunner()
    options: dict[str, Any] = {"workers": InThisProcess(SEEING), "batch_size": batch_size}
    plain = night.run(folder, runner=runner, **options)
    gated = night.run(folder, settings="gate", networks=Networks(runner, Gate()), **options)  # type: ignore[arg-type]
    doubts = [row.warnings[-1:] for row in gated]
    assert doubts == [(), (InputWarning.OUT_OF_SCOPE,), (), (InputWarning.OUT_OF_SCOPE,)]
    assert [row.probability for row in gated] == [row.probability for row in plain]
    assert gated[3].warnings == (InputWarning.EXTENSION_MISMATCH, InputWarning.OUT_OF_SCOPE)


def test_decoders_send_the_gates_plane_along(folder: Path) -> None:
    with Workers(1, replace(SEEING, view=True)) as pool:
        made = {
            file.display: item for file, item in pool.prepare(discover([folder]), lambda: False)
        }
    pixels = decode(DARK, "a.png").pixels
    expected = to_scope_input(without_border(pixels), 48)
    assert made["a.png"].scope_pixels is not None
    assert np.array_equal(made["a.png"].scope_pixels, expected)
    assert made["a.png"].view is not None
    assert made["c.txt"].scope_pixels is None


@pytest.mark.usefixtures("scope_gate")
def test_one_film_in_python_has_the_doubts_of_a_night(tmp_path: Path) -> None:
    turned = np.rot90(chest(224, 224))
    write_tree(tmp_path / "in", {"turned.png": png(turned)})
    with cxr_edge.load_model("cnn3_50") as model:
        score = model.score(tmp_path / "in" / "turned.png")
        assert model.score(np.ascontiguousarray(turned)).warnings == score.warnings
    assert InputWarning.OUT_OF_SCOPE in score.warnings
    assert score.band is cxr_edge.Band.ATTENTION
    night = cxr_edge.score_folder(tmp_path / "in", model="cnn3_50", out=tmp_path / "out", settle=0)
    (row,) = night.rows()
    assert (row.result.warnings, row.result.probability) == (score.warnings, score.probability)
    assert night.context.scope_gate is not None
    assert night.context.scope_gate["name"] == "scope_48"
