"""Who runs, and in which turn: A B C, A B C, and so on."""

from __future__ import annotations

import json
import shutil
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from tests.latency import machine
from tests.latency.measure import ROOT, Memory, Times, product, timed, watched

Outcome = TypeVar("Outcome", Times, Memory)
OTHER_SIZE = 100  # films in a format other than JPEG
OF_OTHERS = 600  # JPEGs for models other than the first
PEERS = ("process_batch", "pydicom", "dcmj2pnm")
PACS = ("pacs", "pacs_jpeg2000", "pacs_jpeg_lossless", "pacs_rle")


@dataclass(frozen=True)
class Plan:
    """What is measured.

    Attributes:
        sizes: films in a folder of JPEGs.
        models: by name; those after the first score one folder each.
        formats: `onnx`, `tflite`.
        kinds: other file formats, `OTHER_SIZE` films each; of those of a PACS, `pacs`.
        growth: tiny films in a folder.
        runs: timed ones; the medians are of so many.
        pacs: films of a detector's size in a folder.
    """

    sizes: tuple[int, ...] = (1, 20, 600)
    models: tuple[str, ...] = ("cnn3_128",)
    formats: tuple[str, ...] = ("onnx",)
    kinds: tuple[str, ...] = ("png16", *PACS)
    growth: tuple[int, ...] = (1000, 10_000)
    runs: int = 3
    pacs: int = 36


FULL = Plan(
    (1, 20, 600, 5000),
    ("cnn3_128", "cnn3_50", "cnn4_50", "resnet18_96", "efficientnet_lite0_160", "resnet50v2_50"),
    ("onnx", "tflite"),
    ("png16", "dicom", "dicom_jpeg_lossless", "dicom_jpeg2000", "dicom_rle", *PACS),
    (1000, 10_000, 100_000),
    5,
)


@dataclass(frozen=True)
class Pythons:
    """Who runs what: `product` has cxr-edge installed, `keras` Keras, or is empty."""

    product: str
    keras: str


@dataclass(frozen=True)
class Cell:
    """One folder and one model, and who scores it in turn."""

    kind: str
    size: int
    model: str
    formats: tuple[str, ...]
    ways: tuple[str, ...]


def cells(plan: Plan) -> list[Cell]:
    """Everything, the small first; the first model alone runs beside its peers."""
    everyone = ("keras", "loop", "pool", "process_batch", "score", "again")
    first, one_format = plan.models[0], plan.formats[:1]
    return [
        *(Cell("jpeg", size, first, plan.formats, everyone) for size in plan.sizes),
        *(Cell("jpeg", OF_OTHERS, m, plan.formats, ("score",)) for m in plan.models[1:]),
        *(
            Cell(kind, OTHER_SIZE, first, one_format, ("loop", "pool", "score"))
            for kind in plan.kinds
            if kind not in PACS
        ),
        *(
            Cell(kind, plan.pacs, first, one_format, _of_a_pacs(kind))
            for kind in plan.kinds
            if kind in PACS
        ),
        *(Cell("tiny", n, first, one_format, ("score", "again")) for n in plan.growth),
    ]


def _of_a_pacs(kind: str) -> tuple[str, ...]:
    """Who can read such films: dcmtk as Debian has it knows no JPEG 2000."""
    return ("pydicom", "score") if "2000" in kind else ("pydicom", "dcmj2pnm", "score")


@dataclass
class Entrant:
    """One way of scoring a folder, and what it took.

    Attributes:
        command: `{own}` stands for a new folder.
    """

    way: str
    format: str
    command: tuple[str, ...]
    times: list[Times] = field(default_factory=list)
    memory: Memory | None = None

    def run(self, how: Callable[[Sequence[str]], Outcome], scratch: str) -> Outcome:
        """Once, `timed` or `watched`."""
        with tempfile.TemporaryDirectory(dir=scratch) as own:
            return how([part.replace("{own}", own) for part in self.command])

    def to_dict(self) -> dict[str, Any]:
        """For the JSON: a list over the runs for each figure."""
        if self.way == "ceiling":
            stages = [json.loads(each.output) for each in self.times]
            return {name: [each[name] for each in stages] for name in stages[0]}
        seconds = {"wall": [each.wall for each in self.times], "cpu": [e.cpu for e in self.times]}
        said = self.times[0].output.strip()[-200:]
        return {**seconds, **asdict(self.memory or Memory(0, 0, 0)), "said": said}


def race(cell: Cell, folder: Path, pythons: Pythons, runs: int) -> dict[str, Any]:
    """One round that warms the page cache and is watched for memory, then the timed ones.

    Args:
        cell: who runs.
        folder: with its films.
        pythons: interpreters.
        runs: the timed ones.
    """
    before = machine.moment()
    with tempfile.TemporaryDirectory(dir=folder.parent) as scratch:
        entrants = _entrants(cell, folder, pythons, scratch)
        for entrant in entrants:
            if entrant.way == "again":
                entrant.run(timed, scratch)  # fills the ledger
            if entrant.way != "ceiling":
                entrant.memory = entrant.run(watched, scratch)
        for _ in range(runs):
            for entrant in entrants:
                entrant.times.append(entrant.run(timed, scratch))
    found = [{"way": each.way, "format": each.format, **each.to_dict()} for each in entrants]
    return {**asdict(cell), **before, "entrants": found}


def _entrants(cell: Cell, folder: Path, pythons: Pythons, scratch: str) -> list[Entrant]:
    ways = [way for way in cell.ways if _is_there(way, pythons)]
    own = [sys.executable, "-m"]
    found = []
    for way in (*ways, "ceiling"):
        for kind in _formats(way, cell):
            model = str(ROOT / "models" / f"{cell.model}.{kind}")
            score = [*product(pythons.product), "score", str(folder), "--model", model, "-q"]
            score += ["--out", "{own}/out", "--state"]
            commands = {
                "keras": [pythons.keras, "-m", "tests.latency.keras_way", cell.model, str(folder)],
                "loop": [*own, "tests.latency.naive", "loop", model, str(folder)],
                "pool": [*own, "tests.latency.naive", "pool", model, str(folder)],
                "ceiling": [*own, "tests.latency.ceiling", model, str(folder)],
                **{peer: [*own, "tests.latency.peers", peer, model, str(folder)] for peer in PEERS},
                "score": [*score, "{own}/state"],
                "again": [*score, f"{scratch}/state-{kind}"],
            }
            found.append(Entrant(way, kind, tuple(commands[way])))
    return found


def _is_there(way: str, pythons: Pythons) -> bool:
    """Whether what a way needs is installed."""
    return {"keras": bool(pythons.keras), "dcmj2pnm": shutil.which(way) is not None}.get(way, True)


def _formats(way: str, cell: Cell) -> tuple[str, ...]:
    """The model files that a way runs with: those of others have an ONNX session."""
    if way == "keras":
        return ("keras",)
    return tuple(each for each in cell.formats if way not in PEERS or each == "onnx")
