"""What a figure was measured on."""

from __future__ import annotations

import os
import platform
import subprocess
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

from cxr_edge.support.cores import usable_cores
from tests.latency.measure import ROOT, timed

_PACKAGES = ("numpy", "pillow", "pydicom", "onnxruntime", "ai-edge-litert")
_ASK_KERAS = "import keras as k, tensorflow as t; print(k.__version__, 'on', t.__version__)"


def describe(keras: str) -> dict[str, Any]:
    """CPU, cores, memory, kernel and versions; no name and no path."""
    return {
        "CPU": _field("/proc/cpuinfo", "model name"),
        "cores in the machine": os.cpu_count(),
        "cores by affinity": len(os.sched_getaffinity(0)),
        "usable cores": usable_cores(),
        "memory": _field("/proc/meminfo", "MemTotal"),
        "kernel": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        **{package: version(package) for package in _PACKAGES},
        "keras": keras or "not installed",
    }


def moment() -> dict[str, Any]:
    """Of which code, when, and how busy the machine was just before."""
    changed = _git("status", "--porcelain")
    return {
        "commit": _git("rev-parse", "--short=12", "HEAD") + (" with changes" if changed else ""),
        "date": time.strftime("%Y-%m-%d", time.gmtime()),
        "load": round(os.getloadavg()[0], 2),
    }


def keras_versions(python: str) -> str:
    """Of an interpreter; empty where it has none."""
    try:
        return timed([python, "-c", _ASK_KERAS]).output.strip()
    except RuntimeError:
        return ""


def _field(file: str, name: str) -> str:
    lines = Path(file).read_text().splitlines()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith(name)), "")


def _git(*arguments: str) -> str:
    answer = subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True)
    return answer.stdout.strip()
