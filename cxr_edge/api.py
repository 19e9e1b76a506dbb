"""The Python API: one film, or a folder, as the command line scores them.

`import cxr_edge` hands all of this on, and loads it when it is first used. It prints nothing and
never exits; errors are those of `cxr_edge.errors`, warnings go to the logger `cxr_edge`.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from cxr_edge.decoders.start import Decoders
from cxr_edge.engines.forward_passes import Networks
from cxr_edge.errors import (
    CxrEdgeError,
    DecoderError,
    DeviceError,
    ImageError,
    InputError,
    MissingExtraError,
    ModelRefusedError,
    ReportError,
    StateBusyError,
    StateError,
)
from cxr_edge.intake.settle import DEFAULT_SETTLE_SECONDS
from cxr_edge.ledger.runs import read_ledger
from cxr_edge.model.catalog import choose_model
from cxr_edge.model.spec import ModelSpec
from cxr_edge.report.context import RecordedRows, RunContext
from cxr_edge.runtime import Device, load
from cxr_edge.runtime.scope import load_scope
from cxr_edge.scoring.decision import decide
from cxr_edge.scoring.film import Model, Score
from cxr_edge.scoring.job import DEFAULT_MODEL, ScoreJob, check_one_threshold
from cxr_edge.scoring.night import check_id_tags, run
from cxr_edge.scoring.observer import Observer, Progress
from cxr_edge.triage import Counts, TriageRow
from cxr_edge.types import (
    DEFAULT_LANGUAGE,
    IDENTITY_FIELDS,
    Band,
    InputWarning,
    Place,
    Reason,
    Result,
    Status,
    place_of,
)

__all__ = [
    "Band",
    "Counts",
    "CxrEdgeError",
    "DecoderError",
    "DeviceError",
    "ImageError",
    "InputError",
    "InputWarning",
    "MissingExtraError",
    "Model",
    "ModelRefusedError",
    "ModelSpec",
    "Reason",
    "ReportError",
    "Result",
    "RunContext",
    "Score",
    "ScoredFolder",
    "StateBusyError",
    "StateError",
    "Status",
    "TriageRow",
    "load_model",
    "score_folder",
]

Name = str | os.PathLike[str]

_log = logging.getLogger(__name__)
logging.getLogger("cxr_edge").addHandler(logging.NullHandler())  # else Python prints warnings


def load_model(
    model: Name = DEFAULT_MODEL,
    *,
    device: str = "auto",
    operating_point: str | None = None,
    threshold: float | None = None,
    site_profile: Name | None = None,
    identify: bool = False,
    id_tags: Sequence[str] = (),
) -> Model:
    """Load a model and run its self-test, to score films one at a time.

    Args:
        model: bundled name (`cnn3_128`), bundled file (`cnn3_128.tflite`) or a path.
        device: `auto`, `cpu`, `cuda` or `cuda:N`.
        operating_point: one of the model's own; `screening` where nothing else is given.
        threshold: a probability, instead of an operating point.
        site_profile: file that `cxr-edge evaluate --propose-threshold` wrote, instead of either.
        identify: whether each score says whom its film is of: patient ID, accession number, UIDs
            and time of exposure, from the header.
        id_tags: more DICOM keywords whose texts each score carries, such as `InstitutionName`.

    Raises:
        ModelRefusedError: no such model, it does not match its spec, or it fails its self-test.
        DeviceError: the device asked for is not there.
        MissingExtraError: the library that runs this model is not installed.
        InputError: an argument cannot be used.
    """
    profile = None if site_profile is None else Path(site_profile)
    check_one_threshold(operating_point, threshold, profile)
    check_id_tags(id_tags)
    fields = (*(IDENTITY_FIELDS if identify else ()), *id_tags)
    choice = choose_model(os.fspath(model))
    decision = decide(choice, operating_point, threshold, profile)
    networks = Networks(load(choice, Device.parse(device)), load_scope(choice.format, choice.spec))
    return Model(choice.spec, networks, decision, fields)


@dataclass(frozen=True)
class ScoredFolder:
    """A finished run over a folder.

    Attributes:
        run_id: what `cxr-edge report` calls the run.
        out: folder with `triage.html`, `triage.csv` and `run.json`.
        state: folder of the ledger.
        counts: files by status and by band.
        context: how the scores came about: model, threshold, device, versions, times.
    """

    run_id: str
    out: Place
    state: Path
    counts: Counts
    context: RunContext = field(repr=False)  # it holds the model's whole spec

    def rows(self) -> Iterator[TriageRow]:
        """Read the rows in reading order, one at a time, from the ledger.

        Raises:
            StateError: the ledger is gone, or has forgotten the run for newer ones.
        """
        with read_ledger(self.state) as ledger:
            try:
                recorded, _ = ledger.finished(self.run_id)
            except KeyError as error:
                raise StateError(f"run {self.run_id} has been forgotten for newer ones") from error
            context = self.context
            yield from RecordedRows(recorded, context.threshold, context.identity_fields)


def score_folder(
    inputs: Name | Iterable[Name],
    *,
    model: Name = DEFAULT_MODEL,
    out: Name | None = None,
    state: Name | None = None,
    operating_point: str | None = None,
    threshold: float | None = None,
    site_profile: Name | None = None,
    device: str = "auto",
    workers: int | None = None,
    batch_size: int | None = None,
    settle: float = DEFAULT_SETTLE_SECONDS,
    identify: bool = False,
    id_tags: Sequence[str] = (),
    thumbnails: bool = False,
    exclude: Sequence[str] = (),
    language: str = DEFAULT_LANGUAGE,
    prevalence: float | None = None,
    viewer_url: str | None = None,
    parquet: bool = False,
    progress: Callable[[int, int | None], None] | None = None,
) -> ScoredFolder:
    """Score folders and files, and write the report, as `cxr-edge score` does.

    What an earlier run has scored with the same model and settings is not scored again. A run that
    is interrupted goes on when the same call is made again.

    Args:
        inputs: a folder, walked recursively, a file, or several of them.
        model: as in `load_model`.
        out: new folder for the report, or URL; `reports/<UTC time>` where none is given.
        state: folder of the ledger, on a local disk; where none is given, one of the user's own for
            each set of `inputs`.
        operating_point: as in `load_model`.
        threshold: as in `load_model`.
        site_profile: as in `load_model`.
        device: as in `load_model`.
        workers: decoder processes; as many as there are usable cores where none is given.
        batch_size: films in the network at once; as many as suit the device where none is given.
        settle: seconds that a file must have been left alone to count as complete; 0 trusts all.
        identify: as in `load_model`, for each row.
        id_tags: as in `load_model`.
        thumbnails: whether the page shows films: pixels of patients.
        exclude: patterns of files and folders that get no row, as of `fnmatch`.
        language: of the page: `en`, `de`, `es` or `fr`.
        prevalence: share of pneumonias among the site's films: the page says what a flag is worth.
        viewer_url: template that makes the rows of the page links, such as
            `https://viewer/{accession_number}`; needs `identify`.
        parquet: whether the rows are written as `triage.parquet` too; needs the extra `parquet`.
        progress: called now and then with the files that have a row, and with how many there are,
            for which folders are walked twice. What it raises ends the run.

    Raises:
        InputError: an argument, an input or a profile cannot be used.
        ModelRefusedError, MissingExtraError: as in `load_model`.
        DeviceError: as in `load_model`, or the device fails during the run.
        DecoderError: no process that decodes films can be started.
        StateBusyError, StateError: another run holds the ledger, or it cannot be used.
        ReportError: the report could not be written; the scores are safe.
    """
    paths = _paths(inputs)
    job = ScoreJob(
        inputs=paths,
        model=os.fspath(model),
        out=None if out is None else place_of(os.fspath(out)),
        state=_path(state),
        operating_point=operating_point,
        threshold=threshold,
        site_profile=_path(site_profile),
        device=device,
        workers=workers,
        batch_size=batch_size,
        settle=settle,
        identify=identify,
        id_tags=tuple(id_tags),
        thumbnails=thumbnails,
        exclude=tuple(exclude),
        language=language,
        prevalence=prevalence,
        viewer_url=viewer_url,
        parquet=parquet,
        command=("cxr_edge.score_folder", *paths),
    )
    return _scored(job, _Caller(progress))


def _scored(job: ScoreJob, observer: Observer) -> ScoredFolder:
    with Decoders() as decoders:
        decoders.prepare()
        night = run(job, decoders, observer)
    context = night.report.context
    return ScoredFolder(context.run_id, night.out, night.state, night.report.counts, context)


def _paths(inputs: Name | Iterable[Name]) -> tuple[str, ...]:
    names = [inputs] if isinstance(inputs, str | os.PathLike) else inputs
    return tuple(os.fspath(name) for name in names)


def _path(name: Name | None) -> Path | None:
    return None if name is None else Path(name)


@dataclass(frozen=True)
class _Caller(Observer):
    """The caller as an observer: a callback for progress, a logger for messages."""

    callback: Callable[[int, int | None], None] | None

    @property
    def wants_total(self) -> bool:
        """Count first for a callback."""
        return self.callback is not None

    def progress(self, total: int | None) -> Progress:
        """Call back, or only count."""
        return Progress() if self.callback is None else _Calls(self.callback, total)

    def note(self, message: str) -> None:
        """Log it."""
        _log.info("%s", message)

    def warn(self, message: str, tip: str = "") -> None:
        """Log it."""
        _log.warning("%s", f"{message} ({tip})" if tip else message)


class _Calls(Progress):
    """Counts files and calls back."""

    def __init__(self, callback: Callable[[int, int | None], None], total: int | None) -> None:
        self._callback = callback
        self._total = total

    def recorded(self, files: int) -> None:
        """Count, then call."""
        super().recorded(files)
        self._callback(self.done, self._total)
