"""Receives films until it is asked to stop."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from cxr_edge.errors import InputError
from cxr_edge.hospital.peers import Address, Sender, checked_title
from cxr_edge.hospital.quiet import quiet_library
from cxr_edge.hospital.receive_count import Journal, Tally
from cxr_edge.hospital.receive_job import ReceiveJob
from cxr_edge.hospital.receive_runs import RunPlan, StudyRuns
from cxr_edge.hospital.receive_server import Server, ServerPlan, addresses_of
from cxr_edge.hospital.spool import Spool, held
from cxr_edge.hospital.tls import TlsFiles
from cxr_edge.report.metrics import write_file
from cxr_edge.support.text import display_name

_SECONDS_TO_FINISH = 10.0  # for objects under way after a request to stop
_LOOK, _METRICS_EVERY, _COUNT_EVERY = 0.5, 15.0, 300.0


def receive(job: ReceiveJob, say: Callable[[str], None], is_stopped: Callable[[], bool]) -> None:
    """Listen, store what arrives and start runs over complete studies, until it is stopped.

    Args:
        job: what is asked for.
        say: prints a line, from any thread; no line contains patient data.
        is_stopped: asked twice a second. All associations end within seconds after it is true.

    Raises:
        InputError: an address, a title or a file of TLS cannot be used.
        StateError: the spool cannot be.
    """
    plan = _plan(job)
    tally = Tally(Journal(say))
    with contextlib.ExitStack() as stack:
        stack.enter_context(quiet_library(_thread_failed(tally)))
        spool = stack.enter_context(held(job.spool, job.most))
        server = stack.enter_context(_listening(plan, spool, tally))
        say(f"note: {plan.title} listens on {_address(server)}")
        _name_strangers(plan, say)
        if job.command:
            runs = StudyRuns(spool, RunPlan(job.quiet, job.command), tally.ended)
            stack.enter_context(runs)
        _look_after(_Watch(server, spool, tally, job.metrics), is_stopped)


def _plan(job: ReceiveJob) -> ServerPlan:
    return ServerPlan(
        checked_title(job.title),
        Address.parse(job.bind),
        tuple(map(Sender.parse, job.senders)),
        TlsFiles(*job.tls) if job.tls else None,
    )


def _name_strangers(plan: ServerPlan, say: Callable[[str], None]) -> None:
    """Warn of senders whose host name has no address now; each association looks it up again."""
    for sender in plan.senders:
        if sender.host and not addresses_of(sender.host):
            host = display_name(sender.host)
            say(
                f"warning: --from {sender.title}@{host}: this name has no address now; "
                f"until it has one, {sender.title} is rejected"
            )


def _address(server: Server) -> Address:
    host, port = server.server_address[:2]
    return Address(str(host), port)


@contextlib.contextmanager
def _listening(plan: ServerPlan, spool: Spool, tally: Tally) -> Iterator[Server]:
    """A server that accepts associations; all have ended when the context ends."""
    try:
        server = Server(plan, spool, tally)
    except OSError as error:
        raise InputError(f"nobody can listen on {plan.address}: {error.strerror}") from error
    thread = threading.Thread(target=server.serve_forever, args=(_LOOK,), daemon=True)
    thread.start()
    seconds = 0.0  # after an error, or a second signal
    try:
        yield server
        seconds = _SECONDS_TO_FINISH
    finally:
        server.stop(seconds)
        thread.join()


def _thread_failed(tally: Tally) -> Callable[[threading.ExceptHookArgs], None]:
    return lambda failure: tally.turned_away("connection", failure.exc_type.__name__)


@dataclass(frozen=True)
class _Watch:
    """Duties of the main thread while the server runs."""

    server: Server
    spool: Spool
    tally: Tally
    metrics: Path | None

    def write_metrics(self) -> None:
        """Write the metrics if asked to; a failure is logged and stops nothing."""
        if self.metrics is None:
            return
        try:
            associations = len(self.server.active_associations)
            write_file(self.metrics, self.tally.metrics(self.spool, associations))
        except OSError as error:
            self.tally.journal(f"warning: the metrics could not be written: {error.strerror}")


def _look_after(watch: _Watch, is_stopped: Callable[[], bool]) -> None:
    written = counted = time.monotonic()
    watch.write_metrics()
    while not is_stopped():
        time.sleep(_LOOK)
        watch.server.cut_slow()
        now = time.monotonic()
        if now - counted > _COUNT_EVERY:
            watch.spool.count()
            counted = now
        if now - written > _METRICS_EVERY:
            watch.write_metrics()
            written = now
    watch.write_metrics()
