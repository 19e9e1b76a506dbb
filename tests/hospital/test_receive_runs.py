"""Runs over studies: what a receiver that stops tells the command, and what it waits for."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from cxr_edge.hospital import receive_runs
from cxr_edge.hospital.receive_runs import RunPlan, StudyRuns
from cxr_edge.hospital.spool import held

# As `score` does with its batch: it ends some time after it was told to.
SLOW = """
trap 'sleep 0.5; touch {0}/told; exit' TERM
touch {0}/began
for second in 1 2 3 4 5; do sleep 1; done
"""


def test_a_command_below_a_script_is_told_to_stop_and_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(receive_runs, "_LOOK", 0.05)
    (tmp_path / "slow.sh").write_text(SLOW.format(tmp_path))
    (tmp_path / "study.sh").write_text(f"sh {tmp_path}/slow.sh\nexit $?\n")
    (tmp_path / "spool/waiting").mkdir(parents=True)
    (tmp_path / "spool/waiting/study-1").touch()
    codes: list[int] = []
    plan = RunPlan(0.0, ("sh", str(tmp_path / "study.sh")))
    with (
        held(tmp_path / "spool") as spool,
        StudyRuns(spool, plan, lambda code, _: codes.append(code)),
    ):
        end = time.monotonic() + 20
        while not (tmp_path / "began").exists():
            assert time.monotonic() < end
            time.sleep(0.02)
    assert (tmp_path / "told").exists()
    assert len(codes) == 1 and codes[0] not in receive_runs.DONE
    assert (tmp_path / "spool/waiting/study-1").exists(), "it is still owed"
