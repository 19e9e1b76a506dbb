"""Results of a run: for each film that is new or changed, the objects its study gets.

    rows -> headers, read in decoder processes -> answers -> reports, captures, key objects, HL7

A film without a DICOM header has no study to file a result in, and gets none.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from cxr_edge.decoders.pool import Workers
from cxr_edge.decoders.start import Decoders
from cxr_edge.errors import ModelRefusedError, RunInterruptedError, StateError
from cxr_edge.hospital.answer import Algorithm, Answer
from cxr_edge.hospital.capture import capture_of
from cxr_edge.hospital.drawing import draw
from cxr_edge.hospital.hl7 import message_of
from cxr_edge.hospital.key_object import key_object_of
from cxr_edge.hospital.objects import DicomObject, finished, series_uid
from cxr_edge.hospital.report_sr import report_of
from cxr_edge.hospital.result_files import ResultFiles
from cxr_edge.hospital.results_job import ResultsJob, Wanted
from cxr_edge.hospital.source import Source, is_film
from cxr_edge.images.dicom_library import Dataset
from cxr_edge.images.own_result import own_uid
from cxr_edge.intake.prepared import IntakeSettings, Scope
from cxr_edge.ledger.made_reports import MadeReport, MadeReports, film_key
from cxr_edge.ledger.owed import OwedResults
from cxr_edge.ledger.run import STUDY, Run
from cxr_edge.ledger.runs import open_ledger, read_ledger
from cxr_edge.ledger.state import held_in_turn
from cxr_edge.model.catalog import ModelChoice, choose_model
from cxr_edge.report.context import RecordedRows, RunContext, recorded_run
from cxr_edge.runtime import Device, load
from cxr_edge.runtime.loading import proven
from cxr_edge.scoring.observer import Observer
from cxr_edge.scoring.pipeline import Pipeline, Work, telling_of_cpu
from cxr_edge.support.cores import usable_cores
from cxr_edge.triage import TriageRow
from cxr_edge.types import Band, FoundFile, Result, Status

_HEADERS = IntakeSettings(1, Scope((0.0, 0.0), ()), source=True)
_FILMS_AT_ONCE = 128  # whose pictures are in memory


@dataclass
class Made:
    """Counts of a run's films by outcome.

    Attributes:
        films: that got a result.
        studies: that these belong to.
        files: objects by kind, and `hl7` for messages.
        without_header: films without a DICOM header, or whose header is not one of a radiograph.
        not_repeatable: films whose header identifies patient, study or film by invalid values.
        unreadable: files that have gone or changed since they were scored.
        earlier: rows that had their result before this run, or were found to get none.
    """

    films: int = 0
    studies: int = 0
    files: dict[str, int] = field(default_factory=dict)
    without_header: int = 0
    not_repeatable: int = 0
    unreadable: int = 0
    earlier: int = 0

    def count(self, kind: str) -> None:
        """Count one more file."""
        self.files[kind] = self.files.get(kind, 0) + 1


@dataclass(frozen=True)
class _Film:
    """A film that gets a result.

    Attributes:
        content: hash of everything in its report.
        before: the report that it replaces; None for a first one.
        number: of the answer, from 1.
    """

    sha256: str
    source: Source
    answer: Answer
    content: str
    before: MadeReport | None
    number: int


def make_results(job: ResultsJob, decoders: Decoders, observer: Observer) -> Made:
    """Write the results of one finished run.

    Args:
        job: what is asked for.
        decoders: where decoder processes come from.
        observer: gets warnings, and is asked whether to stop.

    Raises:
        CxrEdgeError: see the tree in `errors`. What was written stays valid; the same job writes
            the rest when it is run again.
    """
    files = ResultFiles(job.out, job.wanted.hl7)
    with read_ledger(job.state) as ledger:
        recorded, context = recorded_run(ledger, job.run)
        choice = _model(job, context) if job.wanted.secondary_capture else None
        files.make()
        before, owed = MadeReports(ledger.connection), OwedResults.of(recorded)
        work = _Work(recorded, context, job.wanted, files, before, owed)
        films = list(work.films(decoders, observer))
        work.write_objects(films)
        if choice is not None:
            work.write_captures(films, _pipeline(choice, decoders, observer))
        work.write_messages(films)
    _remember(work, job, observer)
    return work.made


@dataclass(frozen=True)
class _Work:
    """One run on its way to results.

    Attributes:
        before: reports that were made before.
        owed: results that this run and earlier ones owe.
        reports: made by this job.
        keys: of films by sha256 of the file, for headers that were read; empty where the header
            allows no result.
    """

    recorded: Run
    context: RunContext
    wanted: Wanted
    files: ResultFiles
    before: MadeReports
    owed: OwedResults
    reports: list[MadeReport] = field(default_factory=list)
    keys: dict[str, str] = field(default_factory=dict)
    made: Made = field(default_factory=Made)

    def films(self, decoders: Decoders, observer: Observer) -> Iterator[_Film]:
        """Films whose header names their study, in reading order."""
        rows = self._rows()
        headers = _headers([self.recorded.found(sha256) for sha256 in rows], decoders, observer)
        algorithm = Algorithm.of(self.context)
        for sha256, row in rows.items():
            if sha256 not in headers:
                self.made.unreadable += 1
                continue
            source = Source.of(headers[sha256])
            self.keys[sha256] = _key(source) if source else ""
            answer = Answer.of(row, algorithm)
            if source is None:
                self._count_unfit(headers[sha256])
            elif self._is_answered(row.result, source, answer):
                self.made.earlier += 1
            else:
                yield self._film(sha256, source, answer)

    def _count_unfit(self, header: Mapping[str, str]) -> None:
        if is_film(header):
            self.made.not_repeatable += 1
        else:
            self.made.without_header += 1

    def _film(self, sha256: str, source: Source, answer: Answer) -> _Film:
        content = own_uid(self.wanted.sr, repr(answer), *map(str, source.fields.items()))
        before = self.before.before(_key(source), self.context.run_id, content)
        return _Film(sha256, source, answer, content, before, self.before.count_to(before) + 1)

    def _rows(self) -> dict[str, TriageRow]:
        """Rows that get a result if their header can be read, by sha256: each content once."""
        rows: dict[str, TriageRow] = {}
        for row in RecordedRows(self.recorded, self.context.threshold):
            result = row.result
            if row.band is Band.OTHER or result.status is Status.DEFERRED:
                continue
            if not self._is_due(result):
                self.made.earlier += 1
            elif not result.sha256:
                self.made.unreadable += 1
            else:
                rows.setdefault(result.sha256, row)
        return rows

    @property
    def _is_by_film(self) -> bool:
        """Whether the reports that were made decide if a film has its result, and not its row.

        In the run of a study every row is new, and a killed run may have made no reports.
        """
        return self.recorded.kind == STUDY and not self.wanted.every

    def _is_due(self, result: Result) -> bool:
        """Whether a row gets a result, as far as that is known without its header."""
        if self.wanted.every or self._is_changed(result):
            return True
        if self._is_by_film:
            return not (result.sha256 and self.before.has_answered(result.sha256))
        return result.new or self.owed.was_new(result.sha256)

    def _is_answered(self, result: Result, source: Source, answer: Answer) -> bool:
        """Whether a film had this result in other bytes, or before the ledger knew these.

        Of the same band: an archive that compresses moves a score by less. Other pixels under a
        UID that is known may be of another, and nobody would hear of it.
        """
        if not self._is_by_film or self._is_changed(result):
            return False
        last = self.before.last(_key(source))
        number = self.before.count_to(last)
        return last is not None and (
            last.series_uid == series_uid(source, answer, number, last.sop_class)
        )

    def _is_changed(self, result: Result) -> bool:
        """Whether the last night could not score what this one could, or the other way round."""
        before = self.owed.outcome_before(result.sha256) if result.sha256 else None
        return before is not None and before != (result.status, result.reason)

    def write_objects(self, films: Sequence[_Film]) -> None:
        """Write reports and key objects."""
        for film in films:
            self._keep_report(film)
            if self.wanted.key_object and film.answer.flagged:
                self._keep(key_object_of(film.source, film.answer), film)
        self.made.films = len(films)
        self.made.studies = len({film.source.study for film in films})

    def _keep_report(self, film: _Film) -> None:
        """Write a report; one that replaces an earlier report of the film names it."""
        source, before = film.source, film.before
        named = [_named(before, source)] if before else None
        made = self._keep(report_of(source, film.answer, self.wanted.sr, named), film)
        uids = (film.content, made.uid, made.series_uid, made.sop_class)
        predecessor = before.instance_uid if before else ""
        self.reports.append(MadeReport(_key(source), self.context.run_id, *uids, predecessor))

    def _keep(self, content: Dataset, film: _Film) -> DicomObject:
        made = finished(content, film.source, film.answer, film.number)
        self.files.keep(made)
        self.made.count(made.kind)
        return made

    def write_captures(self, films: Sequence[_Film], pipeline: Pipeline) -> None:
        """Write captures, some at a time; a film that has changed meanwhile gets none."""
        chosen = [film for film in films if self._is_captured(film.answer)]
        for start in range(0, len(chosen), _FILMS_AT_ONCE):
            some = {film.sha256: film for film in chosen[start : start + _FILMS_AT_ONCE]}
            found = {sha256: self.recorded.found(sha256) for sha256 in some}
            for sha256, picture in pipeline.pictures(found).items():
                film = some[sha256]
                pixels = draw(picture, film.answer, pipeline.choice.spec)
                self._keep(capture_of(film.source, film.answer, pixels), film)

    def _is_captured(self, answer: Answer) -> bool:
        scored = answer.probability is not None
        return scored if self.wanted.secondary_capture == "all" else bool(answer.flagged)

    def write_messages(self, films: Sequence[_Film]) -> None:
        """Write one HL7 message for each study and request, where asked for."""
        if self.files.hl7 is None:
            return
        studies: dict[tuple[str, ...], list[tuple[Source, Answer]]] = {}
        for film in films:
            ordered = (*film.source.study, film.source["AccessionNumber"])
            studies.setdefault(ordered, []).append((film.source, film.answer))
        moment = f"{datetime.fromisoformat(self.context.started_utc):%Y%m%d%H%M%S}"
        for study in studies.values():
            self.files.hand_over(message_of(study, moment))
            self.made.count("hl7")


def _key(source: Source) -> str:
    return film_key(source["SOPInstanceUID"], *source.study)


def _named(before: MadeReport, source: Source) -> Dataset:
    """Reference to a report from the one that replaces it."""
    named = Dataset()
    named.SOPClassUID, named.SOPInstanceUID = before.sop_class, before.instance_uid
    named.SeriesInstanceUID = before.series_uid
    named.StudyInstanceUID = source["StudyInstanceUID"]
    return named


def _remember(work: _Work, job: ResultsJob, observer: Observer) -> None:
    """Record the reports that were made, after waiting for the ledger's holder."""
    if not (work.keys or work.owed.first):
        return
    try:
        waiting = held_in_turn(job.state, ["cxr-edge", "results"], observer.note)
        with waiting, open_ledger(job.state) as ledger:
            MadeReports(ledger.connection).record(work.reports, work.keys)
            work.owed.settle(ledger.connection)
    except StateError as error:
        observer.warn(f"the ledger does not know that results were written: {error}", error.tip)


def _headers(
    files: Sequence[FoundFile], decoders: Decoders, observer: Observer
) -> dict[str, dict[str, str]]:
    """Headers by sha256 of the files as they are now."""
    with (
        observer.stop_request() as stop,
        Workers(usable_cores(), _HEADERS, decoders) as workers,
    ):
        headers = {
            prepared.result.sha256: prepared.result.identity
            for _, prepared in workers.identify(files, stop)
            if prepared.result.sha256
        }
        if stop():
            raise RunInterruptedError(stop.signal_number)
    return headers


def _model(job: ResultsJob, context: RunContext) -> ModelChoice:
    """The model that scored, for its evidence maps: those of another would not match the scores.

    Raises:
        ModelRefusedError: it is no longer there.
    """
    choice = choose_model(job.model or context.model_file)
    if choice.file.sha256 != context.model_sha256:
        raise ModelRefusedError(
            f"{choice.path.name} is not the file that scored run {context.run_id}",
            tip="give that file with --model, or leave --secondary-capture out",
        )
    return choice


def _pipeline(choice: ModelChoice, decoders: Decoders, observer: Observer) -> Pipeline:
    content = proven(choice)
    with observer.signals_at_once():
        runner = load(choice, Device("cpu"), telling_of_cpu(observer), content)
    return Pipeline(choice, runner, Work(), observer, decoders)
