"""The pool's dealings with nodes, over a Ray that is made up: no process is started."""

from __future__ import annotations

import itertools
import types
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from cxr_edge.engines.chunks import Chunk, Distributed
from cxr_edge.engines.worker import Answer, Kit, Provenance
from cxr_edge.errors import DeviceError
from cxr_edge.ledger.rows import Entry
from cxr_edge.types import FoundFile, Reason, Result, Root, Status

pytest.importorskip("ray")
from cxr_edge.engines import ray_pool
from cxr_edge.engines.ray_pool import RayPool

OURS = Provenance({"cxr-edge": "1", "numpy": "2"}, "settings")


@dataclass
class FakeNode:
    """What a node's workers say.

    Attributes:
        score: what becomes of a chunk.
    """

    cores: int = 1
    software: dict[str, str] = field(default_factory=lambda: {"cxr-edge": "1", "numpy": "2"})
    begun: Any = OURS
    score: Callable[[Chunk], Any] = lambda chunk: Answer(
        [
            (place, Result(file.display, Status.SCORED, probability=0.5), None)
            for place, file in enumerate(chunk.files)
        ],
        "prison",
    )
    alive: bool = True


@dataclass(eq=False)
class FakeActor:
    """An actor whose methods answer at once."""

    ray: FakeRay
    node: FakeNode

    def __getattr__(self, method: str) -> Any:
        return types.SimpleNamespace(
            remote=lambda *arguments: self.ray.promised(self, method, arguments),
            options=lambda **_: types.SimpleNamespace(remote=lambda: None),
        )


def root(path: Path) -> Root:
    facts = path.stat()
    return Root(path, facts.st_dev, facts.st_ino)


def identity(name: str) -> str:
    """A node's number, as Ray demands it."""
    return name.encode().hex().ljust(56, "0")


class FakeRay:
    """So much of Ray as the pool uses; references are numbers."""

    def __init__(self, **nodes: FakeNode) -> None:
        self.named = nodes
        self.answers: dict[int, Any] = {}
        self.numbers = itertools.count(1)
        self.killed: list[FakeActor] = []

    def nodes(self) -> list[dict[str, Any]]:
        return [
            {
                "NodeID": identity(name),
                "Alive": node.alive,
                "NodeManagerHostname": name,
                "Resources": {"CPU": float(node.cores)},
            }
            for name, node in self.named.items()
        ]

    def remote(self, **_: Any) -> Any:
        def options(*, scheduling_strategy: Any, **_: Any) -> Any:
            named = {identity(name): node for name, node in self.named.items()}
            node = named[scheduling_strategy.node_id]
            return types.SimpleNamespace(remote=lambda: FakeActor(self, node))

        return lambda _: types.SimpleNamespace(options=options)

    def promised(self, actor: FakeActor, method: str, arguments: tuple[Any, ...]) -> int:
        number = next(self.numbers)
        given = getattr(actor.node, method, None)
        self.answers[number] = given(*arguments) if callable(given) else given
        if method == "begin":
            self.answers[number] = actor.node.begun
        return number

    def wait(self, owed: list[int], **_: Any) -> tuple[list[int], list[int]]:
        return owed, []

    def get(self, reference: int) -> Any:
        answer = self.answers[reference]
        if isinstance(answer, Exception):
            raise answer
        return answer

    def kill(self, actor: FakeActor) -> None:
        self.killed.append(actor)


@dataclass
class Made:
    entries: list[Entry]
    warnings: list[str]
    pool: RayPool
    engine: Distributed


@pytest.fixture
def made(kit: Kit, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Made]:
    def run(count: int = 100, below: Root | None = None, **nodes: FakeNode) -> Made:
        """A run; the first film lies below a folder of its own."""
        warnings: list[str] = []
        monkeypatch.setattr(ray_pool, "ray", FakeRay(**nodes))
        files = [FoundFile(Path(f"/in/{number}"), str(number)) for number in range(count)]
        files[0] = replace(files[0], root=below)
        with RayPool(kit, OURS, lambda message, tip: warnings.append(message)) as pool:
            engine = Distributed(pool)
            groups = engine.rows(files, lambda _: {}, lambda: False)
            entries = [entry for entries in groups for entry in entries]
            assert len({entry.file.path for entry in entries}) == len(entries) == count
            return Made(entries, warnings, pool, engine)

    return run


def test_a_cluster_without_a_free_core_is_said_once(
    made: Callable[..., Made], monkeypatch: pytest.MonkeyPatch
) -> None:
    """For the first few looks no worker gets one."""
    looks, wait = itertools.count(), FakeRay.wait
    monkeypatch.setattr(
        *(FakeRay, "wait"),
        lambda self, owed, **_: wait(self, owed) if next(looks) > 8 else ([], owed),
    )
    monkeypatch.setattr(ray_pool, "_SECONDS_WITHOUT_WORKERS", 0.0)
    monkeypatch.setattr(ray_pool, "_SECONDS_BETWEEN_LOOKS", 0.0)
    (warning,) = made(one=FakeNode()).warnings
    assert "it seems to have no free core" in warning


def test_every_core_of_every_node_gets_a_worker(made: Callable[..., Made]) -> None:
    run = made(1000, one=FakeNode(cores=2), two=FakeNode())
    assert sum(int(line.split()[3]) for line in run.pool.lines()) == 1000
    assert len(ray_pool.ray.killed) == 3
    assert (run.warnings, run.pool.sandbox, run.engine.twice) == ([], "prison", 0)


OTHERS = {
    "numpy 1, here 2": FakeNode(software={"cxr-edge": "1", "numpy": "1"}),
    "onnxruntime 1, here none": FakeNode(
        begun=Provenance({**OURS.versions, "onnxruntime": "1"}, "settings")
    ),
    "fails its self-test": FakeNode(begun="tiny fails its self-test"),
    "other rules": FakeNode(begun=replace(OURS, settings_sha256="other")),
    "does not see the folder /": FakeNode(
        score=lambda chunk: Answer([], unseen=(root(Path("/")),))
    ),
    "cannot be started": FakeNode(score=lambda chunk: Answer([], refusal="cannot be started")),
    "no worker can be started": FakeNode(software=ray_pool.RayError("gone")),  # type: ignore[arg-type]
}


@pytest.mark.parametrize("why", OTHERS)
def test_a_node_that_would_not_do_is_named_and_left_out(
    why: str, made: Callable[..., Made]
) -> None:
    run = made(bad=OTHERS[why], good=FakeNode())
    (warning,) = run.warnings
    assert warning.startswith("node bad (626164) is not used: ")
    assert why in warning
    assert [line.split(" (")[0] for line in run.pool.lines()] == ["node good"]


@pytest.mark.parametrize("why", OTHERS)
def test_no_node_left_is_an_error(why: str, made: Callable[..., Made]) -> None:
    with pytest.raises(DeviceError, match="no node of the cluster can be used"):
        made(bad=OTHERS[why])


@pytest.mark.parametrize("change", ["it is gone", "it is another one"])
def test_a_folder_that_is_gone_everywhere_costs_its_films_alone(
    change: str, made: Callable[..., Made], tmp_path: Path
) -> None:
    """A list of films may be older than a clean-up; one machine says the same."""
    study = tmp_path / "study"
    study.mkdir()
    gone = root(study)
    study.rename(tmp_path / "was")
    if change == "it is another one":
        study.mkdir()

    def score(chunk: Chunk) -> Answer:
        whole = FakeNode().score(chunk)
        rows = [row for row in whole.rows if chunk.files[row[0]].root is None]
        unseen = (gone,) if len(rows) < len(whole.rows) else ()
        return replace(whole, rows=rows, unseen=unseen)

    run = made(100, gone, one=FakeNode(score=score))
    assert (run.warnings, run.engine.twice) == ([], 0)
    reasons = {entry.result.path: entry.result.reason for entry in run.entries}
    assert {name for name, reason in reasons.items() if reason} == {"0"}
    assert reasons["0"] is Reason.MISSING


def test_nodes_without_a_share_cost_no_film(made: Callable[..., Made]) -> None:
    """A film that five nodes in a row cannot see is scored by the sixth."""
    why = "does not see the folder /"
    blind = {f"bad{number}": replace(OTHERS[why]) for number in range(5)}
    run = made(1, **blind, good=FakeNode())
    assert len(run.warnings) == 5
    assert [entry.result.reason for entry in run.entries] == [None]


def test_a_worker_that_dies_is_replaced(made: Callable[..., Made]) -> None:
    deaths = itertools.count()
    score = FakeNode().score

    def dies_once(chunk: Chunk) -> Any:
        return ray_pool.RayError("died") if next(deaths) == 1 else score(chunk)

    run = made(one=FakeNode(score=dies_once))
    assert run.engine.twice > 0
    assert len(ray_pool.ray.killed) == 2


def test_what_came_with_the_answer_of_a_network_that_fails_is_kept(
    kit: Kit, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two chunks of a worker; both answers are there once the second one is."""
    given: list[Chunk] = []

    def score(chunk: Chunk) -> Answer:
        given.append(chunk)
        return FakeNode.score(chunk) if len(given) == 1 else Answer([], failure="out of memory")

    wait = FakeRay.wait
    monkeypatch.setattr(
        *(FakeRay, "wait"),
        lambda self, owed, **_: wait(self, owed) if len(given) != 1 else ([], owed),
    )
    monkeypatch.setattr(ray_pool, "ray", FakeRay(one=FakeNode(score=score)))
    files = [FoundFile(Path(f"/in/{number}"), str(number)) for number in range(64)]
    rows: list[Entry] = []
    with RayPool(kit, OURS, lambda message, tip: None) as pool, pytest.raises(DeviceError):
        for entries in Distributed(pool).rows(files, lambda _: {}, lambda: False):
            rows += entries
    assert len(rows) == 32


def test_a_network_that_fails_ends_the_run(made: Callable[..., Made]) -> None:
    with pytest.raises(DeviceError, match=r"node one \(6f6e65\): out of memory"):
        made(one=FakeNode(score=lambda chunk: Answer([], failure="out of memory")))
