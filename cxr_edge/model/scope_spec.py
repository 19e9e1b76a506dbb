"""The spec of a scope gate: a small network that says which films no classifier was made for."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from cxr_edge.errors import ModelRefusedError
from cxr_edge.model.files import ModelFile
from cxr_edge.model.spec import INPUT_NAME, Architecture, Preprocessing, TensorFormat
from cxr_edge.model.spec_text import SpecText
from cxr_edge.support.strict_json import read

SCHEMA_VERSION = 1
KIND = "scope"
OUT_OF_SCOPE_NAME = "out_of_scope"
ADULT_NAME = "adult"
OUTPUTS = (OUT_OF_SCOPE_NAME, ADULT_NAME)
_MAX_SIDE = 256  # pixels; decoders make this plane for every film


@dataclass(frozen=True)
class ScopeLimit:
    """A film at or above `threshold` gets the warning; at None nobody does, and `chosen_by` is why.

    Attributes:
        threshold: a probability, or None.
        chosen_by: the rule that chose it, or why the warning is off.
    """

    threshold: float | None
    chosen_by: str

    def __post_init__(self) -> None:
        """A limit that warns of all films, or of none, is none."""
        if self.threshold is not None and not 0 < self.threshold <= 1:
            raise ValueError(f"limit outside (0, 1]: {self.threshold}")


@dataclass(frozen=True)
class ScopeCase:
    """A rule-made input and what the gate must say about it."""

    rule: str
    out_of_scope: float
    adult: float


@dataclass(frozen=True)
class ScopeGolden:
    """The self-test: run at every start."""

    tolerance: float
    cases: tuple[ScopeCase, ...]

    def __post_init__(self) -> None:
        """A self-test that tests nothing is refused."""
        if not self.cases or not 0 < self.tolerance < 0.1:
            raise ValueError("a self-test needs cases and a tolerance below 0.1")


@dataclass(frozen=True)
class ScopeTraining:
    """Origin of the weights; hashes are over names and contents of the files."""

    data: str
    data_sha256: dict[str, str]
    counts: dict[str, int]
    split: str
    seed: int
    epochs: int
    seconds: float
    created_utc: str
    software: dict[str, str]


@dataclass(frozen=True)
class ScopeRate:
    """Number of `n` pictures that are at or above each threshold.

    Attributes:
        adult: at the threshold that was found, also where the warning is off.
    """

    data: str
    n: int
    out_of_scope: int
    adult: int

    def __post_init__(self) -> None:
        """Parts are no more than the whole."""
        if not 0 <= max(self.out_of_scope, self.adult) <= self.n or self.n < 1:
            raise ValueError(f"not a measured rate: {self}")


@dataclass(frozen=True)
class ScopeSpec(SpecText):
    """One scope gate, in all its formats."""

    schema_version: int
    kind: str
    name: str
    version: str
    created: str
    architecture: Architecture
    inputs: dict[str, TensorFormat]
    outputs: dict[str, TensorFormat]
    preprocessing: Preprocessing
    limits: dict[str, ScopeLimit]
    golden: ScopeGolden
    training: ScopeTraining
    measured: tuple[ScopeRate, ...]
    license: str
    data_source: str
    files: dict[str, ModelFile] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Refuse a spec that this version cannot honour."""
        if (self.kind, self.schema_version) != (KIND, SCHEMA_VERSION):
            raise ValueError(f"{self.kind} spec, schema {self.schema_version}: not {KIND} 1")
        names = [set(self.inputs), set(self.outputs), set(self.limits)]
        if names != [{INPUT_NAME}, set(OUTPUTS), set(OUTPUTS)]:
            raise ValueError(f"inputs, outputs and limits: {names}")
        shape = self.inputs[INPUT_NAME].spatial_shape
        if len(shape) != 2 or shape[0] != shape[1] or not 2 <= shape[0] <= _MAX_SIDE:
            raise ValueError(f"input must be square, at most {_MAX_SIDE} a side: {shape}")

    @property
    def size(self) -> int:
        """S, pixels a side of the input."""
        return self.inputs[INPUT_NAME].spatial_shape[0]

    @classmethod
    def from_dict(cls, values: Any) -> ScopeSpec:
        """Read plain values as `json.loads` gives them.

        Raises:
            ModelRefusedError: a field is missing, unknown, of another type or out of range.
        """
        try:
            return read(cls, values, "spec")
        except ValueError as error:
            raise ModelRefusedError(f"spec cannot be used: {error}") from error
