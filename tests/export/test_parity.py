"""The gate: what passes, what is refused, and with which figure."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from cxr_edge.errors import ExportError, ParityError
from cxr_edge.statistics.operating_points import OperatingPoint, Proportion
from cxr_edge.types import Predictions
from cxr_export import parity
from cxr_export.parity import (
    BATCH_SIZES,
    MAP_TOLERANCE,
    MOST_AUC_LOSS,
    TOLERANCE,
    Gate,
    ValidationGate,
    sample_evenly,
)
from cxr_export.parity_gates import Trained, make_gates

COUNT = 40
HALF = Proportion.of(1, 2)
# The pixel of an image is its number; its true probability stands here.
PROBABILITY = np.linspace(0.02, 0.99, COUNT)
PIXELS = np.arange(COUNT, dtype=np.uint8).reshape(COUNT, 1, 1, 1)

Change = Callable[[NDArray[np.float64], int], NDArray[np.float64]]


def point(threshold: float) -> OperatingPoint:
    """A threshold; what it measured does not matter here."""
    return OperatingPoint(threshold, "by hand", HALF, HALF, "nothing")


def maps(probability: NDArray[np.float64]) -> NDArray[np.float64]:
    """Evidence maps [N, 2, 2] that hold the logits but for a bias of 1, in unequal parts."""
    logit = np.log(probability / (1 - probability)) - 1
    return logit[:, np.newaxis, np.newaxis] * np.array([[0.1, 0.2], [0.3, 0.4]])


def gate(**fields: Any) -> Gate:
    """The gate of a float32 file with one operating point far from every answer."""
    points = {"screening": point(float(PROBABILITY[20] + PROBABILITY[21]) / 2)}
    plain = Gate(PIXELS, PROBABILITY, maps(PROBABILITY), points, "float32", "the truth")
    return replace(plain, **fields)


@dataclass
class Runner:
    """Answers with the truth, in float64, except for what is changed."""

    change: Change = lambda probability, _: probability
    off_logit: float = 0.0
    only_at: int | None = None
    redrawn: Callable[[NDArray[np.float64]], NDArray[np.float64]] = lambda evidence: evidence
    device: str = "cpu"
    backend: str = "fake 1.0"
    batches: list[int] = field(default_factory=list)

    def signature(self) -> Any:
        """The gate leaves names and shapes to the loader."""
        raise NotImplementedError

    def predict(self, images: NDArray[np.uint8]) -> Predictions:
        """The truth, as changed."""
        self.batches.append(len(images))
        probability: Any = self.change(PROBABILITY[images[:, 0, 0, 0]], len(images))
        evidence = maps(probability)
        if self.only_at in (None, len(images)):
            evidence[:, 0, 0] += self.off_logit
        bias: Any = np.ones(len(images), np.float32)
        return Predictions(probability, self.redrawn(evidence), bias)


def test_a_correct_runner_passes() -> None:
    parity = gate().check(Runner())
    assert parity.max_abs_difference == 0
    assert parity.max_identity_error < 1e-12
    assert (parity.samples, parity.batch_sizes, parity.decision_flips) == (COUNT, (1, 32), 0)
    assert (parity.reference, parity.tolerance) == ("the truth", 1e-5)


@pytest.mark.parametrize("off", [9e-6, -9e-6])
def test_what_was_measured_is_reported(off: float) -> None:
    parity = gate().check(Runner(lambda p, _: np.where(p == p[-1], p + off, p)))
    assert parity.max_abs_difference == pytest.approx(9e-6, rel=1e-3)


def test_both_batch_sizes_are_used() -> None:
    runner = Runner()
    gate().check(runner)
    assert runner.batches.count(1) == COUNT
    assert {32, COUNT - 32} <= set(runner.batches)


def at_batch_size(size: int, off: float) -> Change:
    """Wrong at one batch size only."""
    return lambda p, n: p + off * (n == size)


WRONG: dict[str, tuple[Runner, str]] = {
    "everywhere": (Runner(lambda p, _: p + 1.1e-5), "differs from the truth by 1.1e-05"),
    "too low": (Runner(lambda p, _: p - 2e-5), "by 2e-05, allowed 1e-05"),
    "in one image": (Runner(lambda p, _: p + 1e-3 * (p == PROBABILITY[7])), "by 0.001"),
    "in the last image": (Runner(lambda p, _: p - 1e-3 * (p == PROBABILITY[-1])), "by 0.001"),
    "alone": (Runner(at_batch_size(1, 1e-3)), "by 0.001"),
    "in full batches": (Runner(at_batch_size(32, 1e-3)), "by 0.001"),
    "in the rest of a batch": (Runner(at_batch_size(COUNT - 32, 1e-3)), "by 0.001"),
    # rtol of np.allclose would let this pass: 1.2e-5 * p + 1e-5 > 1.2e-5 * p.
    "in proportion": (Runner(lambda p, _: p * (1 + 1.2e-5)), "by 1.2e-05"),
    "not a number": (Runner(lambda p, _: p * np.nan), "differs from the truth by nan"),
    "one not a number": (Runner(lambda p, _: np.where(p == p[0], np.nan, p)), "by nan"),
    "not a number in full batches": (Runner(at_batch_size(32, np.nan)), "by nan"),
    "evidence": (Runner(off_logit=1e-3), "evidence + bias is not the logit: off by 0.00025"),
    "evidence in full batches": (Runner(off_logit=1e-3, only_at=32), "off by 0.00025"),
    "evidence not a number in full batches": (Runner(off_logit=np.nan, only_at=32), "by nan"),
    "evidence not a number": (Runner(off_logit=np.nan), "is not the logit: off by nan"),
    "evidence all the way": (Runner(off_logit=np.inf), "is not the logit"),
}


@pytest.mark.parametrize(("runner", "figure"), WRONG.values(), ids=WRONG.keys())
def test_a_wrong_runner_is_refused_with_the_figure(runner: Runner, figure: str) -> None:
    with pytest.raises(ParityError, match=figure.replace("+", r"\+")) as caught:
        gate().check(runner)
    assert isinstance(caught.value, ExportError)
    assert caught.value.exit_code == 1


def test_int8_is_allowed_more_but_not_in_the_identity() -> None:
    wide = gate(precision="int8")
    other = Runner(lambda p, _: p - 0.015 * (p == PROBABILITY[20]))
    assert wide.check(other).max_abs_difference == pytest.approx(0.015)
    with pytest.raises(ParityError, match="not the logit"):
        wide.check(Runner(off_logit=1e-3))


@pytest.mark.parametrize("precision", MAP_TOLERANCE)
@pytest.mark.parametrize(
    "redrawn",
    [
        lambda evidence: evidence[:, ::-1, ::-1],
        lambda evidence: evidence.swapaxes(1, 2)[:, ::-1],
        lambda evidence: np.broadcast_to(evidence.sum((1, 2), keepdims=True), evidence.shape) / 4,
        lambda evidence: np.where([[1, 0], [0, 0]], evidence.sum((1, 2), keepdims=True), 0),
    ],
    ids=["mirrored", "turned", "spread", "in one cell"],
)
def test_a_map_that_adds_up_and_points_elsewhere_is_refused(precision: str, redrawn: Any) -> None:
    with pytest.raises(ParityError, match="another evidence map than the truth: cells off by"):
        gate(precision=precision).check(Runner(redrawn=redrawn))


def test_a_float32_map_is_held_cell_by_cell() -> None:
    def moved(evidence: NDArray[np.float64]) -> NDArray[np.float64]:
        share = 0.01 * evidence[:, 1, 1]
        return evidence + share[:, np.newaxis, np.newaxis] * np.array([[1, -1], [0, 0]])

    with pytest.raises(ParityError, match=r"off by 0\.01 of the largest, allowed 1e-03"):
        gate().check(Runner(redrawn=moved))
    assert gate(precision="int8").check(Runner(redrawn=moved))


def test_a_unit_on_its_corner_may_move_its_share_in_a_film() -> None:
    last = maps(PROBABILITY)[-1]

    def moved(evidence: NDArray[np.float64]) -> NDArray[np.float64]:
        same = np.isclose(evidence, last).all((1, 2))
        return np.where(same[:, np.newaxis, np.newaxis], evidence[:, ::-1], evidence)

    assert gate().check(Runner(redrawn=moved))


def one_off(index: int, off: float, sizes: tuple[int, ...]) -> Change:
    """One image's answer is off in batches of these sizes."""
    return lambda p, n: p + off * ((p == PROBABILITY[index]) & (n in sizes))


ALL_SIZES = (1, COUNT - 32, 32, COUNT)


def test_a_flip_inside_the_margin_is_allowed() -> None:
    near = point(PROBABILITY[20] + 4e-6)
    runner = Runner(one_off(20, 8e-6, ALL_SIZES))
    assert gate(operating_points={"screening": near}).check(runner).decision_flips == 0


def test_a_flip_outside_the_margin_is_refused() -> None:
    """It takes another answer in the third batch size, all at once, to get there."""
    points = {"screening": point(PROBABILITY[20] + 4e-6), "balanced": point(0.5)}
    runner = Runner(one_off(20, 8e-6, (COUNT,)))
    with pytest.raises(ParityError, match=r"1 decisions change outside \+-0"):
        gate(operating_points=points).check(runner)


def test_films_are_looked_at_in_batches_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """All validation films at once would need gigabytes."""
    monkeypatch.setattr(parity, "_FLIPS_AT", 8)
    runner = Runner()
    gate().check(runner)
    assert max(runner.batches) == max(BATCH_SIZES)


@pytest.mark.parametrize(
    ("count", "wanted", "positions"),
    [
        (5, 5, [0, 1, 2, 3, 4]),
        (3, 256, [0, 1, 2]),
        (10, 2, [0, 9]),
        (9, 3, [0, 4, 8]),
        (1, 5, [0]),
        (10, 1, [0]),
    ],
)
def test_samples_are_spread_evenly(count: int, wanted: int, positions: list[int]) -> None:
    assert sample_evenly(count, wanted) == positions


def test_tolerances_are_those_of_the_design() -> None:
    assert TOLERANCE == {
        "float32": 1e-5,
        "float16-weights": 5e-3,
        "int8-weights": 2e-2,
        "float16": 1e-3,
        "int8": 2e-2,
    }
    assert len(set(BATCH_SIZES)) == 2


# What fewer bits may lose on validation: 100 films of each class, apart but for one pair.

LABELS = np.repeat(np.float32([0, 1]), 100)
APART = np.concatenate((np.linspace(0.01, 0.4, 100), np.linspace(0.6, 0.99, 100)))


def validation() -> ValidationGate:
    """A reference that finds 98 of 100."""
    return ValidationGate(LABELS, swapped(2, 0.45), threshold=0.5)


def swapped(positives: int, score: float) -> NDArray[np.float64]:
    """Answers that tell all films apart, but for some pneumonias that get `score`."""
    answers = APART.copy()
    answers[100 : 100 + positives] = score
    return answers


def test_what_is_lost_on_validation_is_told() -> None:
    assert validation().check(APART) == 0
    assert validation().check(swapped(1, 0.3995)) == pytest.approx(1e-4)
    assert MOST_AUC_LOSS == 0.002


@pytest.mark.parametrize(
    ("answers", "sentence"),
    [
        (swapped(1, 0.3), r"AUC on validation falls by 0.00\d+, allowed 0.002"),
        (np.full(200, np.nan), "NaN"),
        (swapped(8, 0.45), "sensitivity at screening falls to 0.9200, below 0.9300"),
    ],
    ids=["area", "no numbers", "sensitivity"],
)
def test_what_loses_too_much_is_refused(answers: NDArray[np.float64], sentence: str) -> None:
    with pytest.raises((ParityError, ValueError), match=sentence):
        validation().check(answers)


def test_a_point_from_folds_is_measured_on_the_films_at_hand() -> None:
    """Its own figures are those of other networks: the reference itself would fall below them."""
    pooled = replace(point(0.5), sensitivity=Proportion.of(3990, 4000))
    source: Any = SimpleNamespace(probability=lambda _: swapped(2, 0.45), evidence=lambda _: None)
    images: Any = SimpleNamespace(pixels=PIXELS, labels=LABELS)
    gates = make_gates(Trained(source, images, {"screening": pooled}), "int8")
    assert gates.validation is not None
    assert gates.validation.check(swapped(2, 0.45)) == 0


def test_sensitivity_inside_the_interval_passes() -> None:
    assert validation().check(swapped(6, 0.45)) == 0
