"""Cores by affinity and by the quota of control groups, made in a folder."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from cxr_edge.support import cores as cores_module
from cxr_edge.support.cores import usable_cores

QUOTAS: dict[str, tuple[str, dict[str, str], int]] = {
    "no control groups": ("", {}, 8),
    "no quota": ("0::/", {"cpu.max": "max 100000"}, 8),
    "a core and a half": ("0::/", {"cpu.max": "150000 100000"}, 2),
    "half a core": ("0::/", {"cpu.max": "50000 100000"}, 1),
    "of a group": ("0::/a/b", {"a/b/cpu.max": "300000 100000", "a/cpu.max": "max 100000"}, 3),
    "of a group around it": (
        "0::/a/b",
        {"a/b/cpu.max": "max 100000", "a/cpu.max": "100000 50000"},
        2,
    ),
    "a path of the host's": ("0::/system/a", {"cpu.max": "400000 100000"}, 4),
    "version 1": (
        "7:memory:/a\n3:cpu,cpuacct:/a",
        {"cpu,cpuacct/a/cpu.cfs_quota_us": "250000", "cpu,cpuacct/a/cpu.cfs_period_us": "100000"},
        3,
    ),
    "version 1 without a quota": (
        "3:cpu,cpuacct:/",
        {"cpu,cpuacct/cpu.cfs_quota_us": "-1", "cpu,cpuacct/cpu.cfs_period_us": "100000"},
        8,
    ),
    "nonsense": ("0::/", {"cpu.max": "many"}, 8),
    "no period": ("0::/", {"cpu.max": "100000 0"}, 8),
    "no line that anybody knows": ("nonsense", {"cpu.max": "100000 100000"}, 8),
    "a name that is no text": ("0::/\udcff", {"cpu.max": "100000 100000"}, 1),
}


@pytest.mark.parametrize(("membership", "files", "cores"), QUOTAS.values(), ids=QUOTAS)
def test_usable_cores(
    membership: str,
    files: dict[str, str],
    cores: int,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)))
    monkeypatch.setattr(cores_module, "MEMBERSHIP", tmp_path / "membership")
    monkeypatch.setattr(cores_module, "CONTROL_GROUPS", tmp_path / "groups")
    if membership:
        (tmp_path / "membership").write_text(f"{membership}\n", errors="surrogateescape")
    for name, text in files.items():
        (tmp_path / "groups" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "groups" / name).write_text(f"{text}\n")
    assert usable_cores() == cores


def test_usable_cores_of_this_machine() -> None:
    assert 1 <= usable_cores() <= len(os.sched_getaffinity(0))
