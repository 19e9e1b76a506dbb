"""One holder at a time, and none once its block or its process has ended."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from cxr_edge.support.locks import lock, opened

HOLD = """
import os, sys
from pathlib import Path
from cxr_edge.support.locks import lock, opened
with opened(Path(sys.argv[1]), os.O_RDONLY) as descriptor:
    lock(descriptor)
    print("held", flush=True)
    sys.stdin.read()
"""


def test_a_lock_has_one_holder_until_its_block_ends(tmp_path: Path) -> None:
    with opened(tmp_path, os.O_RDONLY) as one, opened(tmp_path, os.O_RDONLY) as other:
        lock(one)
        with pytest.raises(BlockingIOError):
            lock(other)
    with opened(tmp_path, os.O_RDONLY) as one:
        lock(one)


def test_a_lock_ends_with_its_process(tmp_path: Path) -> None:
    """Whoever waits for it gets it then."""
    with (
        subprocess.Popen(
            [sys.executable, "-c", HOLD, str(tmp_path)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        ) as holder,
        opened(tmp_path, os.O_RDONLY) as descriptor,
    ):
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        with pytest.raises(BlockingIOError):
            lock(descriptor)
        holder.kill()
        lock(descriptor, wait=True)


def test_a_lock_file_is_private_and_not_handed_on(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    with opened(path, os.O_RDWR | os.O_CREAT) as descriptor:
        assert path.stat().st_mode & 0o777 == 0o600
        assert not os.get_inheritable(descriptor)
