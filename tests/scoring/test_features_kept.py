"""Features of films in a night's rows, for comparing nights."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cxr_edge.engines.forward_passes import Networks
from cxr_edge.features import FEATURES
from cxr_edge.runtime.scope import Look
from tests.factories import FakeRunner, InThisProcess, chest, write_tree
from tests.images.films import png
from tests.nights import SETTINGS, Night


class Gate:
    """Says the same of all."""

    def looks(self, planes: Any) -> list[Look]:
        return [Look(0.25, ())] * len(planes)


def test_rows_keep_how_a_film_looks(night: Night, tmp_path: Path) -> None:
    folder = write_tree(tmp_path / "in", {"a.png": png(chest()), "b.txt": b"hello"})
    seeing = InThisProcess(replace(SETTINGS, scope_size=48))
    networks = Networks(FakeRunner(0.75), Gate())  # type: ignore[arg-type]
    film, text = night.run(folder, workers=seeing, networks=networks)
    features = dict(zip(FEATURES, film.features, strict=True))
    assert features["size"] == 48 * 64
    assert features["border_share"] == 0
    assert features["scope"] == 0.25
    assert features["logit"] == pytest.approx(1.0986, abs=1e-4)
    assert 0 < (features["spread"] or 0) < (features["mean"] or 0) < 255
    assert text.features == ()


def test_a_border_is_measured_before_it_is_cut_off(night: Night, tmp_path: Path) -> None:
    bordered = np.pad(chest(), 8, constant_values=255)
    (film,) = night.run(write_tree(tmp_path / "in", {"a.png": png(bordered)}))
    share = film.features[FEATURES.index("border_share")]
    assert share == pytest.approx(1 - 48 * 64 / (64 * 80), abs=1e-5)


def test_without_a_gate_nobody_knows_the_scope(night: Night, tmp_path: Path) -> None:
    (film,) = night.run(write_tree(tmp_path / "in", {"a.png": png(chest())}))
    assert film.features[FEATURES.index("scope")] is None
