"""Lines of a receiver for a journal, and its counts for Prometheus; no patient data."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

from cxr_edge.hospital.spool import Kept, Refusal, RefusedError, Spool
from cxr_edge.report.metrics import Metric

_SECONDS_OF_SILENCE = 60.0
_DIFFERENT_LINES = 200  # remembered; a flood from many addresses takes no more memory

REJECTED = {
    "called_title": "an association was rejected: it called another AE title",
    "unknown_sender": "an association was rejected: --from does not name its sender",
    "associations": "an association was turned away for now: there are too many",
    "connections": "a connection was closed: there are too many",
    "connection": "a connection failed",
    "protocol": "an association was aborted: it did not speak DICOM, or too much of it",
    "slow": "an association was cut: an object took too long",
}
REFUSED = {
    Refusal.QUOTA: "an object was refused for now: the spool has reached --max-spool",
    Refusal.DISK: "an object was refused for now: it cannot be written",
    Refusal.SIZE: "an object was refused: it is larger than any film that is scored",
    Refusal.INVALID: "an object was refused: it has no valid UID or no content",
}


class Journal:
    """Prints each line at most once a minute, so that a flood of them does not fill a disk."""

    def __init__(self, say: Callable[[str], None]) -> None:
        """Print with `say`."""
        self._say, self._lock = say, threading.Lock()
        self._printed: dict[str, tuple[float, int]] = {}  # when, and how often suppressed since

    def __call__(self, line: str) -> None:
        """Print or count a line."""
        now = time.monotonic()
        with self._lock:
            when, more = self._printed.get(line, (-_SECONDS_OF_SILENCE, 0))
            if now - when < _SECONDS_OF_SILENCE:
                self._printed[line] = (when, more + 1)
                return
            if len(self._printed) >= _DIFFERENT_LINES:
                self._printed.clear()
            self._printed[line] = (now, 0)
        self._say(f"{line} ({more} more of these before)" if more else line)


@dataclass
class Tally:
    """Counts since the start; any thread may add to them."""

    journal: Journal
    objects: Counter[str] = field(default_factory=Counter)
    rejected: Counter[str] = field(default_factory=Counter)
    runs: Counter[str] = field(default_factory=Counter)
    size: int = 0
    last: float | None = None
    lock: threading.Lock = field(default_factory=threading.Lock)

    def kept(self, kept: Kept, size: int) -> None:
        """An object is on disk."""
        with self.lock:
            self.objects[kept.value] += 1
            self.size += size
            self.last = time.time()
        if kept is Kept.OTHER_BYTES:
            self.journal("warning: an object came with a known UID and other bytes: both are kept")

    def refused(self, error: RefusedError) -> None:
        """An object is not kept."""
        with self.lock:
            self.objects[f"refused_{error.why}"] += 1
        detail = f": {error.detail}" if error.detail else ""
        self.journal(f"warning: {REFUSED[error.why]}{detail}")

    def turned_away(self, reason: str, who: str) -> None:
        """An association or a connection was turned away or cut."""
        with self.lock:
            self.rejected[reason] += 1
        self.journal(f"warning: {REJECTED[reason]} ({who})")

    def ended(self, code: int, seconds: float) -> None:
        """A run over the studies has ended."""
        with self.lock:
            self.runs[str(code)] += 1
        kind = "note" if code in (0, 3) else "warning"
        later = "" if code in (0, 3) else "; it is tried again"
        self.journal(f"{kind}: a run has ended with {code} after {seconds:.0f} s{later}")

    def metrics(self, spool: Spool, associations: int) -> Iterator[Metric]:
        """All of it, as it is now."""
        with self.lock:
            objects, rejected, runs = map(dict, (self.objects, self.rejected, self.runs))
            size, last = self.size, self.last
        counted = (
            ("objects_total", "Objects since the start, by what became of them.", objects),
            ("rejected_total", "Associations and connections turned away, by why.", rejected),
            ("runs_total", "Runs over studies since the start, by exit code.", runs),
        )
        for (name, meaning, values), label in zip(
            counted, ("outcome", "reason", "exit_code"), strict=True
        ):
            yield _metric(name, meaning, _labelled(label, values), "counter")
        yield _metric("bytes_total", "Bytes of objects since the start.", {"": size}, "counter")
        yield _metric("associations", "Associations now.", {"": associations})
        yield _metric("spool_bytes", "What the films of the spool take.", {"": spool.stored})
        yield _metric("studies_waiting", "Studies that wait for a run.", {"": len(spool.owed())})
        if last is not None:
            yield _metric("last_timestamp_seconds", "When an object last came.", {"": last})


_Values = Mapping[str, float]


def _labelled(label: str, values: _Values) -> _Values:
    return {f"{label}={key}": value for key, value in sorted(values.items())}


def _metric(name: str, meaning: str, values: _Values, kind: str = "gauge") -> Metric:
    """A metric of a receiver; keys of `values` are `label=text`, or empty for no label."""
    samples = tuple(
        (dict([key.split("=", 1)]) if key else {}, value) for key, value in values.items()
    )
    return Metric(f"cxr_edge_receive_{name}", meaning, samples, kind)
