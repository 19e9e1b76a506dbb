"""The processor, as far as it decides how a network is computed."""

from __future__ import annotations

import platform
from pathlib import Path

CPU_FACTS = Path("/proc/cpuinfo")
# Inference libraries choose their kernels by these, and each kernel adds up in another order.
_SETS = {
    "flags": ("sse", "ssse", "avx", "fma", "f16c", "gfni", "amx"),  # x86
    "Features": ("asimd", "fphp", "i8mm", "bf16", "sve", "sme"),  # ARM
}


def cpu_facts() -> dict[str, str]:
    """Lines of the first processor in /proc/cpuinfo; none where the kernel does not say.

    The kernel writes as it is read: a machine of a hundred cores takes its time for all of them.
    """
    facts: dict[str, str] = {}
    try:
        with CPU_FACTS.open(encoding="utf-8", errors="replace") as lines:
            for line in lines:
                if not line.strip():
                    break
                name, _, value = line.partition(":")
                facts[name.strip()] = value.strip()
    except OSError:
        return {}
    return facts


def instruction_sets() -> tuple[str, ...]:
    """Architecture, and every extension that a kernel for networks may be chosen by."""
    facts = cpu_facts()
    found = (
        flag
        for kind, prefixes in _SETS.items()
        for flag in facts.get(kind, "").split()
        if flag.startswith(prefixes)
    )
    return platform.machine(), *sorted(set(found))
