"""Entries of a spec for each of its files: hash, arithmetic, parity, speed."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from cxr_edge.support.strict_json import OMITTABLE


@dataclass(frozen=True)
class Parity:
    """Difference between an exported file and its source, measured on real images.

    Attributes:
        auc_loss: area under the ROC curve of the source less that of the file, on the validation
            films; measured where the file computes in fewer bits than its source.
    """

    reference: str
    samples: int
    batch_sizes: tuple[int, ...]
    max_abs_difference: float
    tolerance: float
    decision_flips: int
    max_identity_error: float
    auc_loss: float | None = field(default=None, metadata=OMITTABLE)

    def __post_init__(self) -> None:
        """A file outside its tolerance has no business in a spec."""
        if self.samples <= 0 or not 0 <= self.max_abs_difference <= self.tolerance:
            raise ValueError(f"parity that does not hold: {self}")
        if self.decision_flips != 0:
            raise ValueError(f"parity with {self.decision_flips} changed decisions")


# Of a model whose export was told no other: nobody has judged it yet, and below 1 nothing is
# promised (semver.org). It stands here because the command line shows it before it loads an export.
FIRST_VERSION = "0.1.0"

# (weights, activations) of a file -> what `cxr-edge export --precision` calls it.
PRECISIONS = {
    ("float32", "float32"): "float32",
    ("float16", "float32"): "float16-weights",
    ("float16", "float16"): "float16",
    ("int8", "float32"): "int8-weights",
    ("int8", "int8"): "int8",
}


@dataclass(frozen=True)
class Speed:
    """CPU time of the float32 file over that of this one, measured in turn in one process.

    Attributes:
        ratio: above 1 where this file is faster.
        reference: the file it was measured against.
        cpu: name of the processor.
        instruction_set: the one that matters to small integers, `avx512_vnni` or `avx2`, say.
        threads: that the network ran on.
        batch_size: films at once.
        runtime: inference library and version.
    """

    ratio: float
    reference: str
    cpu: str
    instruction_set: str
    threads: int
    batch_size: int
    runtime: str

    def __post_init__(self) -> None:
        """A ratio says nothing without what it was measured on."""
        if not 0 < self.ratio < math.inf or min(self.threads, self.batch_size) < 1:
            raise ValueError(f"not a measured speed: {self}")
        if not all((self.reference, self.cpu, self.instruction_set, self.runtime)):
            raise ValueError(f"a speed of nothing, or of no known machine: {self}")


@dataclass(frozen=True)
class GoldenCase:
    """A rule-made input and what the model must say about it."""

    rule: str
    probability: float
    logit: float


@dataclass(frozen=True)
class Golden:
    """The self-test: run at every start, on the device in use."""

    tolerance: float
    cases: tuple[GoldenCase, ...]

    def __post_init__(self) -> None:
        """A self-test that tests nothing is refused."""
        if not self.cases or not 0 < self.tolerance < 0.1:
            raise ValueError("a self-test needs cases and a tolerance below 0.1")


@dataclass(frozen=True)
class ModelFile:
    """One exported file of a model.

    Attributes:
        name: file name beside the spec.
        weights: how weights are stored: `float32`, `float16`, or `int8` per output channel.
        opset: ONNX opset or TFLite schema version.
        activations: what the convolutions compute with.
        speed: beside the float32 file, where it was measured.
        golden: the self-test of a file in fewer bits, which does not say what its spec's network
            and its neighbour say; the spec's where there is none.
    """

    name: str
    bytes: int
    sha256: str
    weights: str
    opset: int
    parity: Parity
    activations: str = field(default="float32", metadata=OMITTABLE)
    speed: Speed | None = field(default=None, metadata=OMITTABLE)
    golden: Golden | None = field(default=None, metadata=OMITTABLE)

    def __post_init__(self) -> None:
        """The hash pins the file; a name must not leave the spec's folder."""
        if (self.weights, self.activations) not in PRECISIONS:
            raise ValueError(f"{self.weights} weights with {self.activations} activations")
        if len(self.sha256) != 64 or self.bytes <= 0:
            raise ValueError(f"not a pinned file: {self.name}")
        if not self.name or set("/\0") & set(self.name) or self.name.startswith("."):
            raise ValueError(f"file name outside the spec's folder: {self.name!r}")

    @property
    def precision(self) -> str:
        """The name that `cxr-edge export --precision` has for it."""
        return PRECISIONS[self.weights, self.activations]

    def arithmetic(self) -> str:
        """Type of the weights, and of the activations if it is not float32."""
        if self.activations == "float32":
            return self.weights
        return f"{self.weights}, activations {self.activations}"
