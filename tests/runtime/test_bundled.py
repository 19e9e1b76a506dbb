"""What the shipped models promise, for each of them in each format."""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from cxr_edge.errors import DeviceError, ModelRefusedError
from cxr_edge.images import decode
from cxr_edge.model.catalog import ModelChoice
from cxr_edge.model.self_test import RULES, golden_image
from cxr_edge.model.spec import ModelSpec
from cxr_edge.preprocess import to_network_input, without_border
from cxr_edge.runtime import Device, Runner, load, start
from cxr_edge.runtime.loading import self_test
from cxr_edge.runtime.tflite import TfliteRunner
from cxr_edge.types import PROBABILITY_DECIMALS
from tests.factories import bundled_choices, changed, file_name, set_value
from tests.images.films import jpeg, scene

CHOICES = bundled_choices()
TFLITE = [choice for choice in CHOICES if choice.format == "tflite"]
RunnerOf = Callable[[ModelChoice], Runner]
Images = NDArray[np.uint8]

each_file = pytest.mark.parametrize("choice", CHOICES, ids=file_name)
each_own = pytest.mark.parametrize(
    "choice", [choice for choice in CHOICES if choice.file.golden], ids=file_name
)
each_tflite = pytest.mark.parametrize("choice", TFLITE, ids=file_name)


def images_of(size: int) -> Images:
    """Golden images, noise, constants and the made scene: 37 in all."""
    rng = np.random.default_rng(7)
    golden = [golden_image(rule, size) for rule in RULES]
    constant = [np.full((size, size, 1), level, np.uint8) for level in (0, 128, 255)]
    film = to_network_input(without_border(decode(jpeg(scene(300, 260)), "film.jpg").pixels), size)
    noise = list(rng.integers(0, 256, (28, size, size, 1), np.uint8))
    return np.stack([*golden, *constant, film, *noise])


def in_batches(images: Images, size: int) -> Iterator[Images]:
    for start_at in range(0, len(images), size):
        yield images[start_at : start_at + size]


def scores(runner: Runner, images: Images, batch: int) -> list[float]:
    """Probabilities as they are recorded."""
    made = [runner.predict(part).probability.tolist() for part in in_batches(images, batch)]
    return [round(score, PROBABILITY_DECIMALS) for score in itertools.chain(*made)]


@each_file
def test_self_test_passes(choice: ModelChoice, runner_of: RunnerOf) -> None:
    golden = choice.spec.golden_of(choice.format)
    assert self_test(runner_of(choice), choice.spec, golden) <= golden.tolerance


@each_own
def test_a_file_in_fewer_bits_is_known_from_its_neighbour(
    choice: ModelChoice, runner_of: RunnerOf
) -> None:
    """Its own answers let the self-test be strict: the spec's network and the other file fail."""
    spec, (other,) = choice.spec, set(choice.spec.files) - {choice.format}
    assert choice.file.golden is not None
    for golden in (spec.golden, spec.golden_of(other)):
        strict = replace(golden, tolerance=choice.file.golden.tolerance)
        with pytest.raises(ModelRefusedError, match="fails its self-test"):
            self_test(runner_of(choice), spec, strict)


@each_file
def test_evidence_and_bias_are_the_logit(choice: ModelChoice, runner_of: RunnerOf) -> None:
    made = runner_of(choice).predict(images_of(choice.spec.size))
    identity = 1 / (1 + np.exp(-made.logit()))
    assert np.allclose(identity, made.probability, rtol=0, atol=1e-5)
    assert made.evidence.shape[1:] == choice.spec.evidence_shape


@each_file
def test_scores_do_not_depend_on_the_batch(choice: ModelChoice, runner_of: RunnerOf) -> None:
    runner, images = runner_of(choice), images_of(choice.spec.size)
    alone = scores(runner, images, 1)
    for batch in (3, 32):
        assert scores(runner, images, batch) == alone, batch


@each_file
def test_an_answer_is_not_overwritten_by_the_next(choice: ModelChoice, runner_of: RunnerOf) -> None:
    runner, images = runner_of(choice), images_of(choice.spec.size)
    first = runner.predict(images[:2])
    kept = first.probability.copy(), first.evidence.copy(), first.bias.copy()
    runner.predict(images[5:7])
    for now, then in zip((first.probability, first.evidence, first.bias), kept, strict=True):
        assert np.array_equal(now, then)


@each_tflite
def test_tflite_runs_on_the_cpu_alone(choice: ModelChoice) -> None:
    with pytest.raises(DeviceError, match=r"cuda:0 was asked for.*TFLite") as caught:
        start(choice.path.read_bytes(), "tflite", choice.spec, Device("cuda"))
    assert "--device cpu" in caught.value.tip


@each_tflite
def test_tflite_says_what_runs_it(choice: ModelChoice, runner_of: RunnerOf) -> None:
    runner = runner_of(choice)
    assert runner.device == "cpu"
    assert runner.backend.startswith("ai-edge-litert ")


def test_tflite_loads_where_stderr_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    def closed(descriptor: int) -> int:
        raise OSError(9, "Bad file descriptor")

    monkeypatch.setattr(os, "dup", closed)
    choice = TFLITE[0]
    assert load(choice, Device("cpu")).device == "cpu"


DAMAGED: dict[str, Callable[[bytes], bytes]] = {
    "empty": lambda content: b"",
    "cut in half": lambda content: content[: len(content) // 2],
    "onnx": lambda content: TFLITE[0].path.with_suffix(".onnx").read_bytes(),
}


@pytest.mark.parametrize("damage", DAMAGED.values(), ids=DAMAGED)
def test_damaged_tflite_is_refused(
    damage: Callable[[bytes], bytes], capfd: pytest.CaptureFixture[str]
) -> None:
    choice = TFLITE[0]
    with pytest.raises(ModelRefusedError, match="LiteRT refuses the model"):
        start(damage(choice.path.read_bytes()), "tflite", choice.spec, Device("cpu"))
    assert capfd.readouterr().err == ""


DISAGREEING = {
    "another size": (
        set_value("network_data_format.inputs.image.spatial_shape", [64, 64]),
        "tensor image",
    ),
    "another map": (
        set_value("network_data_format.outputs.evidence.spatial_shape", [9, 9]),
        "tensor evidence",
    ),
    "another golden figure": (set_value("golden.cases.0.probability", 0.123), "self-test"),
}


@pytest.mark.parametrize(("change", "message"), DISAGREEING.values(), ids=DISAGREEING)
def test_tflite_that_disagrees_with_its_spec_is_refused(
    change: Callable[[dict[str, object]], None], message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By what it carries; and one that carries no spec by what it is and says."""
    choice = TFLITE[0]
    spec = ModelSpec.from_dict(changed(choice.spec.to_dict(), change))
    with pytest.raises(ModelRefusedError, match="the spec and what the TFLite file says differ"):
        start(choice.path.read_bytes(), "tflite", spec, Device("cpu"))
    monkeypatch.setattr(TfliteRunner, "embedded_spec", lambda _: "")
    with pytest.raises(ModelRefusedError, match=message):
        start(choice.path.read_bytes(), "tflite", spec, Device("cpu"))


@each_file
def test_several_passes_at_once_compute_the_same(choice: ModelChoice, runner_of: RunnerOf) -> None:
    """To the bit, in as many threads as a large machine has."""
    runner = runner_of(choice)
    images = images_of(choice.spec.size)
    parts = [images[start : start + 4] for start in range(0, len(images), 4)]
    alone = [runner.predict(part) for part in parts]
    with ThreadPoolExecutor(4) as threads:
        together = list(threads.map(runner.predict, parts * 2))
    for one, other in zip(alone * 2, together, strict=True):
        assert np.array_equal(one.probability, other.probability)
        assert np.array_equal(one.evidence, other.evidence)
        assert np.array_equal(one.bias, other.bias)
