"""Whether a training step finds the memory that the last one left."""

from __future__ import annotations

import sys

import pytest

from tests.training.helpers import fresh_python

CODE = """
import resource, sys, threading
import numpy as np
if sys.argv[1] == "kept":
    from cxr_training.support.memory import keep_freed_memory
    keep_freed_memory()

def step():
    np.ones(48 * 2**20, np.uint8).sum()

def faults():
    step()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(20):
        step()
    print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)

thread = threading.Thread(target=faults)
thread.start()
thread.join()
"""


@pytest.mark.slow  # two processes that write to two gigabytes
@pytest.mark.skipif(sys.platform != "linux", reason="another allocator than glibc's")
def test_freed_memory_is_kept_for_the_next_step() -> None:
    """In a thread, as TensorFlow computes: 20 blocks of 48 MB that are written to and freed."""
    faults = {}
    for how in ("plain", "kept"):
        child = fresh_python(CODE, how)
        output, _ = child.communicate(timeout=120)
        assert child.returncode == 0, output
        faults[how] = int(output)
    assert faults["kept"] < faults["plain"] / 10
