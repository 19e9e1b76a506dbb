"""The instruction sets that decide the last digit of a score."""

from __future__ import annotations

import platform
from pathlib import Path

import pytest

from cxr_edge.support import cpu
from cxr_edge.support.cpu import cpu_facts, instruction_sets

INTEL = """processor\t: 0
model name\t: Some Core: i7
flags\t\t: fpu sme sse4_1 avx avx2 fma f16c avx512f avx512_vnni amx_int8 erms

processor\t: 1
model name\t: Another
flags\t\t: fpu avx
"""
ARM = """processor\t: 0
BogoMIPS\t: 243.75
Features\t: fp asimd evtstrm aes asimddp sve i8mm
"""

SETS = {
    "Intel": (
        INTEL,
        ["amx_int8", "avx", "avx2", "avx512_vnni", "avx512f", "f16c", "fma", "sse4_1"],
    ),
    "ARM": (ARM, ["asimd", "asimddp", "i8mm", "sve"]),
    "empty": ("", []),
    "no line of them": ("processor: 0\n", []),
}


@pytest.mark.parametrize(("text", "sets"), SETS.values(), ids=SETS)
def test_sets_of_the_first_processor(
    text: str, sets: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "cpuinfo").write_text(text)
    monkeypatch.setattr(cpu, "CPU_FACTS", tmp_path / "cpuinfo")
    assert instruction_sets() == (platform.machine(), *sets)
    assert cpu_facts().get("model name", "Some Core: i7") == "Some Core: i7"


def test_a_kernel_that_does_not_say(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cpu, "CPU_FACTS", tmp_path / "none")
    assert (cpu_facts(), instruction_sets()) == ({}, (platform.machine(),))
