"""Two tiers: a quick one that every change pays for, and `CXR_FAULTS=long` for a night."""

from __future__ import annotations

import os
import secrets

LONG = os.environ.get("CXR_FAULTS") == "long"

_EVERY_DAY = 20261122  # so that only a change can turn the quick tier red; the long one explores
SEED = int(os.environ.get("CXR_FAULTS_SEED", secrets.randbits(32) if LONG else _EVERY_DAY))


def tier(quick: int, long: int) -> int:
    """How much of something this run does."""
    return long if LONG else quick
