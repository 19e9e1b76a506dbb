"""One worker on a node of a cluster: the local engine, with a model that the driver sent.

It knows nothing of what brings it chunks of films, and answers with rows, never with pixels.
"""

from __future__ import annotations

import hashlib
import itertools
import pickle
import threading
from collections.abc import Iterator
from dataclasses import dataclass, replace

from cxr_edge.decoders.pool import Workers
from cxr_edge.decoders.start import Decoders
from cxr_edge.engines.chunks import Chunk, Row
from cxr_edge.engines.forward_passes import Networks
from cxr_edge.engines.local import Local
from cxr_edge.engines.provenance import settings_hash, software, versions
from cxr_edge.errors import CxrEdgeError, DecoderError, MissingExtraError
from cxr_edge.intake.prepared import IntakeSettings
from cxr_edge.intake.storage import check
from cxr_edge.ledger.rows import Entry
from cxr_edge.model.catalog import ModelChoice, ScopeChoice
from cxr_edge.runtime import Device, start
from cxr_edge.runtime.loading import pinned_bytes
from cxr_edge.runtime.scope import ScopeGate, start_scope
from cxr_edge.types import FoundFile, Root, Url

# A worker has one core: one pass computes while the films of the next one are decoded.
FILMS_PER_PASS = 8


@dataclass(frozen=True)
class GateKit:
    """A scope gate to be sent; `children_only` is that of `ScopeGate`."""

    choice: ScopeChoice
    content: bytes
    children_only: bool

    @classmethod
    def of(cls, gate: ScopeGate) -> GateKit:
        """Pack a loaded gate; ModelRefusedError where its file has changed since."""
        choice = gate.choice
        return cls(choice, pinned_bytes(choice.path, choice.file), gate.children_only)

    def gate(self) -> ScopeGate:
        """Load and self-test it; CxrEdgeError where it does not pass."""
        runner = start_scope(self.content, self.choice.format, self.choice.spec)
        return ScopeGate(self.choice, runner, self.children_only)


@dataclass(frozen=True)
class Kit:
    """Model, settings and limits that a worker scores with, as its driver has them.

    Attributes:
        choice: the classifier's spec and the one of its files that is run.
        content: bytes of that file.
        device: `cpu` or `cuda`.
        settings: of the decoders.
        decoders: decoder processes.
        films_per_pass: films in the network at once.
        gate: the scope gate beside the classifier, where there is one.
    """

    choice: ModelChoice
    content: bytes
    device: str
    settings: IntakeSettings
    decoders: int = 1
    films_per_pass: int = FILMS_PER_PASS
    gate: GateKit | None = None

    def networks(self) -> Networks:
        """Load and self-test both networks; CxrEdgeError where they do not pass."""
        kind, device = self.choice.format, Device.parse(self.device)
        runner = start(self.content, kind, self.choice.spec, device)
        return Networks(runner, None if self.gate is None else self.gate.gate())


@dataclass(frozen=True)
class Provenance:
    """Everything that decides a score besides the bytes of a film, see `provenance`.

    Attributes:
        versions: of software, and the instruction sets.
        settings_sha256: over those and all the rest.
    """

    versions: dict[str, str]
    settings_sha256: str

    @classmethod
    def of(cls, choice: ModelChoice, networks: Networks) -> Provenance:
        """Provenance of loaded networks."""
        runner, scope = networks.runner, networks.scope
        return cls(versions(runner), settings_hash(choice, runner, scope))


@dataclass(frozen=True)
class Answer:
    """Outcome of a chunk; at most one of `refusal` and `failure` is set.

    Attributes:
        rows: of its films; fewer after a stop.
        sandbox: protections around its decoders.
        unseen: folders that this node does not see; films below them have no rows.
        refusal: why this node can score nothing.
        failure: why the network fails.
    """

    rows: list[Row]
    sandbox: str = ""
    unseen: tuple[Root, ...] = ()
    refusal: str = ""
    failure: str = ""


class Worker:
    """Takes a kit in pieces, then chunks of films, one at a time; only `stop` may come between."""

    def __init__(self) -> None:
        """Load nothing yet: the versions are compared first."""
        self._pieces: list[bytes] = []
        self._stopped = threading.Event()
        self._engine: Local | None = None
        self._decoders = Decoders()

    def software(self) -> dict[str, str]:
        """Versions of all software that could change a score, but for the inference library."""
        return software()

    def take(self, piece: bytes) -> None:
        """Add to the kit."""
        self._pieces.append(piece)

    def begin(self, sha256: str) -> Provenance | str:
        """Unpack the kit and load its networks.

        Returns:
            What decides a score here; or why the networks cannot be used.
        """
        packed = b"".join(self._pieces)
        self._pieces.clear()
        if hashlib.sha256(packed).hexdigest() != sha256:
            return "the model did not arrive whole"
        kit: Kit = pickle.loads(packed)  # the sender is trusted: it may run any code here
        try:
            networks = kit.networks()
        except CxrEdgeError as error:
            return str(error)
        workers = Workers(kit.decoders, kit.settings, self._decoders)
        self._engine = Local(networks, workers, kit.films_per_pass, kit.decoders)
        return Provenance.of(kit.choice, networks)

    def score(self, chunk: Chunk) -> Answer:
        """Score the films of a chunk, or read whose they are."""
        try:
            _check_urls(chunk.files)
            files, unseen = _seen_from_here(chunk.files)
            entries = self._identified(files) if chunk.header_only else self._scored(files)
            places = {file.path: place for place, file in enumerate(chunk.files)}
            rows = [(places[entry.file.path], entry.result, entry.stamp) for entry in entries]
        except (DecoderError, MissingExtraError) as error:
            return Answer([], refusal=str(error))
        except CxrEdgeError as error:
            return Answer([], failure=str(error))
        return Answer(rows, self._decoders.sandbox, unseen)

    def _scored(self, files: list[FoundFile]) -> Iterator[Entry]:
        groups = self._loaded.rows(files, lambda _: {}, self._stopped.is_set)
        return itertools.chain.from_iterable(groups)

    def _identified(self, files: list[FoundFile]) -> Iterator[Entry]:
        items = self._loaded.workers.identify(files, self._stopped.is_set)
        return (Entry(file, item.result, item.stamp) for file, item in items)

    @property
    def _loaded(self) -> Local:
        if self._engine is None:
            raise RuntimeError("films for a worker without a model")
        return self._engine

    def stop(self) -> None:
        """Finish the films under way, and begin no others."""
        self._stopped.set()

    def end(self) -> None:
        """End every process; they also end with a worker that is killed."""
        if self._engine is not None:
            self._engine.workers.__exit__()
        self._decoders.end()


def _check_urls(files: list[FoundFile]) -> None:
    """Check that this node has the libraries for URLs; MissingExtraError if not."""
    urls = (file.path for file in files if isinstance(file.path, Url))
    for url in {url.scheme: url for url in urls}.values():
        check(url)


def _seen_from_here(files: list[FoundFile]) -> tuple[list[FoundFile], tuple[Root, ...]]:
    """Files as found below the same folders on this node, where a share has another device number.

    Returns:
        Those whose folders are here, and folders that are not, or are other ones.
    """
    here = {file.root: _root_here(file.root) for file in files if file.root is not None}
    unseen = tuple(root for root, found in here.items() if found is None)
    seen = (file for file in files if file.root not in unseen)
    return [replace(file, root=file.root and here[file.root]) for file in seen], unseen


def _root_here(root: Root) -> Root | None:
    try:
        facts = root.path.stat(follow_symlinks=False)
    except OSError:
        return None
    return replace(root, device=facts.st_dev) if facts.st_ino == root.inode else None
