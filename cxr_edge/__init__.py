"""cxr-edge: on-prem triage of chest x-rays with small exported networks."""

from __future__ import annotations

import os

# onnxruntime 1.32 looks for Microsoft's collector and keeps a device id and a queue of events in
# the caller's home, unless this stands before it is loaded. A night has no network.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"

__version__ = "0.1.0"
