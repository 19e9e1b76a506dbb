"""Forward passes in threads of their own, and the rows that come of them.

The network needs no interpreter: while it computes, this process takes what the decoders answer,
asks the ledger, and commits.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from cxr_edge.engines.protocol import KnownScores
from cxr_edge.errors import ThreadError
from cxr_edge.features import logit_of
from cxr_edge.intake.prepared import Prepared
from cxr_edge.ledger.rows import Entry
from cxr_edge.runtime.batches import predict
from cxr_edge.runtime.protocol import Runner
from cxr_edge.runtime.scope import Look, ScopeGate
from cxr_edge.support.cores import usable_cores
from cxr_edge.types import (
    PROBABILITY_DECIMALS,
    FoundFile,
    Predictions,
    Reason,
    Result,
    Status,
    in_order,
)

Item = tuple[FoundFile, Prepared]
Planes = list[NDArray[np.uint8]]
Looks = dict[str, Look]  # of the scope gate, by sha256


@dataclass(frozen=True)
class Networks:
    """The classifier, and the scope gate where one ships."""

    runner: Runner
    scope: ScopeGate | None = None

    def answer(
        self, films: Planes, seen: dict[str, NDArray[np.uint8]]
    ) -> tuple[Predictions | None, Looks]:
        """Score films, and show the gate those that it has not seen.

        Args:
            films: uint8 [S, S, 1] each, for the classifier.
            seen: uint8 [G, G, 1] each, for the gate, by sha256.
        """
        looks: Looks = {}
        if self.scope and seen:
            found = self.scope.looks(np.stack(list(seen.values())))
            looks = dict(zip(seen, found, strict=True))
        return (predict(self.runner, np.stack(films)) if films else None), looks


class Passes:
    """Runs forward passes in threads and gives their rows in the order in which they began.

    A context manager that waits for its threads. Rows come in groups, as many together as a kill
    may cost: whoever commits them waits for the disk, however few they are.
    """

    def __init__(self, networks: Networks, known: KnownScores, ahead: int) -> None:
        """Begin no pass yet.

        Args:
            networks: the loaded classifier, and its scope gate.
            known: asked for scores of bytes that have one already.
            ahead: batches that may be begun and not handed on, so many does a kill cost; at least
                one. The films of the next one are collected meanwhile, and not counted.
        """
        self._networks = networks
        self._known = known
        self._ahead = ahead
        self._under_way: deque[_Pass] = deque()
        self._in_network: set[str] = set()  # sha256 of the films
        self._threads = ThreadPoolExecutor(min(ahead, usable_cores()))

    def __enter__(self) -> Passes:
        """Return itself."""
        return self

    def __exit__(self, _: object, error: BaseException | None, __: object) -> None:
        """End the threads; wait for them, unless somebody wants an end at once."""
        self._threads.shutdown(wait=error is None, cancel_futures=True)

    def begin(self, batch: list[Item]) -> Iterator[list[Entry]]:
        """Ask for what has pixels and no score yet; the same bytes only once.

        Yields:
            Rows of earlier batches, which must be known to `known` when the next is asked for.

        Raises:
            DeviceError: the network fails, on this batch or on an earlier one.
        """
        films = {item.result.sha256: item.pixels for _, item in batch if item.pixels is not None}
        # Whose bytes are in the network already waits for their score to be recorded.
        if not self._in_network.isdisjoint(films):
            yield from self.finish()
        elif len(self._under_way) >= self._ahead:
            yield from self.finish(self._ahead - 1)
        known_scores = self._known(list(films))
        new = [sha256 for sha256 in films if sha256 not in known_scores]
        # Every film, also one whose score is known: the ledger is asked for numbers alone.
        seen = {item.result.sha256: p for _, item in batch if (p := item.scope_pixels) is not None}
        answers = self._submitted([films[each] for each in new], seen)
        self._under_way.append(_Pass(batch, known_scores, new, answers))
        self._in_network.update(new)

    def finish(self, most: int = 0) -> Iterator[list[Entry]]:
        """Wait until no more than `most` batches are left.

        Yields:
            The rows of all that have ended, once.

        Raises:
            DeviceError: the network fails on one; the rows of those before it are given first.
        """
        entries: list[Entry] = []
        try:
            while self._has_ended() or len(self._under_way) > most:
                entries += self._under_way[0].entries()
                self._in_network.difference_update(self._under_way.popleft().new)
        finally:
            if entries:
                yield entries

    def _has_ended(self) -> bool:
        return bool(self._under_way) and self._under_way[0].answers.done()

    def _submitted(
        self, films: Planes, seen: dict[str, NDArray[np.uint8]]
    ) -> Future[tuple[Predictions | None, Looks]]:
        try:
            return self._threads.submit(self._networks.answer, films, seen)
        except RuntimeError as error:
            raise ThreadError(error) from error


@dataclass(frozen=True)
class _Pass:
    """A batch on its way through the network.

    Attributes:
        batch: its files.
        scores: by sha256, as far as they are known.
        new: those that the network is asked for, in the order of its answers.
        answers: predictions to come, or None where `new` is empty, and the gate's looks.
    """

    batch: list[Item]
    scores: dict[str, float]
    new: list[str]
    answers: Future[tuple[Predictions | None, Looks]]

    def entries(self) -> list[Entry]:
        """Make the rows, as soon as the network has answered."""
        devices: dict[str, str] = {}
        answers, looks = self.answers.result()
        if answers:
            self.scores.update(zip(self.new, answers.probability.tolist(), strict=True))
            devices = dict.fromkeys(self.new, answers.device)
        return [
            Entry(
                file,
                _result(item, looks.get(item.result.sha256), self.scores, devices),
                item.stamp or file.stamp,
            )
            for file, item in self.batch
        ]


def _result(
    item: Prepared, look: Look | None, scores: dict[str, float], devices: dict[str, str]
) -> Result:
    """Put the probability in, rounded: the number that decides is the number that is printed."""
    if item.pixels is None:
        return item.result
    warnings = in_order((*item.result.warnings, *(look.warnings if look else ())))
    probability = scores[item.result.sha256]
    if not 0.0 <= probability <= 1.0:  # also NaN
        return replace(item.result, warnings=warnings, reason=Reason.BAD_OUTPUT)
    rounded = round(probability, PROBABILITY_DECIMALS)
    return replace(
        item.result,
        status=Status.SCORED,
        reason=None,
        warnings=warnings,
        probability=rounded,
        device=devices.get(item.result.sha256, ""),
        features=_features(item, look, rounded),
    )


def _features(item: Prepared, look: Look | None, probability: float) -> tuple[float | None, ...]:
    """All of `features.FEATURES`; scope is None where there is no gate."""
    scope = look.out_of_scope if look else None
    return (*(item.image_features or ()), scope, logit_of(probability))
