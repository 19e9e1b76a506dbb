"""A Ray cluster as a pool of workers.

Ray starts processes, carries messages and notices deaths. Each worker is an actor with one core on
a node that is named, so that a node whose rows would differ is left out as a whole. Nothing is kept
in the object store: an actor's constructor gets nothing, and its model comes in small pieces.
"""

from __future__ import annotations

import hashlib
import pickle
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import ray
from ray.exceptions import RayError, RayTaskError
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from cxr_edge.engines.chunks import Chunk, Ended, Row
from cxr_edge.engines.worker import Answer, Kit, Provenance, Worker
from cxr_edge.errors import CxrEdgeError, DeviceError
from cxr_edge.intake.ahead import is_gone
from cxr_edge.intake.prepare import refused
from cxr_edge.support.text import display_name
from cxr_edge.types import Reason, Root

_PIECE_BYTES = 90_000  # Ray keeps what is larger than 100 kB in the object store
_CHUNKS_PER_WORKER = 2  # one that is scored, one that waits: nobody waits for the network
_SECONDS_BETWEEN_LOOKS = 5.0  # for nodes that came
_SECONDS_WITHOUT_WORKERS = 30.0  # before it is said; a start takes some seconds
_STARTS_TRIED = 3
_CONTROL = "control"  # what is called in it does not wait for a chunk

Warn = Callable[[str, str], None]


@dataclass(eq=False)
class _Node:
    """A machine of the cluster.

    Attributes:
        name: for people.
        slots: workers that it has room for.
        workers: those that it has.
        failed_starts: in a row.
        films: that it has scored.
        began: when it was given the first film, on the monotonic clock.
        ended: when it answered last.
    """

    name: str
    slots: int
    workers: int = 0
    failed_starts: int = 0
    is_refused: bool = False
    films: int = 0
    began: float = 0.0
    ended: float = 0.0

    def line(self) -> str:
        """Films and rate of this node, for people."""
        seconds = max(self.ended - self.began, 1e-9)
        return f"node {self.name}: {self.films} films, {self.films / seconds:.1f} a second"


@dataclass(eq=False)
class _Worker:
    """An actor on its way, or at work.

    Attributes:
        actor: Ray's handle.
        node: where it is.
        on_answer: what to do with the answer that it owes, before it takes chunks.
        chunks: that it was given, oldest first, by Ray's reference to the answer.
    """

    actor: Any
    node: _Node
    on_answer: Callable[[_Worker, Any], None] | None
    chunks: dict[Any, Chunk] = field(default_factory=dict)


class RayPool:
    """Workers on every node of the cluster that this process has joined; a context manager.

    Attributes:
        sandbox: what protects the worst protected node from its decoders.
    """

    def __init__(self, kit: Kit, provenance: Provenance, warn: Warn) -> None:
        """Start nothing before the first film.

        Args:
            kit: what workers score with.
            provenance: what must be the same for each.
            warn: told, with a tip, about nodes that are not used, and of a long wait.
        """
        packed = pickle.dumps(kit)
        starts = range(0, len(packed), _PIECE_BYTES)
        self._pieces = [packed[start : start + _PIECE_BYTES] for start in starts]
        self._sha256 = hashlib.sha256(packed).hexdigest()
        self._on_gpu = kit.device != "cpu"
        self._provenance = provenance
        self._warn = warn
        self._class = ray.remote(concurrency_groups={_CONTROL: 1})(Worker)
        self._nodes: dict[str, _Node] = {}
        self._owed: dict[Any, _Worker] = {}  # by reference to an answer
        self._workers: list[_Worker] = []
        self._looked = 0.0
        self._last_worked = 0.0  # when a worker was there, or the first was asked for
        self._has_said_to_wait = False
        self.sandbox = ""

    def __enter__(self) -> RayPool:
        """Start nothing yet."""
        return self

    def __exit__(self, *_: object) -> None:
        """Kill every worker, whatever it is doing."""
        for worker in self._workers:
            ray.kill(worker.actor)

    def lines(self) -> list[str]:
        """Lines for people, one for each node."""
        return [node.line() for node in self._nodes.values() if node.films]

    @property
    def under_way(self) -> int:
        """See `chunks.Pool`."""
        return sum(len(worker.chunks) for worker in self._workers)

    def has_place(self) -> bool:
        """See `chunks.Pool`."""
        self._look_for_nodes()
        return self._least_busy() is not None

    def begin(self, chunk: Chunk) -> None:
        """See `chunks.Pool`."""
        worker = self._least_busy()
        if worker is None:
            raise RuntimeError("no worker has place")
        reference = worker.actor.score.remote(chunk)
        worker.chunks[reference] = chunk
        worker.node.began = worker.node.began or time.monotonic()
        self._owed[reference] = worker

    def ended(self, seconds: float) -> Iterator[Ended]:
        """See `chunks.Pool`."""
        self._look_for_nodes()
        if not self._owed:
            time.sleep(seconds)
            return
        owed = [*self._owed]
        ray.wait(owed, num_returns=1, timeout=seconds)
        answered, _ = ray.wait(owed, num_returns=len(owed), timeout=0)
        for reference in answered:
            yield from self._taken(reference)

    def stop(self) -> None:
        """See `chunks.Pool`."""
        for worker in self._workers:
            worker.actor.stop.options(concurrency_group=_CONTROL).remote()

    def _least_busy(self) -> _Worker | None:
        ready = [
            worker
            for worker in self._workers
            if worker.on_answer is None and len(worker.chunks) < _CHUNKS_PER_WORKER
        ]
        return min(ready, key=lambda each: len(each.chunks), default=None)

    # Nodes

    def _look_for_nodes(self) -> None:
        """Start workers where there is room, now and then: nodes come and go.

        Raises:
            DeviceError: there are nodes, and all are refused.
        """
        if self._looked and time.monotonic() - self._looked < _SECONDS_BETWEEN_LOOKS:
            return
        self._looked = time.monotonic()
        alive = {each["NodeID"]: each for each in ray.nodes() if each["Alive"]}
        for identity, facts in alive.items():
            self._nodes.setdefault(identity, self._node(identity, facts))
        usable = {key: self._nodes[key] for key in alive if not self._nodes[key].is_refused}
        if not any(node.slots for node in usable.values()):
            raise DeviceError(
                "no node of the cluster can be used",
                tip="the warnings above say why; a node without free cores is not used",
            )
        for identity, node in usable.items():
            while node.workers < node.slots:
                self._start(identity, node)
        self._say_if_it_waits()

    def _say_if_it_waits(self) -> None:
        """Say once that no worker is there: Ray lets them wait for a core without a word."""
        now = time.monotonic()
        is_there = any(worker.on_answer != self._compared for worker in self._workers)
        if is_there or not self._last_worked:
            self._last_worked = now
        elif now - self._last_worked > _SECONDS_WITHOUT_WORKERS and not self._has_said_to_wait:
            self._has_said_to_wait = True
            what = f"for {_SECONDS_WITHOUT_WORKERS:.0f} seconds the cluster has started no worker"
            tip = "the run waits; ray status says what else has the cores"
            self._warn(f"{what}: it seems to have no free core", tip)

    def _node(self, identity: str, facts: dict[str, Any]) -> _Node:
        name = display_name(f"{facts['NodeManagerHostname']} ({identity[:6]})")
        return _Node(name, int(facts["Resources"].get("GPU" if self._on_gpu else "CPU", 0)))

    def _start(self, identity: str, node: _Node) -> None:
        actor = self._class.options(
            num_cpus=1,
            num_gpus=int(self._on_gpu),
            max_restarts=0,
            scheduling_strategy=NodeAffinitySchedulingStrategy(identity, soft=False),
        ).remote()
        worker = _Worker(actor, node, self._compared)
        node.workers += 1
        self._workers.append(worker)
        self._owed[actor.software.remote()] = worker

    def _refuse(self, node: _Node, why: str, tip: str = "") -> None:
        """Leave a node out from now on, and say so once."""
        if not node.is_refused:
            node.is_refused = True
            self._looked = 0.0
            self._warn(f"node {node.name} is not used: {why}", tip)

    def _end(self, worker: _Worker, *, is_refused: bool = False) -> list[Ended]:
        """Let a worker go; what it was given is to be given to others."""
        ray.kill(worker.actor)
        worker.node.workers -= 1
        self._workers.remove(worker)
        self._owed = {key: each for key, each in self._owed.items() if each is not worker}
        self._looked = 0.0
        return [Ended(chunk, None, is_refused) for chunk in worker.chunks.values()]

    # Answers

    def _taken(self, reference: Any) -> list[Ended]:
        """Take an answer; one may have been taken back with its worker meanwhile."""
        worker = self._owed.pop(reference, None)
        if worker is None:
            return []
        try:
            answer = ray.get(reference)
        except RayTaskError as error:
            cause = type(error.cause).__name__
            raise CxrEdgeError(f"a worker on node {worker.node.name} failed: {cause}") from error
        except RayError as error:
            return self._died(worker, error)
        if worker.on_answer is not None:
            worker.on_answer(worker, answer)
            return [] if not worker.node.is_refused else self._end(worker)
        return self._scored(worker, worker.chunks.pop(reference), answer)

    def _died(self, worker: _Worker, error: RayError) -> list[Ended]:
        if worker.on_answer is not None:
            worker.node.failed_starts += 1
            if worker.node.failed_starts == _STARTS_TRIED:
                first = display_name(str(error).strip().partition("\n")[0])
                tip = "is this version of cxr-edge installed there, and memory left?"
                self._refuse(worker.node, f"no worker can be started there: {first}", tip)
        return self._end(worker)

    def _compared(self, worker: _Worker, software: dict[str, str]) -> None:
        """Send the kit to a worker with the same software."""
        if self._differs(worker.node, software):
            return
        for piece in self._pieces:
            worker.actor.take.remote(piece)
        worker.on_answer = self._begun
        self._owed[worker.actor.begin.remote(self._sha256)] = worker

    def _begun(self, worker: _Worker, answer: Provenance | str) -> None:
        """Give films to a worker whose networks have passed, and whose rows will be the same."""
        if isinstance(answer, str):
            self._refuse(worker.node, answer)
        elif not self._differs(worker.node, answer.versions):
            if answer.settings_sha256 != self._provenance.settings_sha256:
                self._refuse(worker.node, "its cxr-edge has other rules for films")
            worker.on_answer = None
            worker.node.failed_starts = 0

    def _differs(self, node: _Node, versions: dict[str, str]) -> bool:
        ours = self._provenance.versions
        other = [key for key, value in versions.items() if ours.get(key) != value]
        if other:
            pairs = (f"{key} {versions[key]}, here {ours.get(key, 'none')}" for key in other)
            tip = "rows would differ; install the same there"
            self._refuse(node, "; ".join(map(display_name, pairs)), tip)
        return bool(other)

    def _scored(self, worker: _Worker, chunk: Chunk, answer: Answer) -> list[Ended]:
        if answer.failure:
            raise DeviceError(f"node {worker.node.name}: {answer.failure}")
        worker.node.films += len(answer.rows)
        worker.node.ended = time.monotonic()
        self.sandbox = _weaker(self.sandbox, answer.sandbox)
        if problem := answer.refusal or _not_mounted(answer.unseen):
            self._refuse(worker.node, problem)
            rest = self._end(worker, is_refused=True)
            return [Ended(chunk, answer.rows, is_refused=True), *rest]
        return [Ended(chunk, [*answer.rows, *_missing(chunk, answer.unseen)])]


def _not_mounted(unseen: tuple[Root, ...]) -> str:
    """Objection to a node that does not see folders; empty where they are gone here, too."""
    for root in unseen:
        if not is_gone(root):
            folder = display_name(root.path)
            return f"it does not see the folder {folder}, which must be mounted there"
    return ""


def _missing(chunk: Chunk, gone: tuple[Root, ...]) -> list[Row]:
    """Rows of films whose folders are gone, as one machine gives them."""
    return [
        (place, refused(file, Reason.MISSING).result, None)
        for place, file in enumerate(chunk.files)
        if file.root in gone
    ]


def _weaker(one: str, other: str) -> str:
    """The shorter of two lists of protections; the other one where nothing has been decoded."""
    return min(filter(None, (one, other)), key=len, default="")
