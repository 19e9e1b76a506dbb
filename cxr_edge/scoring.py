"""Joins the stages: files in, one result per file out. The only place that catches broadly."""

from __future__ import annotations

import itertools
import logging
import traceback
from collections import deque
from collections.abc import Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from cxr_edge.errors import ImageError
from cxr_edge.images import decode
from cxr_edge.preprocess import to_network_input
from cxr_edge.read import read_file
from cxr_edge.runtime.protocol import Runner
from cxr_edge.types import (
    PROBABILITY_DECIMALS,
    FoundFile,
    InputWarning,
    Reason,
    Result,
    Status,
)

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class ScoringOptions:
    """How much is done at once; the scores do not depend on it."""

    size: int
    workers: int = 2
    batch_size: int = 32

    def __post_init__(self) -> None:
        """At least one of each."""
        if min(self.size, self.workers, self.batch_size) < 1:
            raise ValueError(f"size, workers and batch size must be at least 1: {self}")


@dataclass(frozen=True)
class _Prepared:
    """A file on its way: what is known about it, and its pixels if it has any."""

    result: Result
    pixels: NDArray[np.uint8] | None = None


def score(files: Iterable[FoundFile], runner: Runner, options: ScoringOptions) -> Iterator[Result]:
    """Score files in the order given.

    Args:
        files: what discovery found; read lazily, so memory does not grow with the folder.
        runner: a loaded network.
        options: input size, decoding threads and batch size.

    Yields:
        Exactly one `Result` per file: a probability, or the reason why there is none.
    """
    with closing(_prepare_ahead(files, options)) as prepared:
        while batch := list(itertools.islice(prepared, options.batch_size)):
            yield from _infer(batch, runner)


def _prepare_ahead(
    files: Iterable[FoundFile], options: ScoringOptions
) -> Generator[_Prepared, None, None]:
    """Decode in threads, at most two batches ahead of inference."""
    window: deque[Future[_Prepared]] = deque()
    pool = ThreadPoolExecutor(options.workers)
    try:
        for file in files:
            window.append(pool.submit(_prepare, file, options.size))
            if len(window) >= 2 * options.batch_size:
                yield window.popleft().result()
        while window:
            yield window.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)  # an interrupted run does not decode what nobody reads


def _prepare(file: FoundFile, size: int) -> _Prepared:
    """Read, decode and resize one file; whatever happens becomes its result."""
    result = Result(file.display, Status.NOT_SCORED, file.problem or Reason.INTERNAL_ERROR)
    if file.problem is not None:
        return _Prepared(result)
    try:
        content = read_file(file.path)
        result = replace(result, sha256=content.sha256, modified_utc=content.modified_utc)
        image = decode(content.data, file.path.name)
        pixels = to_network_input(image.pixels, size)
    except ImageError as error:
        return _Prepared(replace(result, reason=error.reason))
    except Exception as error:
        # A defect of ours must cost one row and say so, not the night. Its message may quote the
        # file, so it stays out of the log.
        where = "".join(traceback.format_tb(error.__traceback__))
        _log.error("unexpected %s while reading %s\n%s", type(error).__name__, file.display, where)
        return _Prepared(result)
    warnings = image.warnings
    if min(image.width, image.height) < size:
        warnings = (*warnings, InputWarning.LOW_RESOLUTION)
    facts = replace(
        result, width=image.width, height=image.height, format=image.format, warnings=warnings
    )
    return _Prepared(facts, pixels)


def _infer(batch: list[_Prepared], runner: Runner) -> Iterator[Result]:
    """One forward pass over the decodable part of a batch."""
    images = [item.pixels for item in batch if item.pixels is not None]
    said = runner.predict(np.stack(images)).probability.tolist() if images else []
    if len(said) != len(images):
        raise RuntimeError(f"{len(said)} scores for {len(images)} films")
    probability = iter(said)
    for item in batch:
        yield item.result if item.pixels is None else _scored(item.result, next(probability))


def _scored(facts: Result, probability: float) -> Result:
    """Rounded when recorded: what is decided on is what is printed."""
    if not 0.0 <= probability <= 1.0:  # also NaN
        return replace(facts, reason=Reason.BAD_OUTPUT)
    rounded = round(probability, PROBABILITY_DECIMALS)
    return replace(facts, status=Status.SCORED, reason=None, probability=rounded)
