"""The pictures of a run open as images and change with what they show."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from cxr_training.fit.run_pictures import draw_confusion, draw_curves

ROW = {"loss": 0.5, "val_loss": 0.6, "binary_accuracy": 0.7, "val_binary_accuracy": 0.8}


def test_curves_of_one_and_of_many_epochs(tmp_path: Path) -> None:
    draw_curves([{"epoch": 1, **ROW}], tmp_path / "one.png")
    many = [{"epoch": n, **{k: v / n for k, v in ROW.items()}} for n in range(1, 9)]
    draw_curves(many, tmp_path / "many.png")
    for name in ("one.png", "many.png"):
        with Image.open(tmp_path / name) as picture:
            assert picture.size == (1200, 480)
    assert (tmp_path / "one.png").read_bytes() != (tmp_path / "many.png").read_bytes()


def test_confusion_matrix(tmp_path: Path) -> None:
    draw_confusion(np.array([[5, 1], [0, 9]]), tmp_path / "matrix.png")
    with Image.open(tmp_path / "matrix.png") as picture:
        assert picture.size == (600, 480)
        assert picture.format == "PNG"
