"""Runs an exported network. `load` trusts nothing; `start` is its part after the hash."""

from __future__ import annotations

from cxr_edge.runtime.device import Device
from cxr_edge.runtime.loading import load, start
from cxr_edge.runtime.protocol import Runner

__all__ = ["Device", "Runner", "load", "start"]
