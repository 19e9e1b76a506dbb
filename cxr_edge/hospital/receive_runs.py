"""Hands studies that have been quiet to a command: one run at a time, and none forgotten."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from cxr_edge.errors import StateBusyError
from cxr_edge.hospital.spool import Spool
from cxr_edge.support.locks import lock, opened

STUDY_VARIABLE = "CXR_EDGE_STUDY"  # tells `score` that its run does not count as a night
DONE = (0, 3)  # exit codes of a run that has dealt with every film
_FIRST_PAUSE, _LONGEST_PAUSE = 30.0, 1800.0
_LOOK = 0.5  # seconds between looks at the clock


@dataclass(frozen=True)
class RunPlan:
    """Command to run when a study is complete.

    Attributes:
        quiet: seconds without a new film after which a study counts as complete.
        command: its words; the folder of the films is appended to them.
    """

    quiet: float
    command: tuple[str, ...]


class StudyRuns:
    """A thread that runs the command whenever a study is due; a context manager.

    The studies that wait are marked on disk, so a receiver that was killed still owes them a run.
    The command inherits the lock on the runs: the next receiver waits for a command whose own
    receiver was killed.
    """

    def __init__(self, spool: Spool, plan: RunPlan, ended: Callable[[int, float], None]) -> None:
        """Begin with `with`.

        Args:
            spool: held.
            plan: what to do.
            ended: called with the exit code of each run and the seconds it took.
        """
        self._spool, self._plan, self._ended = spool, plan, ended
        self._stop, self._is_told = threading.Event(), False
        # A daemon: a receiver that is to end at once does not wait for it.
        self._thread = threading.Thread(target=self._work, name="cxr-edge study runs", daemon=True)

    def __enter__(self) -> StudyRuns:
        """Start looking."""
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        """Ask a run under way to stop, and wait until it has recorded its batch.

        After a second signal it is asked to stop, but not waited for.
        """
        self._stop.set()
        self._thread.join(2 * _LOOK if kind is SystemExit else None)

    def _work(self) -> None:
        pause = _FIRST_PAUSE
        while not self._stop.wait(_LOOK):
            if not self._spool.is_due(self._plan.quiet):
                continue
            if self._run() in DONE:  # else everything is still owed
                pause = _FIRST_PAUSE
            else:
                self._stop.wait(pause)
                pause = min(2 * pause, _LONGEST_PAUSE)

    def _run(self) -> int:
        """Run once over the whole spool; 75 while a run of a killed receiver still goes on."""
        try:
            with opened(self._spool.run_lock, os.O_RDWR | os.O_CREAT) as descriptor:
                lock(descriptor)
                owed, start = self._spool.owed(), time.monotonic()
                code = self._code(descriptor)
                if code in DONE:
                    self._spool.settle(owed)
            if self._is_told:
                self._wait_for_the_rest()
            self._ended(code, time.monotonic() - start)
            return code
        except BlockingIOError:
            return StateBusyError.exit_code
        except OSError:  # the spool cannot be written
            self._ended(1, 0.0)
            return 1

    def _code(self, descriptor: int) -> int:
        """Exit code of the command; 127 where it cannot be started."""
        words = (*self._plan.command, str(self._spool.films))
        environment = {**os.environ, STUDY_VARIABLE: "1"}
        try:
            process = subprocess.Popen(
                words,
                stdin=subprocess.DEVNULL,
                pass_fds=(descriptor,),
                env=environment,
                start_new_session=True,
            )
        except OSError:
            return 127
        while True:
            with contextlib.suppress(subprocess.TimeoutExpired):
                return process.wait(_LOOK)
            if self._stop.is_set():
                self._is_told = True
                os.killpg(process.pid, signal.SIGTERM)  # of a script, the shell and what it runs
                return process.wait()

    def _wait_for_the_rest(self) -> None:
        """Wait for processes that outlive the shell which started them: they hold the lock."""
        with opened(self._spool.run_lock, os.O_RDWR | os.O_CREAT) as descriptor:
            lock(descriptor, wait=True)
