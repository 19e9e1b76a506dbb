"""The model spec `<name>.json`: everything about a model, written by export, read by the runtime.

Field names follow the MONAI bundle metadata where it has them (`network_data_format`,
`intended_use`, `data_source`, ...).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

from cxr_edge.errors import ModelRefusedError
from cxr_edge.model.files import Golden, ModelFile
from cxr_edge.model.spec_text import SpecText
from cxr_edge.statistics.measurements import FeatureDistribution, MeasuredSet, ScoreDistribution
from cxr_edge.statistics.operating_points import OperatingPoint
from cxr_edge.support.strict_json import OMITTABLE, leave_out_defaults, read

SCHEMA_VERSION = 2
METADATA_KEY = "cxr_edge_spec"
DEFAULT_OPERATING_POINT = "screening"

INPUT_NAME = "image"
PROBABILITY_NAME = "probability"
EVIDENCE_NAME = "evidence"
BIAS_NAME = "bias"
_MAX_SIDE = 2048  # pixels of an input; films are looked at with 50 to 128


@dataclass(frozen=True)
class TensorFormat:
    """One graph input or output; `spatial_shape` leaves out the batch and a single channel."""

    type: str
    dtype: str
    num_channels: int
    spatial_shape: tuple[int, ...]
    value_range: tuple[float, float] | None
    description: str


@dataclass(frozen=True)
class NetworkDataFormat:
    """Inputs and outputs, by tensor name."""

    inputs: dict[str, TensorFormat]
    outputs: dict[str, TensorFormat]

    def __post_init__(self) -> None:
        """The runtime relies on these names."""
        wanted = ({INPUT_NAME}, {PROBABILITY_NAME, EVIDENCE_NAME, BIAS_NAME})
        if (set(self.inputs), set(self.outputs)) != wanted:
            raise ValueError(f"inputs and outputs must be {wanted}")
        shape = self.inputs[INPUT_NAME].spatial_shape
        if len(shape) != 2 or shape[0] != shape[1] or shape[0] < 2:
            raise ValueError(f"input must be square: {shape}")
        if shape[0] > _MAX_SIDE:
            raise ValueError(f"an input of {shape[0]} pixels a side, allowed are {_MAX_SIDE}")
        evidence = self.outputs[EVIDENCE_NAME].spatial_shape
        if len(evidence) != 2 or min(evidence) <= 0 or max(evidence) > shape[0]:
            raise ValueError(f"evidence must be a map: {evidence}")


@dataclass(frozen=True)
class Preprocessing:
    """Steps between a film and the graph."""

    version: int
    resize_filter: str


@dataclass(frozen=True)
class Architecture:
    """Name and shape of the network."""

    name: str
    parameters: int
    trainable_parameters: int


@dataclass(frozen=True)
class Training:
    """Origin of the weights.

    Attributes:
        teachers: networks that it was distilled from: each one's name and hash.
    """

    data: str
    data_sha256: str
    train_counts: dict[str, int]
    validation_counts: dict[str, int]
    split: str
    recipe: str
    recipe_sha256: str
    pretrained_weights: str
    seed: int
    epochs: int
    seconds: float
    created_utc: str
    software: dict[str, str]
    metrics: dict[str, Any]
    teachers: tuple[str, ...] = field(default=(), metadata=OMITTABLE)


@dataclass(frozen=True)
class ReceptiveField:
    """Positions of the evidence map's cells on the network's input, in its pixels.

    Attributes:
        first_centre: of the first cell, from the left and from the top edge; 0.5 is the middle of
            the first pixel.
        stride: from one cell's centre to the next.
        size: side of the square that a cell sees; of the larger one where two ways through a
            network see squares around different middles, with the centre half-way between.
    """

    first_centre: float
    stride: float
    size: int

    def __post_init__(self) -> None:
        """A cell sees something."""
        if self.size < 1 or self.stride <= 0:
            raise ValueError(f"not a receptive field: {self}")


@dataclass(frozen=True)
class Use:
    """Intended use, and uses that are excluded."""

    intended_use: str
    population: str
    age_years: tuple[float, float]
    views: tuple[str, ...]
    exclusions: tuple[str, ...]
    known_failure_modes: tuple[str, ...]


@dataclass(frozen=True)
class ModelSpec(SpecText):
    """One model, in all its formats.

    Attributes:
        reliability: for `model.reliability.Reliability.from_dict`; nothing here rests on it.
        validation_features: how the validation films look, where a run measured it.
    """

    schema_version: int
    name: str
    version: str
    created: str
    task: str
    architecture: Architecture
    network_data_format: NetworkDataFormat
    preprocessing: Preprocessing
    receptive_field: ReceptiveField
    operating_points: dict[str, OperatingPoint]
    validation_scores: ScoreDistribution | None
    golden: Golden
    training: Training | None
    evaluations: tuple[MeasuredSet, ...]
    use: Use
    license: str
    data_source: str
    files: dict[str, ModelFile] = field(default_factory=dict)
    reliability: dict[str, Any] | None = field(default=None, metadata=OMITTABLE)
    validation_features: FeatureDistribution | None = field(default=None, metadata=OMITTABLE)

    def __post_init__(self) -> None:
        """Refuse a spec this version cannot honour."""
        _check_schema(self.schema_version)
        if taken := {"site", "custom"} & set(self.operating_points):
            raise ValueError(f"operating point {', '.join(taken)}: a threshold that a site gives")
        if DEFAULT_OPERATING_POINT not in self.operating_points:
            raise ValueError(f"no operating point {DEFAULT_OPERATING_POINT}")

    @property
    def size(self) -> int:
        """S, pixels a side of the network input."""
        return self.network_data_format.inputs[INPUT_NAME].spatial_shape[0]

    @property
    def evidence_shape(self) -> tuple[int, int]:
        """(h, w) of the evidence map."""
        height, width = self.network_data_format.outputs[EVIDENCE_NAME].spatial_shape
        return height, width

    @property
    def can_point(self) -> bool:
        """A 1x1 evidence map says how much, never where."""
        return self.evidence_shape != (1, 1)

    @property
    def unseen_edge(self) -> int:
        """Input columns at the right edge, and rows at the bottom, that no cell sees."""
        field, cells = self.receptive_field, self.evidence_shape[1]
        seen = field.first_centre + (cells - 1) * field.stride + field.size / 2
        return max(0, math.ceil(self.size - seen))

    def golden_of(self, kind: str) -> Golden:
        """The self-test of the file in one format."""
        file = self.files.get(kind)  # none yet while it is exported
        return self.golden if file is None or file.golden is None else file.golden

    @classmethod
    def from_dict(cls, values: Any) -> ModelSpec:
        """Read plain values as `json.loads` gives them.

        Raises:
            ModelRefusedError: a field is missing, unknown, of another type or out of range.
        """
        try:
            if isinstance(values, dict):  # before the fields: those of another schema differ
                _check_schema(values.get("schema_version", SCHEMA_VERSION))
            return read(cls, values, "spec")
        except ValueError as error:
            raise ModelRefusedError(f"spec cannot be used: {error}") from error

    def _leave_out(self, values: dict[str, Any]) -> None:
        leave_out_defaults(values, ModelSpec)
        if self.training:
            leave_out_defaults(values["training"], Training)
        for point in values["operating_points"].values():
            leave_out_defaults(point, OperatingPoint)


def _check_schema(version: int) -> None:
    if version != SCHEMA_VERSION:
        raise ValueError(f"spec schema {version}, this is {SCHEMA_VERSION}")
