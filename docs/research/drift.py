"""Measures `cxr-edge drift` on simulated shifts: false alarms, and films until an alarm.

    python docs/research/drift.py FILMS

FILMS holds NORMAL and PNEUMONIA. The reference is 400 films, a quarter of them pneumonias; windows
of 200 films are drawn from the others. A shift begins with some of the window's films.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from cxr_edge.features import border_share, image_features, logit_of
from cxr_edge.ledger.window import Film
from cxr_edge.model.catalog import choose_model
from cxr_edge.preprocess import to_network_input, without_border
from cxr_edge.report.summary import distribution
from cxr_edge.runtime import Device, load
from cxr_edge.watch.drift import compare
from cxr_edge.watch.reference import Reference, marks_of

Pixels = NDArray[np.uint8]
STEPS = (20, 40, 60, 80, 100, 120, 160, 200)
LIMITS, WINDOW, REPEATS, MODEL = (0.25, 0.1), 200, 40, "cnn3_128"


def gamma(power: float) -> Callable[[Pixels], Pixels]:
    """Another look-up table of the detector."""
    return lambda p: (255 * (p / 255) ** power).round().astype(np.uint8)


def blur(radius: float) -> Callable[[Pixels], Pixels]:
    """Another site's detector or processing."""
    filtered = ImageFilter.GaussianBlur(radius)
    return lambda pixels: np.asarray(Image.fromarray(pixels).filter(filtered))


def dead_row(pixels: Pixels) -> Pixels:
    """One line of the detector gives nothing."""
    dead = pixels.copy()
    dead[len(dead) // 3] = 0
    return dead


CHANGES: dict[str, Callable[[Pixels], Pixels]] = {
    "plain": lambda pixels: pixels,
    "gamma 0.8": gamma(0.8),
    "gamma 1.3": gamma(1.3),
    "blur of 1 pixel": blur(1),
    "blur of 2 pixels": blur(2),
    "dead detector row": dead_row,
}


def measured(files: list[Path], change: Callable[[Pixels], Pixels]) -> list[Film]:
    """Films as the ledger would have them."""
    choice = choose_model(MODEL)
    runner = load(choice, Device.parse("cpu"), lambda error: None)
    planes, looks = [], []
    for file in files:
        pixels = change(np.asarray(Image.open(file).convert("L")))
        film = without_border(pixels)
        plane = to_network_input(film, choice.spec.size)
        extent = float(pixels.shape[1]), float(pixels.shape[0])
        planes.append(plane)
        looks.append(image_features(plane, extent, border_share(extent, film.extent)))
    scores = [
        float(p)
        for i in range(0, len(planes), 64)
        for p in runner.predict(np.stack(planes[i : i + 64])).probability
    ]
    return [
        Film("run", round(score, 6), (), (*look, None, logit_of(round(score, 6))))
        for score, look in zip(scores, looks, strict=True)
    ]


def main(folder: Path) -> None:
    """Print a table in Markdown."""
    random = np.random.default_rng(0)
    ill, well = (
        [Path(p) for p in random.permutation(sorted(folder.glob(f"{name}/*")))[:count]]
        for name, count in (("PNEUMONIA", 400), ("NORMAL", 900))
    )
    films = {name: measured(well + ill, change) for name, change in CHANGES.items()}
    n_ill, n_well = np.arange(900, 1300), np.arange(900)
    kept = [films["plain"][i] for i in (*n_well[:300], *n_ill[:100])]
    features = distribution("reference", [film.features for film in kept])
    threshold = choose_model(MODEL).spec.operating_points["screening"].threshold
    flags = sum(film.probability >= threshold for film in kept)
    reference = Reference("reference", len(kept), marks_of(features), True, {}, flags)

    def alarm(change: str, shifted: int, prevalence: float = 0.25) -> list[bool]:
        count = round(WINDOW * prevalence)
        some_ill = random.choice(n_ill[100:], count, False)
        some_well = random.choice(n_well[300:], WINDOW - count, False)
        drawn = random.permutation([*some_ill, *some_well])
        sets = [films[change if place < shifted else "plain"] for place in range(WINDOW)]
        window = [each[i] for each, i in zip(sets, drawn, strict=True)]
        return [compare(window, reference, threshold, limit).over for limit in LIMITS]

    for limit, alarms in zip(LIMITS, _share(alarm, ("plain", 0), 10 * REPEATS), strict=True):
        print(f"PSI {limit}: false alarms in {alarms:.1f} % of windows")  # noqa: T201
    for name, change, prevalence in (
        *((name, name, 0.25) for name in CHANGES if name != "plain"),
        ("pneumonias 25 % to 50 %", "plain", 0.5),
        ("pneumonias 25 % to 10 %", "plain", 0.1),
    ):
        steps = STEPS if change != "plain" else (WINDOW,)
        found = [_share(alarm, (change, shifted, prevalence), REPEATS) for shifted in steps]
        for limit, row in zip(LIMITS, zip(*found, strict=True), strict=True):
            cells = ", ".join(f"{k}: {p:.0f} %" for k, p in zip(steps, row, strict=True))
            print(f"| {name} | {limit} | {cells} |")  # noqa: T201


def _share(alarm: Callable[..., list[bool]], asked: tuple[Any, ...], repeats: int) -> list[float]:
    """Alarms in per cent, by limit."""
    alarms = [alarm(*asked) for _ in range(repeats)]
    return [100 * sum(column) / repeats for column in zip(*alarms, strict=True)]


if __name__ == "__main__":
    main(Path(sys.argv[1]))
