"""A model on its device and what runs films through it, under the eyes of an observer."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass

from cxr_edge.decoders.pool import Workers
from cxr_edge.decoders.start import Decoders
from cxr_edge.engines.chunks import Distributed
from cxr_edge.engines.forward_passes import Networks
from cxr_edge.engines.local import Local
from cxr_edge.engines.protocol import Engine
from cxr_edge.engines.worker import FILMS_PER_PASS, GateKit, Kit, Provenance
from cxr_edge.errors import RunInterruptedError
from cxr_edge.intake.ahead import ahead
from cxr_edge.intake.prepared import IntakeSettings
from cxr_edge.intake.settle import SettleRule
from cxr_edge.ledger.run import Run
from cxr_edge.model.catalog import ModelChoice
from cxr_edge.runtime import Runner
from cxr_edge.runtime.batches import FellBack, default_batch_size, passes_at_once
from cxr_edge.runtime.scope import ScopeGate
from cxr_edge.scoring.observer import Observer
from cxr_edge.scoring.page_films import illustrate
from cxr_edge.scoring.scorer import Scorer
from cxr_edge.support.cores import usable_cores
from cxr_edge.types import FoundFile, Picture


@dataclass(frozen=True)
class Work:
    """Resources that a run may use.

    Attributes:
        workers: decoder processes; None for as many as there are cores.
        batch_size: films in the network at once; None for as many as suit the device.
        identity_fields: of headers, which say whom films are of; none unless asked for.
        on_cluster: whether the Ray cluster that was joined reads and scores; `workers` are then
            for each of its cores.
    """

    workers: int | None = None
    batch_size: int | None = None
    identity_fields: tuple[str, ...] = ()
    on_cluster: bool = False


@dataclass(frozen=True)
class Pipeline:
    """The way from files to rows, and from rows to pictures.

    Attributes:
        scope: the gate beside the classifier, where one ships.
        content: the classifier's file, which a cluster is sent.
    """

    choice: ModelChoice
    runner: Runner
    work: Work
    observer: Observer
    decoders: Decoders | None = None
    scope: ScopeGate | None = None
    content: bytes = b""

    def score(
        self, files: Iterable[FoundFile], run: Run, settle: SettleRule, total: int | None
    ) -> int:
        """One row per file in the ledger.

        Args:
            files: read lazily.
            run: where the rows go.
            settle: when a file counts as complete.
            total: how many files there are, where somebody has counted.

        Returns:
            How many had their row from an earlier run.

        Raises:
            RunInterruptedError: a signal asked to stop; what is scored is recorded.
        """
        with (
            self.observer.stop_request() as stop,
            self._engine() as engine,
            self.observer.progress(total) as progress,
        ):
            fields = self.work.identity_fields
            scorer = Scorer(engine, run, settle, stop, progress, fields)
            complete = scorer.score(ahead(files, stop))
        if not complete:
            raise RunInterruptedError(stop.signal_number, progress.done)
        return progress.known

    def _engine(self) -> AbstractContextManager[Engine]:
        return self._cluster() if self.work.on_cluster else self._this_machine()

    @contextmanager
    def _this_machine(self) -> Iterator[Engine]:
        self._note_many_workers()
        with self._workers(self._settings()) as workers:
            yield Local(Networks(self.runner, self.scope), workers, *self._batches())

    @contextmanager
    def _cluster(self) -> Iterator[Engine]:
        from cxr_edge.engines.ray_pool import RayPool

        networks = Networks(self.runner, self.scope)
        provenance = Provenance.of(self.choice, networks)
        with RayPool(self._kit(), provenance, self.observer.warn) as pool:
            engine = Distributed(pool)
            yield engine
            for line in (*pool.lines(), f"{engine.twice} films were handed out twice"):
                self.observer.note(line)
        if self.decoders is not None:
            self.decoders.sandbox = pool.sandbox

    def _kit(self) -> Kit:
        """Kit for a worker of a cluster; its device is the one that this machine began on."""
        return Kit(
            choice=self.choice,
            content=self.content,
            device=self.runner.device,
            settings=self._settings(),
            decoders=self.work.workers or 1,
            films_per_pass=self.work.batch_size or FILMS_PER_PASS,
            gate=None if self.scope is None else GateKit.of(self.scope),
        )

    def _note_many_workers(self) -> None:
        """Warn of more workers than cores; they are started, as reading may wait for a share."""
        workers, cores = self.work.workers or 0, usable_cores()
        if workers > cores:
            self.observer.note(f"{workers} workers on {cores} usable cores")

    def _batches(self) -> tuple[int, int]:
        """Films per forward pass, and how many passes are under way at once."""
        device = self.runner.device
        films = self.work.batch_size or default_batch_size(device)
        passes = passes_at_once(films, device)
        return films // passes, passes

    def pictures(self, films: Mapping[str, FoundFile]) -> dict[str, Picture]:
        """Pictures of scored films by sha256, of those that can still be read.

        Raises:
            DeviceError: the network fails.
            RunInterruptedError: a signal asked to stop.
        """
        settings = self._settings(view=True)
        with self.observer.stop_request() as stop, self._workers(settings) as workers:
            pictures = illustrate(films, workers, self.runner, stop)
            if stop():
                raise RunInterruptedError(stop.signal_number)
            return pictures

    def _settings(self, *, view: bool = False) -> IntakeSettings:
        scope_size = self.scope.size if self.scope and not view else 0
        fields = self.work.identity_fields
        return IntakeSettings.of(self.choice.spec, fields, view=view, scope_size=scope_size)

    def _workers(self, settings: IntakeSettings) -> Workers:
        return Workers(self.work.workers or usable_cores(), settings, self.decoders)


def telling_of_cpu(observer: Observer) -> FellBack:
    """Make what `load` calls: the GPU that somebody counts on is not what scores."""
    return lambda error: observer.warn(f"scoring continues on the CPU: {error}", error.tip)
