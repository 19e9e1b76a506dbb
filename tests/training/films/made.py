"""Films of noise, and a recipe's section that changes everything about them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cxr_training.films.data import ImageSet, LabelledFile
from cxr_training.recipe.recipe import load_recipe

SIZE = 50
TUNED = load_recipe("cnn3_50", "tuned").augmentation
EVERYTHING = replace(
    TUNED,
    histogram=1.0,
    fourier=1.0,
    shade=0.4,
    crop=0.1,
    frame=0.1,
)


def film(seed: int = 0) -> NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 256, (SIZE, SIZE), np.uint8)


def image_set(n: int = 10) -> ImageSet:
    files = tuple(LabelledFile(Path(f"{i}.png"), i % 2, str(i)) for i in range(n))
    pixels = np.stack([film(i) for i in range(n)])[..., np.newaxis]
    return ImageSet(files, pixels, np.array([f.label for f in files], np.float32), "0" * 64)
