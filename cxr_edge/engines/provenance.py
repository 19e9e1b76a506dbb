"""Provenance of scores: all that decides one besides the bytes of a film."""

from __future__ import annotations

import hashlib
import json
import platform
from importlib.metadata import version

from cxr_edge import __version__
from cxr_edge.features import FEATURES_VERSION
from cxr_edge.images import DECODING_VERSION, decoder_versions
from cxr_edge.intake.gates import GATES_VERSION
from cxr_edge.model.catalog import ModelChoice
from cxr_edge.preprocess import PREPROCESSING_VERSION, SCOPE_PREPROCESSING_VERSION
from cxr_edge.runtime import Runner
from cxr_edge.runtime.scope import ScopeGate
from cxr_edge.support.cpu import instruction_sets


def software() -> dict[str, str]:
    """Software that could change a number, and the instruction sets that kernels use.

    Processors with others add up in another order: one in twenty scores differs in the last digit.
    """
    return {
        "cxr-edge": __version__,
        "python": platform.python_version(),
        "numpy": version("numpy"),
        **decoder_versions(),
        "cpu": " ".join(instruction_sets()),
    }


def versions(runner: Runner) -> dict[str, str]:
    """The same, and the inference library."""
    backend, backend_version = runner.backend.rsplit(" ", 1)
    return {**software(), backend: backend_version}


def settings_hash(choice: ModelChoice, runner: Runner, scope: ScopeGate | None) -> str:
    """A score in the ledger holds for this hash alone: change anything, and films are scored again.

    Returns:
        sha256 in hex over model, spec, scope gate, preprocessing, decoding, gates, features,
        software, instruction sets and execution provider. Whom films are of is no part of it: asked
        for other fields, a run reads headers again and scores nothing anew.
    """
    settings = {
        "model": choice.file.sha256,
        "spec": choice.spec.sha256(),
        "preprocessing": PREPROCESSING_VERSION,
        "decoding": DECODING_VERSION,
        "gates": GATES_VERSION,
        "features": FEATURES_VERSION,
        "versions": versions(runner),
        "device": runner.device,
        "scope": scope and {**scope.facts(), "preprocessing": SCOPE_PREPROCESSING_VERSION},
    }
    return hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()
