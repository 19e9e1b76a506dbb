"""A model runs when it is exactly what its spec says, and not otherwise."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cxr_edge.errors import CxrEdgeError, MissingExtraError, ModelRefusedError
from cxr_edge.model.catalog import choose_model
from cxr_edge.model.files import GoldenCase
from cxr_edge.runtime import Device, Runner, load, start
from cxr_edge.runtime.loading import self_test
from cxr_edge.types import Predictions
from tests.factories import FakeRunner, set_value
from tests.runtime.broken import BROKEN
from tests.tiny import sigmoid, tiny_content, tiny_logit, tiny_spec, write_tiny

CPU = Device("cpu")
GOLDEN = tiny_spec().golden


def test_right_model_runs(tiny_runner: Runner) -> None:
    images = np.random.default_rng(1).integers(0, 256, (7, 8, 8, 1), np.uint8)
    made = tiny_runner.predict(images)
    assert np.allclose(made.probability, sigmoid(tiny_logit(images)), rtol=0, atol=1e-6)
    assert np.array_equal(made.logit(), tiny_logit(images))
    assert tiny_runner.device == "cpu"
    assert tiny_runner.backend.startswith("onnxruntime ")


@pytest.mark.parametrize(("changes", "message"), BROKEN.values(), ids=BROKEN)
def test_broken_model_is_refused(changes: dict[str, Any], message: str, tmp_path: Path) -> None:
    path = write_tiny(tmp_path, **changes)
    with pytest.raises(ModelRefusedError, match=message):
        load(choose_model(str(path)), CPU)


def test_model_that_cannot_be_read(tmp_path: Path) -> None:
    choice = choose_model(str(write_tiny(tmp_path)))
    choice.path.unlink()
    with pytest.raises(ModelRefusedError, match="cannot be read"):
        load(choice, CPU)


@pytest.mark.parametrize(("kind", "extra"), [("onnx", "cpu"), ("tflite", "tflite")])
def test_missing_library_names_its_extra(
    kind: str, extra: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(__import__("sys").modules, f"cxr_edge.runtime.{kind}", None)
    with pytest.raises(MissingExtraError, match=rf"runs \.{kind} models is not") as caught:
        start(b"", kind, tiny_spec(), CPU)
    assert f"'PATH[{extra}]'" in caught.value.tip


def test_every_changed_byte_breaks_the_pin(tmp_path: Path) -> None:
    path = write_tiny(tmp_path)
    choice, content = choose_model(str(path)), path.read_bytes()
    rng = random.Random(1)
    for position in rng.sample(range(len(content)), 200):
        mutant = bytearray(content)
        mutant[position] ^= 1 << rng.randrange(8)
        path.write_bytes(mutant)
        with pytest.raises(ModelRefusedError, match="sha256 differs"):
            load(choice, CPU)


def mutants(content: bytes, count: int) -> list[bytes]:
    """Files with one to four bytes changed."""
    rng = random.Random(2)
    made = []
    for _ in range(count):
        mutant = bytearray(content)
        for position in rng.sample(range(len(content)), rng.randint(1, 4)):
            mutant[position] = rng.randrange(256)
        made.append(bytes(mutant))
    return made


def test_without_the_pin_a_mutant_is_refused_or_still_right() -> None:
    """What gets past all checks computes the golden cases; nothing else is ever raised."""
    spec, refused = tiny_spec(), 0
    for mutant in mutants(tiny_content(), 150):
        try:
            runner = start(mutant, "onnx", spec, CPU)
        except CxrEdgeError as error:
            assert isinstance(error, ModelRefusedError)
            refused += 1
        else:
            assert self_test(runner, spec, spec.golden) <= spec.golden.tolerance
    assert refused > 100


def answer(change: Callable[[Predictions], Predictions]) -> FakeRunner:
    """A runner whose answers are those of the tiny model after a change."""

    class Changed(FakeRunner):
        def predict(self, images: Any) -> Predictions:
            logit = tiny_logit(images)
            right = Predictions(
                sigmoid(logit).astype(np.float32),
                (logit / 4)[:, None, None].repeat(2, 1).repeat(2, 2).astype(np.float32),
                np.zeros(len(images), np.float32),
            )
            return change(right)

    return Changed()


def with_nan(name: str, index: int) -> Callable[[Predictions], Predictions]:
    """One NaN in one output."""

    def change(made: Predictions) -> Predictions:
        getattr(made, name)[index] = np.nan
        return made

    return change


def test_self_test_returns_the_largest_difference() -> None:
    assert self_test(answer(lambda made: made), tiny_spec(), GOLDEN) < 1e-7
    shifted = answer(
        lambda made: Predictions(made.probability + np.float32(5e-6), made.evidence, made.bias)
    )
    assert self_test(shifted, tiny_spec(), GOLDEN) == pytest.approx(5e-6, rel=0.1)


@pytest.mark.parametrize(("shift", "passes"), [(3e-5, True), (5e-5, False)])
def test_a_saturated_probability_hides_no_logit(shift: float, passes: bool) -> None:
    """Four times the tolerance: elsewhere that moves a probability by the tolerance at most."""

    def sure(logit: float) -> GoldenCase:
        return GoldenCase("ramp", float(sigmoid(np.array(logit))), logit)

    logit = 16.0
    runner = answer(
        lambda made: Predictions(
            np.full(1, sigmoid(np.array(logit + shift)), np.float32),
            np.zeros((1, 2, 2)),
            np.full(1, logit + shift),
        )
    )
    spec = tiny_spec()
    spec = replace(spec, golden=replace(spec.golden, cases=(sure(logit),)))
    if passes:
        assert self_test(runner, spec, spec.golden) < 1e-7
    else:
        with pytest.raises(ModelRefusedError, match="fails its self-test"):
            self_test(runner, spec, spec.golden)


def test_a_file_is_held_against_its_own_answers(tmp_path: Path) -> None:
    own = {"tolerance": 5e-3, "cases": [{"rule": "ramp", "probability": 0.5, "logit": 0.0}]}
    path = write_tiny(tmp_path, beside=set_value("files.onnx.golden", own))
    with pytest.raises(ModelRefusedError, match="fails its self-test on cpu"):
        load(choose_model(str(path)), CPU)


@pytest.mark.parametrize("index", [0, 2, 4])
@pytest.mark.parametrize("name", ["probability", "evidence", "bias"])
def test_a_single_nan_fails_the_self_test(name: str, index: int) -> None:
    with pytest.raises(ModelRefusedError, match="fails its self-test"):
        self_test(answer(with_nan(name, index)), tiny_spec(), GOLDEN)


@pytest.mark.parametrize("logit", [1e30, -1e30, np.inf, -np.inf], ids=str)
def test_a_logit_beyond_exp_fails_quietly(logit: float) -> None:
    """No warning on the way to the refusal; warnings are errors here."""
    huge = answer(
        lambda made: Predictions(made.probability, made.evidence, made.bias + np.float32(logit))
    )
    with pytest.raises(ModelRefusedError, match="fails its self-test"):
        self_test(huge, tiny_spec(), GOLDEN)
