"""Joins the stages: files in, one recorded row per file."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path

from cxr_edge.engines.protocol import Engine
from cxr_edge.intake.ahead import ahead
from cxr_edge.intake.read import current_stamp
from cxr_edge.intake.settle import SettleRule
from cxr_edge.ledger.rows import Entry
from cxr_edge.ledger.run import FILES_PER_RECALL, Run
from cxr_edge.scoring.observer import Progress
from cxr_edge.types import FoundFile, Place, Reason, Result, Root, Stamp, Url

# Rows that need no network are committed in groups: one fsync for many.
_ROWS_PER_COMMIT = 1000
_NAP_SECONDS = 0.1
_SECONDS_TOGETHER = 0.05  # for which a file waits for others before the ledger is asked


@dataclass(frozen=True)
class Scorer:
    """Scores files and records a row for each.

    Attributes:
        engine: reads and scores what the ledger does not know.
        run: this run's part of the ledger.
        settle: when a file counts as complete.
        stop: asked between files; when it says so, what is under way is finished and recorded.
        progress: told what has been done.
        identity_fields: whom films are of; headers are read again where an earlier run did not ask.
    """

    engine: Engine
    run: Run
    settle: SettleRule
    stop: Callable[[], bool]
    progress: Progress
    identity_fields: tuple[str, ...] = ()

    def score(self, files: Iterable[FoundFile | None]) -> bool:
        """Score files and commit a row for each.

        A file that was still changing is looked at again at the end, once it has had time to
        settle; what changes even then stays deferred. Bytes that took an earlier run too long come
        last.

        Args:
            files: what discovery found; read lazily. None while it finds nothing.

        Returns:
            Whether every file has its row; False after a stop, with what is scored recorded.
        """
        watch = _Watch(self.settle)
        slow: list[FoundFile] = []
        unidentified: list[FoundFile] = []
        unknown = self._unknown(files, watch, slow, unidentified)
        self._score_unknown(unknown, watch, self.progress.recorded)
        changing = self.run.unsettled()
        if changing and self._waited_until(watch.quiet_at, len(changing)):
            # They have been counted.
            again = ahead(map(watch.look_again, changing), self.stop)
            self._score_unknown(again, watch, lambda _: None)
        self._score_unknown(slow, watch, self.progress.recorded)
        if unidentified:
            self._identify(unidentified)
        return not self.stop()

    def _identify(self, files: list[FoundFile]) -> None:
        """Read headers of films whose scores are known; one that cannot be read stays unnamed."""
        identified = self.engine.identify(files, self.stop)
        with_bytes = (result for result in identified if result.sha256)
        while results := list(itertools.islice(with_bytes, _ROWS_PER_COMMIT)):
            self.run.identify(results)

    def _unknown(
        self,
        files: Iterable[FoundFile | None],
        watch: _Watch,
        slow: list[FoundFile],
        unidentified: list[FoundFile],
    ) -> Iterator[FoundFile | None]:
        """Files that must be read; rows for the others are recorded on the way, lists are filled.

        Two that hold a decoder for a minute each would keep a hundred others waiting.
        """
        rows: list[Entry] = []
        for file, known in itertools.takewhile(lambda _: not self.stop(), self._recalled(files)):
            if file is None:
                yield None
                continue
            watch.remember(file)
            result = known or _result_without_reading(file, watch)
            if result is None:
                # Without a settle rule a file may change until it is read.
                unread = file if self.settle.seconds > 0 else replace(file, stamp=None)
                if self.run.timed_out(file):
                    slow.append(unread)
                else:
                    yield unread
                continue
            if self._lacks_identity(result):
                unidentified.append(file)
            rows.append(Entry(file, result, file.stamp))
            if len(rows) == _ROWS_PER_COMMIT:
                self._record(rows, self.progress.recorded)
                rows.clear()
        self._record(rows, self.progress.recorded)

    def _lacks_identity(self, result: Result) -> bool:
        """Whether an earlier run has read these bytes and not everything that is asked for now."""
        if not (self.identity_fields and result.sha256):
            return False
        known = self.run.identities.of(result.sha256)
        return any(field not in known for field in self.identity_fields)

    def _recalled(
        self, files: Iterable[FoundFile | None]
    ) -> Iterator[tuple[FoundFile | None, Result | None]]:
        """Files with the row that an earlier run gave them, if one did."""
        if not self.run.has_earlier:
            yield from ((file, None) for file in files)
            return
        for group in _in_groups(files):
            known = self.run.recall(group)
            self.progress.recalled(len(known))
            yield from ((file, known.get(place)) for place, file in enumerate(group))
            if not group:
                yield None, None

    def _score_unknown(
        self, files: Iterable[FoundFile | None], watch: _Watch, recorded: Callable[[int], None]
    ) -> None:
        """Have the engine score files, and record their rows as they come."""
        with closing(self.engine.rows(files, self.run.known_probabilities, self.stop)) as groups:
            for entries in groups:
                for entry in entries:
                    watch.note(entry.result)
                self._record(entries, recorded)

    def _record(self, entries: list[Entry], recorded: Callable[[int], None]) -> None:
        if entries:
            self.run.record(entries)
            recorded(len(entries))

    def _waited_until(self, moment: float, files: int) -> bool:
        """Sleep in short naps; return False when the run was stopped meanwhile."""
        if moment > time.monotonic():
            self.progress.waiting(files, moment - time.monotonic())
        while not self.stop():
            left = moment - time.monotonic()
            if left <= 0:
                return True
            time.sleep(min(left, _NAP_SECONDS))
        return False


def _in_groups(files: Iterable[FoundFile | None]) -> Iterator[list[FoundFile]]:
    """Files found together, so that the ledger is asked once; empty if none were found."""
    group: list[FoundFile] = []
    due = 0.0
    for file in files:
        if file is not None:
            due = due if group else time.monotonic() + _SECONDS_TOGETHER
            group.append(file)
        if file is None or len(group) == FILES_PER_RECALL or time.monotonic() > due:
            yield group
            group = []
    if group:
        yield group


def _result_without_reading(file: FoundFile, watch: _Watch) -> Result | None:
    problem = file.problem or (file.stamp and watch.objection(file.stamp))
    return Result.without_score(file.display, problem) if problem else None


class _Watch:
    """Holds back files that may still be written to, until they have been watched long enough."""

    def __init__(self, rule: SettleRule) -> None:
        self._rule = rule
        self._roots: dict[Path, Root] = {}
        self.quiet_at = 0.0  # on the monotonic clock

    def remember(self, file: FoundFile) -> None:
        """Keep the folder that a file was found below: the ledger has only names."""
        if file.root is not None:
            self._roots[file.root.path] = file.root

    def objection(self, stamp: Stamp) -> Reason | None:
        """Reason why a file should not be read now."""
        missing = self._rule.missing_seconds(stamp, time.time_ns())
        problem = self._rule.objection(stamp)
        if problem is None and missing > 0:
            self.quiet_at = max(self.quiet_at, time.monotonic() + missing)
            return Reason.STILL_CHANGING
        return problem

    def note(self, result: Result) -> None:
        """Watch a file that changed while it was read for the whole window again."""
        if result.reason is Reason.STILL_CHANGING:
            self.quiet_at = max(self.quiet_at, time.monotonic() + self._rule.seconds)

    def look_again(self, file: FoundFile) -> FoundFile:
        """Give a file its stamp of now, if that has been quiet for long enough; else leave it.

        A file that still has the stamp it had is fit to be read; one that has another is not.
        """
        file = replace(file, root=self._root_of(file.path))
        stamp, now_ns = _stamp_now(file.path), time.time_ns()
        if stamp is None or self._rule.missing_seconds(stamp, now_ns) > 0:
            return file
        if self._rule.objection(stamp) is not None:
            return file
        return replace(file, stamp=stamp, seen_ns=now_ns, size=stamp.size)

    def _root_of(self, path: Place) -> Root | None:
        """The innermost folder that a file was found below; an object has none."""
        if isinstance(path, Url):
            return None
        above = (self._roots[each] for each in path.parents if each in self._roots)
        return next(above, None)


def _stamp_now(path: Place) -> Stamp | None:
    """Stamp of a file or object now; None where it cannot be read."""
    if not isinstance(path, Url):
        return current_stamp(path)
    from cxr_edge.intake.objects import found_object

    return found_object(path).stamp
