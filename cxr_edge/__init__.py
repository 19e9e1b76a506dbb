"""cxr-edge: on-prem triage of chest x-rays with small exported networks.

    import cxr_edge

    model = cxr_edge.load_model("cnn3_128")
    print(model.score("film.dcm").probability)

`cxr_edge.api` documents what this package offers to Python; it is loaded when first used.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cxr_edge.api import (
        Band,
        Counts,
        CxrEdgeError,
        DecoderError,
        DeviceError,
        ImageError,
        InputError,
        InputWarning,
        MissingExtraError,
        Model,
        ModelRefusedError,
        ModelSpec,
        Reason,
        ReportError,
        Result,
        RunContext,
        Score,
        ScoredFolder,
        StateBusyError,
        StateError,
        Status,
        TriageRow,
        load_model,
        score_folder,
    )

# onnxruntime 1.32 looks for Microsoft's collector and keeps a device id and a queue of events in
# the caller's home, unless this stands before it is loaded. A night has no network.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"

__version__ = "0.2.0"

__all__ = [
    "Band",
    "Counts",
    "CxrEdgeError",
    "DecoderError",
    "DeviceError",
    "ImageError",
    "InputError",
    "InputWarning",
    "MissingExtraError",
    "Model",
    "ModelRefusedError",
    "ModelSpec",
    "Reason",
    "ReportError",
    "Result",
    "RunContext",
    "Score",
    "ScoredFolder",
    "StateBusyError",
    "StateError",
    "Status",
    "TriageRow",
    "__version__",
    "load_model",
    "score_folder",
]


def __getattr__(name: str) -> Any:
    """Load the API with the first of its names that is used: `import cxr_edge` stays light."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from cxr_edge import api

    return getattr(api, name)


def __dir__() -> list[str]:
    """List what the package offers, and none of what it imports for itself."""
    return sorted({*__all__, *(name for name in globals() if name.startswith("__"))})
