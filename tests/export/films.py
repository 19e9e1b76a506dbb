"""The x-rays of the checkout, and grey films for whoever has none."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

ROOT = Path(__file__).resolve().parents[2]
INCOMING = ROOT / "tests" / "data" / "incoming"
FILMS_PER_CLASS = 12

_CLASS_OF = {"IM-": "NORMAL", "NORMAL2-": "NORMAL", "person": "PNEUMONIA"}


def xray_classes() -> dict[Path, str]:
    """The readable x-rays of tests/data/incoming and what they show, by their Kermany names."""
    return {
        path: kind
        for path in sorted(INCOMING.glob("*.jpeg"))
        for start, kind in _CLASS_OF.items()
        if path.name.startswith(start)
    }


def films(count: int, size: int, seed: int = 0) -> NDArray[np.uint8]:
    """Soft grey clouds of all contrasts: uint8 [count, size, size, 1]."""
    rng = np.random.default_rng(seed)
    planes = []
    for _ in range(count):
        coarse = rng.integers(0, 256, (int(rng.integers(3, 9)),) * 2, dtype=np.uint8)
        plane = Image.fromarray(coarse).resize((size, size), Image.Resampling.BICUBIC)
        grain = rng.normal(0, rng.uniform(1, 10), (size, size))
        planes.append((np.asarray(plane) * rng.uniform(0.4, 1.0) + grain).clip(0, 255))
    return np.stack(planes).astype(np.uint8)[..., np.newaxis]


def write_labelled(folder: Path) -> Path:
    """NORMAL and PNEUMONIA: the real x-rays where the checkout has them, else grey films."""
    for kind in ("NORMAL", "PNEUMONIA"):
        (folder / kind).mkdir(parents=True)
    for path, kind in xray_classes().items():
        (folder / kind / path.name).symlink_to(path)
    if not xray_classes():
        for seed, kind in enumerate(("NORMAL", "PNEUMONIA")):
            for index, film in enumerate(films(FILMS_PER_CLASS, 64, seed)):
                Image.fromarray(film[..., 0]).save(folder / kind / f"film-{index}.png")
    return folder
