"""Contents of a report: a run's context and its rows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import cached_property
from typing import Any

from cxr_edge.errors import StateError
from cxr_edge.ledger.identities import EarlierScore
from cxr_edge.ledger.run import Run
from cxr_edge.ledger.runs import Ledger
from cxr_edge.model.site_profile import SiteProfile
from cxr_edge.model.spec import ModelSpec
from cxr_edge.support.strict_json import read
from cxr_edge.triage import Counts, TriageRow, count, place, reading_key
from cxr_edge.types import DEFAULT_LANGUAGE, Band, Picture

BANNER = "Prioritisation aid. Not a diagnosis. Unflagged studies still need reading."
SCHEMA_VERSION = 6
_ADDED_LATER = {
    **{"directory": "", "sandbox": "", "scope_gate": None},
    **{"recalled": 0, "left_out": 0, "excluded": 0, "gone": 0},
    **{"language": DEFAULT_LANGUAGE, "prevalence": None, "viewer_url": ""},
}
_RENAMED = {"recipe": "settings_sha256"}  # fields of earlier contexts


@dataclass(frozen=True)
class RunContext:
    """Record of a run: model, settings, device, versions, command.

    Attributes:
        run_id: what `cxr-edge report` calls the run.
        settings_sha256: of everything that decides a score besides the bytes.
        identity_fields: what the rows say of whom a film is; nothing unless it was asked for.
        thumbnails: whether the page shows films.
        operating_point: its name, `site` for that of a site profile, or `custom` for a threshold
            given by hand.
        profile: the site profile, where there is one.
        device_asked: as on the command line; `device_used` is what the run began on.
        versions: software and instruction sets that could change a number.
        seconds: wall time from start to the last score.
        directory: where the command was given; relative names in it are from there.
        recalled: rows that an earlier run had computed, of files that have not changed since.
        left_out: files in system folders, for which there is no row.
        sandbox: what protected this machine from its decoders; empty if none was needed.
        scope_gate: name, version, file and hashes of the scope gate; None where there was none.
        excluded: files that `--exclude` leaves out.
        gone: files that the last night with a report listed, and this run did not find.
        language: of the page, of `types.LANGUAGES`.
        prevalence: share of pneumonias among the site's films, as the site states it.
        viewer_url: template that makes rows links; empty for none.
    """

    run_id: str
    settings_sha256: str
    identity_fields: tuple[str, ...]
    thumbnails: bool
    spec: ModelSpec
    model_file: str
    model_sha256: str
    operating_point: str
    threshold: float
    profile: SiteProfile | None
    device_asked: str
    device_used: str
    versions: dict[str, str]
    started_utc: str
    seconds: float
    command: tuple[str, ...]
    directory: str
    recalled: int
    left_out: int = 0
    sandbox: str = ""
    scope_gate: dict[str, str] | None = None
    gone: int = 0
    excluded: int = 0
    language: str = DEFAULT_LANGUAGE
    prevalence: float | None = None
    viewer_url: str = ""

    @classmethod
    def from_dict(cls, values: Any) -> RunContext:
        """Read what `to_dict` gave and the ledger kept.

        Raises:
            TypeError, ValueError: another version wrote it.
        """
        # A run of before these were recorded, or had this name, can be rendered too.
        recorded = {**_ADDED_LATER, **values}
        if "id_tag" in recorded:  # there was one, or none
            tag = recorded.pop("id_tag")
            recorded["identity_fields"] = [tag] if tag else []
        renamed = {_RENAMED.get(name, name): value for name, value in recorded.items()}
        return read(cls, renamed, "context")

    def to_dict(self) -> dict[str, Any]:
        """Plain values."""
        return {**asdict(self), "spec": self.spec.to_dict()}


def recorded_run(ledger: Ledger, run_id: str) -> tuple[Run, RunContext]:
    """A finished run and its context.

    Raises:
        StateError: it is damaged, gone, or another version's.
    """
    try:
        recorded, values = ledger.finished(run_id)
        return recorded, RunContext.from_dict(values)
    except KeyError as error:
        raise StateError(f"run {run_id} has just been forgotten for newer ones") from error
    except (TypeError, ValueError) as error:
        raise StateError(
            f"run {run_id} was recorded by another version of cxr-edge: {error}",
            tip="use that version, or score again",
        ) from error


@dataclass(frozen=True)
class RecordedRows:
    """A run's rows in reading order, read from the ledger each time and never held together."""

    run: Run
    threshold: float
    identity_fields: tuple[str, ...] = ()

    def __iter__(self) -> Iterator[TriageRow]:
        """From the first rank to the last."""
        key = reading_key(self.threshold)
        return place(self.run.results(key, self.identity_fields), self.threshold)

    def earlier(self, sha256: str, day: str) -> list[EarlierScore]:
        """Earlier scores of the patient of a film, up to its day."""
        return self.run.identities.earlier(sha256, self.run.number, day)


def nothing_earlier(sha256: str, day: str) -> Sequence[EarlierScore]:
    """Stands for a ledger where there is none."""
    return ()


@dataclass(frozen=True)
class _Totals:
    """Figures over all rows, see `Report`."""

    counts: Counts
    new: int
    reasons: dict[str, int]


@dataclass(frozen=True)
class Report:
    """Rows in reading order and the run they come from.

    Attributes:
        rows: can be gone through again and again.
        pictures: by sha256 of the film's file, for the films that the page shows.
        earlier: finds earlier scores of the same patient by sha256 and day of a film, see
            `Identities.earlier`.
        parquet: whether the rows are written as Parquet too.
    """

    rows: Iterable[TriageRow]
    context: RunContext
    pictures: Mapping[str, Picture] = field(default_factory=dict)
    earlier: Callable[[str, str], Sequence[EarlierScore]] = nothing_earlier
    parquet: bool = False

    @property
    def counts(self) -> Counts:
        """Files by status and by band."""
        return self._totals.counts

    @property
    def new(self) -> int:
        """Files that the last night with a report did not have."""
        return self._totals.new

    @property
    def reasons(self) -> dict[str, int]:
        """Files that may be films and have no score, by reason, the most frequent first."""
        return self._totals.reasons

    @cached_property
    def _totals(self) -> _Totals:
        """Count in one pass: the ledger sorts its rows anew for each."""
        new, reasons = 0, Counter[str]()

        def seen() -> Iterator[TriageRow]:
            nonlocal new
            for row in self.rows:
                new += row.result.new
                if reason := _reason(row):
                    reasons[reason] += 1
                yield row

        counts = count(seen())
        return _Totals(counts, new, dict(reasons.most_common()))

    @cached_property
    def devices(self) -> dict[str, int]:
        """Scored films by device; more than one where `auto` left the GPU in the middle."""
        began_on = self.context.device_used
        if began_on == "cpu":  # from there a run goes nowhere: the rows need not be read again
            return {began_on: self.counts.scored}
        scored = (row.result for row in self.rows if row.flagged is not None)
        return {began_on: 0, **Counter(each.device or began_on for each in scored)}


def _reason(row: TriageRow) -> str | None:
    return None if row.band is Band.OTHER else row.result.reason
