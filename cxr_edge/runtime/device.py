"""Where a network runs."""

from __future__ import annotations

import contextlib
import math
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from cxr_edge.errors import InputError

MEMBERSHIP = Path("/proc/self/cgroup")
CONTROL_GROUPS = Path("/sys/fs/cgroup")
_CUDA = re.compile(r"cuda(?::([0-9]{1,3}))?")


@dataclass(frozen=True)
class Device:
    """`auto`, `cpu` or `cuda` with an index."""

    kind: str
    index: int = 0

    @classmethod
    def parse(cls, text: str) -> Device:
        """Read `auto|cpu|cuda[:N]`; InputError for anything else."""
        if text in ("auto", "cpu"):
            return cls(text)
        match = _CUDA.fullmatch(text)
        if match is None:
            raise InputError(f"unknown device {text!r}", tip="use auto, cpu, cuda or cuda:N")
        return cls("cuda", int(match.group(1) or 0))

    def __str__(self) -> str:
        """As it is written on the command line."""
        return f"cuda:{self.index}" if self.kind == "cuda" else self.kind


def usable_cores() -> int:
    """Cores this process may use: by its affinity mask and its CPU quota, not by the machine."""
    cores = len(os.sched_getaffinity(0))
    return max(1, math.ceil(min([cores, *_quotas()])))


def _quotas() -> Iterator[float]:
    """CPU time per time that the control groups around this process allow, cgroups(7).

    A container may see its own group as the root of all: whatever is there is looked at.
    """
    with contextlib.suppress(OSError):
        for line in MEMBERSHIP.read_text().splitlines():
            _, controllers, path = line.split(":", 2)
            if not controllers or "cpu" in controllers.split(","):  # version 2, version 1
                group = CONTROL_GROUPS / controllers / path.lstrip("/")
                yield from filter(None, map(_quota, (group, *group.parents)))


def _quota(group: Path) -> float | None:
    """Microseconds per period; `max` or -1 where there is no limit."""
    with contextlib.suppress(OSError, ValueError):
        if (group / "cpu.max").exists():
            quota, period = (group / "cpu.max").read_text().split()
        else:
            names = ("cpu.cfs_quota_us", "cpu.cfs_period_us")
            quota, period = ((group / name).read_text() for name in names)
        return max(int(quota), 0) / int(period)
    return None
