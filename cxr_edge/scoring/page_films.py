"""Films for a page: read again, known by their hash, with the evidence of their scores.

Neither pixels nor evidence are kept in the ledger; a page that shows them reads the films once
more. A film that is gone or has changed since is not shown.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping

import numpy as np

from cxr_edge.decoders.pool import Workers
from cxr_edge.intake.prepared import Prepared
from cxr_edge.runtime import Runner
from cxr_edge.runtime.batches import predict
from cxr_edge.types import FoundFile, Picture

FILMS_SHOWN = 500  # by one page; each takes about 15 kB
_BATCH_SIZE = 32


def illustrate(
    films: Mapping[str, FoundFile], workers: Workers, runner: Runner, stop: Callable[[], bool]
) -> dict[str, Picture]:
    """The pictures of some films.

    Args:
        films: where each lies, by the sha256 of its bytes.
        workers: decoder processes whose settings ask for views.
        runner: the network that scored them.
        stop: when it says so, no further film is begun.

    Returns:
        By sha256, those whose bytes are still the same.

    Raises:
        DeviceError: the network fails on a film that it has scored.
    """
    files = workers.prepare(films.values(), stop)
    same = (item for _, item in files if item.pixels is not None and item.result.sha256 in films)
    pictures: dict[str, Picture] = {}
    while batch := list(itertools.islice(same, _BATCH_SIZE)):
        pictures.update(_pictures(batch, runner))
    return pictures


def _pictures(batch: list[Prepared], runner: Runner) -> Iterator[tuple[str, Picture]]:
    pixels = [item.pixels for item in batch if item.pixels is not None]
    answers = predict(runner, np.stack(pixels))
    for item, evidence, bias in zip(batch, answers.evidence, answers.bias, strict=True):
        if item.view is not None:
            yield item.result.sha256, Picture(item.view, evidence, float(bias))
