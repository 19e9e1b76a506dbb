"""Medians, ratios, shares and tables: pure functions of the JSON."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

WAYS = {
    "keras": "the report's Keras way",
    "loop": "naive loop",
    "pool": "naive pool, three threads",
    "process_batch": "torchxrayvision's `process_batch`",
    "pydicom": "pydicom's `pixel_array`, a process for each core",
    "dcmj2pnm": "dcmtk's `dcmj2pnm`, then the PNG",
    "score": "`score`, empty ledger",
    "again": "`score`, all in the ledger",
}
COLUMNS = (
    *("films", "way", "runs", "s (fastest to slowest)", "films/s", "CPU ms/film"),
    *("memory MB", "largest process", "times Keras", "`score` is faster by", "of the ceiling"),
)


@dataclass(frozen=True)
class Line:
    """One way over one folder.

    Attributes:
        wall: seconds of each run.
        cpu_ms: CPU milliseconds per film, median.
        memory: megabytes at the peak, of all processes and of the largest one.
        ratio: how many times faster than Keras over the same films, or None.
        behind: how many times faster `score` is over the same films, or None.
        share: of the ceiling that `score` reaches; None for the others.
    """

    way: str
    format: str
    films: int
    wall: tuple[float, ...]
    cpu_ms: float
    memory: tuple[float, float]
    ratio: float | None
    behind: float | None
    share: float | None

    @property
    def seconds(self) -> float:
        """Median."""
        return median(self.wall)

    def cells(self) -> tuple[str, ...]:
        """As `COLUMNS`."""
        way = WAYS[self.way] if self.way == "keras" else f"{WAYS[self.way]}, {self.format}"
        return (
            f"{self.films:,}",
            way,
            str(len(self.wall)),
            f"{self.seconds:.3g} ({min(self.wall):.3g} to {max(self.wall):.3g})",
            f"{self.films / self.seconds:,.1f}",
            f"{self.cpu_ms:.3g}",
            *(f"{megabytes:.0f}" for megabytes in self.memory),
            f"{self.ratio:.1f}" if self.ratio else "",
            f"{self.behind:.2f}" if self.behind else "",
            f"{self.share:.0%}" if self.share else "",
        )


def lines(cell: dict[str, Any], cores: int) -> list[Line]:
    """Every way over the folder of a cell."""
    entrants = {(each["way"], each["format"]): each for each in cell["entrants"]}
    wall = {key: median(each["wall"]) for key, each in entrants.items() if "wall" in each}
    keras = wall.get(("keras", "keras"))
    best = {
        kind: ceiling(each) / cores for (way, kind), each in entrants.items() if way == "ceiling"
    }
    return [
        Line(
            way,
            kind,
            cell["size"],
            tuple(entrants[way, kind]["wall"]),
            median(entrants[way, kind]["cpu"]) / cell["size"] * 1000,
            (entrants[way, kind]["tree"], entrants[way, kind]["largest"]),
            keras and keras / seconds,
            _behind(way, kind, wall),
            best[kind] / seconds if way == "score" else None,
        )
        for (way, kind), seconds in wall.items()
    ]


def _behind(way: str, kind: str, wall: dict[tuple[str, str], float]) -> float | None:
    """So many times the seconds of `score` with the same file, of ONNX where it is Keras."""
    if way in ("score", "again"):
        return None
    score = wall.get(("score", "onnx" if way == "keras" else kind))
    return score and wall[way, kind] / score


def ceiling(stages: dict[str, Any]) -> float:
    """CPU seconds of decoding and inference alone, median of the runs."""
    return median(map(sum, zip(stages["prepare"], stages["infer"], strict=True)))


def stages_per_film(cell: dict[str, Any], kind: str) -> dict[str, float]:
    """Where `score` spends its CPU, milliseconds per film; the last is what is left over."""
    entrants = {(each["way"], each["format"]): each for each in cell["entrants"]}
    stages = entrants["ceiling", kind]
    spent = {name: median(runs) for name, runs in stages.items() if isinstance(runs, list)}
    whole, infer = spent.pop("prepare"), spent.pop("infer")
    spent |= {"rest of `prepare`": whole - sum(spent.values()), "infer": infer}
    around = median(entrants["score", kind]["cpu"]) - whole - infer
    spent["around it: start-up, processes, ledger, report"] = around
    return {name: seconds / cell["size"] * 1000 for name, seconds in spent.items()}


def efficiency(walls: dict[str, list[float]]) -> list[tuple[str, str, str]]:
    """Cores, seconds, and the share of so many times one core's speed, median runs."""
    alone = median(walls["1"])
    return [
        (cores, f"{median(runs):.3g}", f"{alone / median(runs) / int(cores):.0%}")
        for cores, runs in walls.items()
    ]


def main_thread_ms(seconds: dict[str, list[float]]) -> float:
    """Milliseconds of the main thread that one more film takes."""
    (few, less), (many, more) = ((int(films), median(runs)) for films, runs in seconds.items())
    return (more - less) / (many - few) * 1000


def table(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A Markdown table, figures to the right."""
    marks = ("---" if name in ("way", "") else "---:" for name in columns)
    return "\n".join(
        "| " + " | ".join(map(str, row)) + " |" for row in (columns, marks, *map(tuple, rows))
    )
