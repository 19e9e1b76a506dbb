"""Counts usable cores, without importing anything that takes long: `score` asks first of all."""

from __future__ import annotations

import contextlib
import math
import os
from collections.abc import Iterator
from pathlib import Path

MEMBERSHIP = Path("/proc/self/cgroup")
CONTROL_GROUPS = Path("/sys/fs/cgroup")


def usable_cores() -> int:
    """Cores this process may use: by its affinity mask and its CPU quota, not by the machine."""
    cores = len(os.sched_getaffinity(0))
    return max(1, math.ceil(min([cores, *_quotas()])))


def _quotas() -> Iterator[float]:
    """CPU time per time that the control groups around this process allow, cgroups(7).

    A container may see its own group as the root of all: whatever is there is looked at.
    """
    with contextlib.suppress(OSError, ValueError):  # a line that nobody knows: no advice there
        for line in MEMBERSHIP.read_text(errors="surrogateescape").splitlines():
            _, controllers, path = line.split(":", 2)
            if not controllers or "cpu" in controllers.split(","):  # version 2, version 1
                group = CONTROL_GROUPS / controllers / path.lstrip("/")
                yield from filter(None, map(_quota, (group, *group.parents)))


def _quota(group: Path) -> float | None:
    """Microseconds per period; `max` or -1 where there is no limit."""
    with contextlib.suppress(OSError, ValueError, ZeroDivisionError):
        if (group / "cpu.max").exists():
            quota, period = (group / "cpu.max").read_text().split()
        else:
            names = ("cpu.cfs_quota_us", "cpu.cfs_period_us")
            quota, period = ((group / name).read_text() for name in names)
        return max(int(quota), 0) / int(period)
    return None
