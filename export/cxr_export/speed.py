"""Speed of an exported file beside the float32 one, on this machine."""

from __future__ import annotations

import platform
import statistics
import time

import numpy as np
from numpy.typing import NDArray

from cxr_edge.model.files import Speed
from cxr_edge.runtime.protocol import Runner
from cxr_edge.support.cpu import cpu_facts, instruction_sets

BATCH_SIZE = 32
_ROUNDS = 15
_SECONDS = 0.2  # of CPU time, each file and round
_DECIMALS = 2
_THREADS = 1  # as runners compute: several cores make several passes
# The first that a processor has decides how small integers are multiplied.
_INSTRUCTION_SETS = ("avx512_vnni", "avx_vnni", "avx512bw", "avx2", "asimddp", "asimd")


def measure_speed(
    runner: Runner, float32: Runner, reference: str, pixels: NDArray[np.uint8]
) -> Speed:
    """Run both files in turn; the median of the ratios of neighbours.

    CPU time, not time: other work on the machine then hardly counts.

    Args:
        runner: the file.
        float32: the same network in float32, in the same format.
        reference: what the latter is called.
        pixels: uint8 [N, S, S, 1], real x-rays.
    """
    return Speed(
        ratio=round(ratio(runner, float32, pixels[:BATCH_SIZE]), _DECIMALS),
        reference=reference,
        cpu=cpu_facts().get("model name") or platform.processor() or platform.machine(),
        instruction_set=_instruction_set(),
        threads=_THREADS,
        batch_size=min(BATCH_SIZE, len(pixels)),
        runtime=runner.backend,
    )


def ratio(runner: Runner, float32: Runner, batch: NDArray[np.uint8]) -> float:
    """CPU time of `float32` over that of `runner` for one batch, in turn."""
    for warming in (runner, float32):
        warming.predict(batch)
    ratios = [_cpu_time(float32, batch) / _cpu_time(runner, batch) for _ in range(_ROUNDS)]
    return statistics.median(ratios)


def _cpu_time(runner: Runner, batch: NDArray[np.uint8]) -> float:
    """Seconds of CPU per batch."""
    started, count = time.process_time(), 0
    while (spent := time.process_time() - started) < _SECONDS or not count:
        runner.predict(batch)
        count += 1
    return spent / count


def _instruction_set() -> str:
    machine, *sets = instruction_sets()
    return next((name for name in _INSTRUCTION_SETS if name in sets), machine)
