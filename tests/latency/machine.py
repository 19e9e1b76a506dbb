"""What a figure was measured on."""

from __future__ import annotations

import os
import platform
import subprocess
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

from tests.latency.measure import ROOT, timed

_PACKAGES = ("numpy", "pillow", "pydicom", "onnxruntime", "ai-edge-litert")
_CONTROL_GROUPS = Path("/sys/fs/cgroup")
_ASK_KERAS = "import keras as k, tensorflow as t; print(k.__version__, 'on', t.__version__)"


def describe(keras: str) -> dict[str, Any]:
    """CPU, cores, memory, kernel, versions, commit and date; no name and no path."""
    changed = _git("status", "--porcelain")
    quota = cgroup_cores(_CONTROL_GROUPS)
    return {
        "CPU": _field("/proc/cpuinfo", "model name"),
        "cores in the machine": os.cpu_count(),
        "cores by affinity": len(os.sched_getaffinity(0)),
        "cores by cgroup quota": "no quota" if quota is None else quota,
        "memory": _field("/proc/meminfo", "MemTotal"),
        "kernel": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        **{package: version(package) for package in _PACKAGES},
        "keras": keras or "not installed",
        "commit": _git("rev-parse", "--short=12", "HEAD") + (" with changes" if changed else ""),
        "date": time.strftime("%Y-%m-%d", time.gmtime()),
        "load average before": round(os.getloadavg()[0], 2),
    }


def keras_versions(python: str) -> str:
    """Of an interpreter; empty where it has none."""
    try:
        return timed([python, "-c", _ASK_KERAS]).output.strip()
    except RuntimeError:
        return ""


def usable_cores() -> int:
    """Whole cores that all processes together may use."""
    cores = len(os.sched_getaffinity(0))
    return max(1, int(min(cores, cgroup_cores(_CONTROL_GROUPS) or cores)))


def cgroup_cores(mounted: Path) -> float | None:
    """CPU bandwidth of this process's control groups and those above (v2, v1), in cores."""
    limits = []
    for line in Path("/proc/self/cgroup").read_text().splitlines():
        _, controllers, path = line.split(":", 2)
        if not controllers or "cpu" in controllers.split(","):
            group = mounted / controllers / path.lstrip("/")
            limits += [limit for each in (group, *group.parents) if (limit := _bandwidth(each))]
    return min(limits, default=None)


def _bandwidth(group: Path) -> float | None:
    """Microseconds per period: "max 100000" in v2; a file for each in v1, -1 for no limit."""
    try:
        if (group / "cpu.max").exists():
            quota, period = (group / "cpu.max").read_text().split()
        else:
            quota = (group / "cpu.cfs_quota_us").read_text()
            period = (group / "cpu.cfs_period_us").read_text()
    except OSError:
        return None
    return None if quota == "max" or int(quota) < 0 else int(quota) / int(period)


def _field(file: str, name: str) -> str:
    lines = Path(file).read_text().splitlines()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith(name)), "")


def _git(*arguments: str) -> str:
    answer = subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True)
    return answer.stdout.strip()
