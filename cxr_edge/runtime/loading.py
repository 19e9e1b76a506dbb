"""The way from a chosen model to a runner that has passed its self-test."""

from __future__ import annotations

import errno
import functools
import hashlib
from pathlib import Path

import numpy as np

from cxr_edge.errors import CxrEdgeError, DeviceError, MissingExtraError, ModelRefusedError
from cxr_edge.model.catalog import ModelChoice, is_bundled
from cxr_edge.model.files import Golden, ModelFile
from cxr_edge.model.self_test import golden_image
from cxr_edge.model.spec import ModelSpec
from cxr_edge.preprocess import PREPROCESSING_VERSION, RESIZE_FILTER
from cxr_edge.runtime import probe
from cxr_edge.runtime.batches import FellBack, Inference, in_short, logged
from cxr_edge.runtime.device import Device
from cxr_edge.runtime.protocol import Backend, Runner, TensorShapes
from cxr_edge.support.files import read_plain
from cxr_edge.support.strict_json import parse

MAX_BYTES = 10**9  # of a model: ten times the largest network for films
# On a GPU sums are made in another order: what the promise about devices allows.
GPU_TOLERANCE = 1e-4


def proven(choice: ModelChoice) -> bytes:
    """A model's bytes, pinned by its spec; of one that is not bundled, tried in another process.

    Bundled models are pinned by the package: whoever can change them could change the code.

    Raises:
        ModelRefusedError: it is not what its spec pins, or does not pass.
    """
    content = pinned_bytes(choice.path, choice.file)
    if not is_bundled(choice):
        probe.check(content, choice.format, choice.spec)
    return content


def load(
    choice: ModelChoice,
    device: Device,
    fell_back: FellBack | None = None,
    content: bytes | None = None,
) -> Inference:
    """Check a model from hash to self-test, before any image is read.

    Args:
        choice: the model's file and spec.
        device: `auto` takes CUDA where onnxruntime offers it and the model passes its self-test
            there, else the CPU; it is also where a run goes on when CUDA fails later.
        fell_back: told why the CPU is used although CUDA is offered.
        content: what `proven` gave, where somebody has asked it.

    Raises:
        ModelRefusedError: bytes, names, types, shapes, embedded spec, preprocessing version or
            self-test do not match the spec.
        DeviceError: the device asked for is not there, or computes wrongly.
        MissingExtraError: the inference library for this format is not installed.
    """
    content = proven(choice) if content is None else content
    on = functools.partial(start, content, choice.format, choice.spec)
    if device.kind != "auto" or not _offers_cuda(choice.format):
        return Inference(on(device))
    spare = functools.partial(on, Device("cpu"))
    try:
        return Inference(on(Device("cuda")), spare, fell_back)
    except DeviceError as error:
        runner = Inference(spare())
        (fell_back or logged)(error)
        return runner


def _offers_cuda(kind: str) -> bool:
    if kind != "onnx":
        return False
    try:
        from cxr_edge.runtime.onnx import offers_cuda
    except ImportError:  # `start` says so
        return False
    return offers_cuda()


def start(content: bytes, kind: str, spec: ModelSpec, device: Device) -> Runner:
    """The checks that need no file: export calls this before there is one.

    Args:
        content: the model's bytes.
        kind: `onnx` or `tflite`.
        spec: what they must match.
        device: where to run.

    Raises:
        ModelRefusedError, DeviceError, MissingExtraError: as `load`.
    """
    needed = (spec.preprocessing.version, spec.preprocessing.resize_filter)
    if needed != (PREPROCESSING_VERSION, RESIZE_FILTER):
        raise ModelRefusedError(
            f"{spec.name} needs preprocessing version {needed[0]} ({needed[1]}), "
            f"this is {PREPROCESSING_VERSION} ({RESIZE_FILTER})"
        )
    runner = create(content, kind, device)
    _check_embedded(runner.embedded_spec(), spec, kind)
    _check_signature(runner.signature(), spec)
    self_test(runner, spec, spec.golden_of(kind))
    return runner


def self_test(runner: Runner, spec: ModelSpec, golden: Golden) -> float:
    """Run the golden cases on the device in use.

    Args:
        runner: one of the model's files.
        spec: of the model.
        golden: `ModelSpec.golden_of` that file.

    Returns:
        The largest difference in probability.

    Raises:
        ModelRefusedError: a probability or a logit is off, or evidence plus bias is not its logit.
        DeviceError: likewise, on another device than the CPU, where the same file may be right.
    """
    refusal: type[CxrEdgeError] = ModelRefusedError
    allowed = golden.tolerance
    if runner.device != "cpu":
        refusal, allowed = DeviceError, max(allowed, GPU_TOLERANCE)
    images = np.stack([golden_image(case.rule, spec.size) for case in golden.cases])
    try:
        predictions = runner.predict(images)
        expected = np.array([case.probability for case in golden.cases])
        difference = float(np.abs(predictions.probability - expected).max())
    except Exception as error:  # the libraries' exceptions share no public base class
        raise refusal(f"{spec.name} fails its self-test: {in_short(error)}") from error
    logit = predictions.logit()
    with np.errstate(all="ignore"):  # a logit that overflows is a finding, not a warning
        identity = 1 / (1 + np.exp(-logit))
        # A probability near 0 or 1 hides an error of its logit, which elsewhere moves it by up to
        # a quarter of that.
        hidden = np.abs(logit - [case.logit for case in golden.cases]) / 4
    disagreement = float(np.maximum(np.abs(predictions.probability - identity), hidden).max())
    # `not <=` so that NaN fails as well; NumPy's maximum keeps a NaN, Python's may drop it.
    if not np.maximum(difference, disagreement) <= allowed:
        raise refusal(
            f"{spec.name} fails its self-test on {runner.device}: off by {difference:.2g}, "
            f"evidence by {disagreement:.2g}, allowed {allowed:.2g}",
            tip="the file is damaged or this device computes wrongly; try --device cpu",
        )
    return difference


def pinned_bytes(path: Path, file: ModelFile) -> bytes:
    """A model file's bytes; ModelRefusedError where they are not what its spec pins."""
    try:
        content = read_plain(path, min(file.bytes, MAX_BYTES))
    except OSError as error:
        if error.errno != errno.EFBIG:
            raise ModelRefusedError(f"{path} cannot be read: {error}") from error
        if file.bytes > MAX_BYTES:
            raise ModelRefusedError(f"{path.name} is larger than 1 GB") from error
        content = b""
    pinned = (file.bytes, file.sha256)
    if (len(content), hashlib.sha256(content).hexdigest()) != pinned:
        raise ModelRefusedError(
            f"{path.name} is not the file that its spec pins (size or sha256 differs)",
            tip="copy the model and its .json again from where they came from",
        )
    return content


def create(content: bytes, kind: str, device: Device) -> Backend:
    """The backend for the file's format, imported only now.

    Raises:
        ModelRefusedError, DeviceError, MissingExtraError: as `load`.
    """
    try:
        if kind == "tflite":
            from cxr_edge.runtime.tflite import TfliteRunner

            return TfliteRunner(content, device)
        from cxr_edge.runtime.onnx import OnnxRunner
    except ImportError as error:
        extra = "tflite" if kind == "tflite" else "cpu"
        raise MissingExtraError(f"the library that runs .{kind} models", extra) from error
    return OnnxRunner(content, device)


def _check_embedded(embedded: str, spec: ModelSpec, kind: str) -> None:
    """A file carries its spec; a TFLite file of before 0.3 carries none."""
    label = {"onnx": "ONNX", "tflite": "TFLite"}[kind]
    if (embedded or kind == "onnx") and not is_same_spec(embedded, spec.embedded_json()):
        raise ModelRefusedError(f"{spec.name}: the spec and what the {label} file says differ")


def is_same_spec(one: str, other: str) -> bool:
    """Whether two texts say the same; a text that is no spec says nothing."""
    try:
        return bool(parse(one) == parse(other))
    except (ValueError, RecursionError):
        return False


def _check_signature(found: TensorShapes, spec: ModelSpec) -> None:
    """Names, types and shapes of the graph against the spec."""
    tensors = spec.network_data_format
    size, (height, width) = spec.size, spec.evidence_shape
    wanted: TensorShapes = {
        "image": ("uint8", (None, size, size, 1)),
        "probability": ("float32", (None, 1)),
        "evidence": ("float32", (None, height, width)),
        "bias": ("float32", (None, 1)),
    }
    for name, (dtype, shape) in wanted.items():
        declared = {**tensors.inputs, **tensors.outputs}[name].dtype
        if declared != dtype:
            raise ModelRefusedError(f"{spec.name}: tensor {name} of {declared}, not {dtype}")
        if found.get(name) != (dtype, shape):
            raise ModelRefusedError(
                f"{spec.name}: tensor {name} is {found.get(name)}, expected {(dtype, shape)}"
            )
    if set(found) != set(wanted):
        raise ModelRefusedError(f"{spec.name}: unexpected tensors {set(found) - set(wanted)}")
