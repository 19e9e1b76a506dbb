"""The scope gate at work: which films are no upright chest films, and which look like adults'.

It never takes a score away. It always runs on the CPU: a film takes it a tenth of a millisecond.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from cxr_edge.errors import DeviceError, ModelRefusedError
from cxr_edge.model.catalog import ScopeChoice, bundled_scope
from cxr_edge.model.scope_spec import OUTPUTS, ScopeSpec
from cxr_edge.model.self_test import golden_image
from cxr_edge.model.spec import INPUT_NAME, ModelSpec
from cxr_edge.preprocess import RESIZE_FILTER, SCOPE_PREPROCESSING_VERSION
from cxr_edge.runtime.batches import in_short
from cxr_edge.runtime.device import Device
from cxr_edge.runtime.loading import create, is_same_spec, pinned_bytes
from cxr_edge.runtime.protocol import Backend
from cxr_edge.types import InputWarning

ADULT_YEARS = 18
_WARNINGS = (InputWarning.OUT_OF_SCOPE, InputWarning.ADULT_LOOKING)  # in the order of `OUTPUTS`


class Look(NamedTuple):
    """Answer of the gate about one film.

    Attributes:
        out_of_scope: probability that it is no upright chest film.
        warnings: doubts about it.
    """

    out_of_scope: float
    warnings: tuple[InputWarning, ...]


@dataclass(frozen=True)
class ScopeGate:
    """A loaded gate beside one classifier.

    Attributes:
        choice: spec and file.
        runner: the file, loaded.
        children_only: whether the classifier's spec excludes adults.
    """

    choice: ScopeChoice
    runner: Backend
    children_only: bool

    @property
    def size(self) -> int:
        """Pixels a side of its input."""
        return self.choice.spec.size

    def facts(self) -> dict[str, str]:
        """Facts of the gate for the report and for the settings hash."""
        spec, file = self.choice.spec, self.choice.file
        return {
            "name": spec.name,
            "version": spec.version,
            "file": file.name,
            "sha256": file.sha256,
            "spec_sha256": spec.sha256(),
        }

    def looks(self, planes: NDArray[np.uint8]) -> list[Look]:
        """See each film.

        Args:
            planes: uint8 [N, S, S, 1], as `preprocess.to_scope_input` makes them; N at least 1.

        Raises:
            DeviceError: the inference library fails.
        """
        limits = [self.choice.spec.limits[name].threshold for name in OUTPUTS]
        applied = [limits[0], limits[1] if self.children_only else None]
        try:
            values = probabilities(self.runner, planes)
        except Exception as error:  # the libraries' exceptions share no public base class
            raise DeviceError(
                f"the scope gate fails on the CPU: {in_short(error)}",
                tip="what was scored is safe; see cxr-edge doctor",
            ) from error
        return [Look(float(film[0]), _warnings(film, applied)) for film in values]


def _warnings(
    values: NDArray[np.float32], limits: Sequence[float | None]
) -> tuple[InputWarning, ...]:
    """The first that holds: of what is no chest film, nobody knows whether it is an adult's."""
    for warning, threshold, value in zip(_WARNINGS, limits, values, strict=True):
        if threshold is not None and not value < threshold:  # also NaN
            return (warning,)
    return ()


def probabilities(runner: Backend, planes: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Probabilities of a loaded gate: float32 [N, 2], in the order of `OUTPUTS`."""
    return np.concatenate(runner.outputs(OUTPUTS, planes), axis=1)


def load_scope(kind: str, classifier: ModelSpec) -> ScopeGate | None:
    """Load the gate that ships, for the inference library that a classifier uses; None without one.

    Raises:
        ModelRefusedError: it is not what its spec pins, or fails its self-test.
        MissingExtraError: the inference library for this format is not installed.
    """
    choice = bundled_scope(kind)
    if choice is None:
        return None
    runner = start_scope(pinned_bytes(choice.path, choice.file), kind, choice.spec)
    return ScopeGate(choice, runner, classifier.use.age_years[1] < ADULT_YEARS)


def start_scope(content: bytes, kind: str, spec: ScopeSpec) -> Backend:
    """Check a gate's bytes from preprocessing to self-test; export calls this as well.

    Raises:
        ModelRefusedError: preprocessing version, names, types, shapes, embedded spec or self-test
            do not match the spec.
        MissingExtraError: the inference library for this format is not installed.
    """
    needed = (spec.preprocessing.version, spec.preprocessing.resize_filter)
    if needed != (SCOPE_PREPROCESSING_VERSION, RESIZE_FILTER):
        raise ModelRefusedError(f"{spec.name} needs preprocessing version {needed[0]}")
    runner = create(content, kind, Device("cpu"))
    if not is_same_spec(runner.embedded_spec(), spec.embedded_json()):
        raise ModelRefusedError(f"{spec.name}: the spec and what the {kind} file says differ")
    wanted: dict[str, Any] = {INPUT_NAME: ("uint8", (None, spec.size, spec.size, 1))}
    wanted |= dict.fromkeys(OUTPUTS, ("float32", (None, 1)))
    if runner.signature() != wanted:
        raise ModelRefusedError(f"{spec.name}: tensors {runner.signature()}, expected {wanted}")
    self_test_scope(runner, spec)
    return runner


def self_test_scope(runner: Backend, spec: ScopeSpec) -> float:
    """Run the golden cases; returns the largest difference in probability.

    Raises:
        ModelRefusedError: it is larger than allowed.
    """
    cases: Sequence[Any] = spec.golden.cases
    images = np.stack([golden_image(case.rule, spec.size) for case in cases])
    try:
        found = probabilities(runner, images)
    except Exception as error:  # the libraries' exceptions share no public base class
        message = f"{spec.name} fails its self-test: {in_short(error)}"
        raise ModelRefusedError(message) from error
    expected = [[case.out_of_scope, case.adult] for case in cases]
    difference = float(np.abs(found - expected).max())
    if not difference <= spec.golden.tolerance:  # also NaN
        raise ModelRefusedError(
            f"{spec.name} fails its self-test: off by {difference:.2g}, "
            f"allowed {spec.golden.tolerance:.2g}",
            tip="copy the model and its .json again from where they came from",
        )
    return difference
