"""Features of labelled films are those that the runtime gives a film."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cxr_edge.features import ImageFeatures
from cxr_training.films.data import LabelledFile
from cxr_training.films.features import image_features_of


def test_a_border_counts_and_is_not_looked_at(tmp_path: Path) -> None:
    inside = np.tile(np.array([0, 200], np.uint8), (40, 20))
    Image.fromarray(inside).save(tmp_path / "a.png")
    Image.fromarray(np.pad(inside, 10, constant_values=255)).save(tmp_path / "b.png")
    files = [LabelledFile(tmp_path / name, 0, name) for name in ("a.png", "b.png")]
    found = image_features_of(files, 40)
    assert tuple(found) == ImageFeatures._fields
    for name in ("mean", "spread", "sharpness"):
        assert found[name][0] == found[name][1], name
    assert found["mean"][0] == 100
    assert found["border_share"] == pytest.approx([0, 1 - 1600 / 3600])
    assert found["size"].tolist() == [1600, 3600]
