"""cxr-edge: on-prem triage of chest x-rays with small exported networks."""

from __future__ import annotations

__version__ = "0.1.0"
