"""How many films a device infers a second, and how many decoders would keep it busy.

    python -m tests.latency.gpu [auto|cpu|cuda[:N]]

Both alone: no files, no ledger, nothing overlaps. Where decoding needs more cores than there are,
`cxr-edge score` runs as fast as its decoders do, whatever the GPU.
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable, Iterator

import numpy as np

from cxr_edge.images import decode
from cxr_edge.intake.prepared import IntakeSettings, Scope
from cxr_edge.preprocess import to_network_input, without_border
from cxr_edge.runtime import Device, load
from cxr_edge.support.cores import usable_cores
from tests.factories import bundled_choices
from tests.latency.images import corpus
from tests.latency.measure import ROOT

BATCHES = (1, 32, 64, 128, 256)
SECONDS = 2.0
ROUNDS = 3
FILMS = 24  # JPEGs of real size


def per_second(work: Callable[[], object], items: int) -> float:
    """Median rate of a few rounds, after one that does not count."""
    work()
    return statistics.median(_rate(work, items) for _ in range(ROUNDS))


def _rate(work: Callable[[], object], items: int) -> float:
    began, done = time.monotonic(), 0
    while (spent := time.monotonic() - began) < SECONDS:
        work()
        done += items
    return done / spent


def lines(device: Device) -> Iterator[str]:
    """A table in Markdown."""
    yield f"| model | device | {' | '.join(f'{size} at once' for size in BATCHES)} | cores |"
    yield "|---|---|" + "---|" * (len(BATCHES) + 1)
    folder = corpus(ROOT / "build" / "films", "jpeg", FILMS)
    for choice in bundled_choices():
        if choice.format != "onnx":
            continue
        side, runner = choice.spec.size, load(choice, device)
        films = [(path.read_bytes(), path.name) for path in sorted(folder.rglob("*.jpeg"))]
        at_least = IntakeSettings(side, Scope((0, 99), ())).at_least

        def decoded(
            films: list[tuple[bytes, str]] = films, side: int = side, at_least: int = at_least
        ) -> None:
            for data, name in films:
                image = decode(data, name, at_least=at_least)
                to_network_input(without_border(image.pixels, image.extent), side)

        noise = np.random.default_rng(3).integers(0, 256, (max(BATCHES), side, side, 1), np.uint8)
        rates = [
            per_second(lambda part=noise[:size], run=runner: run.predict(part), size)  # type: ignore[misc]
            for size in BATCHES
        ]
        cores = max(rates) / per_second(decoded, len(films))
        figures = " | ".join(f"{rate:.0f}" for rate in rates)
        yield f"| {choice.path.name} | {runner.device} | {figures} | {cores:.1f} |"


if __name__ == "__main__":
    print(f"films a second; cores that decode JPEGs as fast; {usable_cores()} here")  # noqa: T201
    for line in lines(Device.parse(sys.argv[1] if len(sys.argv) > 1 else "auto")):
        print(line, flush=True)  # noqa: T201
