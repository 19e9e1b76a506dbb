"""The page and the chart, from the JSON; no figure in them is typed."""

from __future__ import annotations

from pathlib import Path
from statistics import median
from typing import Any

import jinja2

from tests.latency.figures import (
    COLUMNS,
    WAYS,
    ceiling,
    efficiency,
    lines,
    main_thread_ms,
    stages_per_film,
    table,
)

_SHOWN = ("onnx", "keras")  # formats in the chart; the page has all
_TITLES = {"jpeg": "JPEG", "tiny": "Tiny films: what a file costs as the folder grows"}


def write(results: dict[str, Any], folder: Path) -> None:
    """`benchmark.md` and `benchmark.svg`."""
    (folder / "benchmark.md").write_text(page(results))
    _chart(results, folder / "benchmark.svg")


def page(results: dict[str, Any]) -> str:
    """Markdown."""
    groups: dict[str, list[tuple[str, ...]]] = {}
    for cell in results["cells"]:
        title = f"{_TITLES.get(cell['kind'], cell['kind'])}, {cell['model']}"
        groups.setdefault(title, []).extend(each.cells() for each in lines(cell, results["cores"]))
    facts = results["films"].items()
    films = [(kind, *(f"{fact:.4g}" for fact in about.values())) for kind, about in facts]
    loader = jinja2.FileSystemLoader(Path(__file__).parent)
    template = jinja2.Environment(loader=loader, autoescape=False).get_template("benchmark.md.j2")
    return template.render(
        r=results,
        groups=groups,
        columns=COLUMNS,
        stages=_stages(results["cells"]),
        films=films,
        moments=sorted({(cell["date"], cell["commit"]) for cell in results["cells"]}),
        load=max(cell["load"] for cell in results["cells"]),
        efficiency=efficiency,
        main_thread_ms=main_thread_ms,
        per_core=_per_core(results["cells"]),
        table=table,
        median=median,
    )


def _per_core(cells: list[dict[str, Any]]) -> float:
    """Films that a core decodes and scores in a second, in the largest folder of JPEGs."""
    jpegs = [
        cell for cell in cells if cell["kind"] == "jpeg" and cell["model"] == cells[0]["model"]
    ]
    largest = max(jpegs, key=lambda cell: int(cell["size"]), default=None)
    if largest is None:
        return 0.0
    stages = next(each for each in largest["entrants"] if each["way"] == "ceiling")
    return int(largest["size"]) / ceiling(stages)


def _stages(cells: list[dict[str, Any]]) -> dict[str, list[tuple[str, str]]]:
    """Of the largest folder of each kind, and the first model."""
    found = {}
    for kind in dict.fromkeys(cell["kind"] for cell in cells):
        of_kind = (cell for cell in cells if cell["kind"] == kind)
        cell = max(of_kind, key=lambda each: int(each["size"]))
        for model_format in cell["formats"]:
            title = f"{cell['size']:,} {kind}, {cell['model']}.{model_format}"
            spent = stages_per_film(cell, model_format)
            found[title] = [(name, f"{value:.2f}") for name, value in spent.items()]
    return found


def _chart(results: dict[str, Any], path: Path) -> None:
    """Films per second by folder size: JPEG with the first model, and tiny films."""
    import matplotlib as mpl
    from matplotlib.figure import Figure

    mpl.rcParams["svg.hashsalt"] = "cxr-edge"  # the same figures give the same file
    figure = Figure(figsize=(10, 8), layout="constrained")
    above, below = figure.subfigures(2, 1)
    _kinds(results, below.subplots())
    for axes, kind in zip(above.subplots(1, 2), ("jpeg", "tiny"), strict=True):
        cells = [cell for cell in results["cells"] if cell["kind"] == kind]
        curves: dict[str, list[tuple[int, float]]] = {}
        for cell in cells:
            for line in lines(cell, results["cores"]) if cell["model"] == cells[0]["model"] else ():
                if line.format in _SHOWN:
                    name = WAYS[line.way].replace("`", "")
                    curves.setdefault(name, []).append((line.films, line.films / line.seconds))
        for name, points in curves.items():
            axes.loglog(*zip(*points, strict=True), marker="o", label=name)
        axes.set(xlabel="films in the folder", ylabel="films per second")
        axes.set_title(f"{_TITLES[kind].partition(':')[0]}, {cells[0]['model']}" if cells else "")
        axes.set_xticks(
            sizes := sorted({cell["size"] for cell in cells}), map("{:,}".format, sizes)
        )
        axes.minorticks_off()
        if curves:
            axes.legend(fontsize="small")
    figure.savefig(path, metadata={"Date": None})


def _kinds(results: dict[str, Any], axes: Any) -> None:
    """Bars: films per second of each way, by kind of film, the largest folder of each."""
    speeds: dict[str, dict[str, float]] = {}
    kinds = [kind for kind in dict.fromkeys(c["kind"] for c in results["cells"]) if kind != "tiny"]
    for kind in kinds:
        of_kind = (cell for cell in results["cells"] if cell["kind"] == kind)
        for line in lines(max(of_kind, key=lambda each: int(each["size"])), results["cores"]):
            if line.format in _SHOWN and line.way != "again":
                name = WAYS[line.way].replace("`", "")
                speeds.setdefault(name, {})[kind] = line.films / line.seconds
    width = 0.8 / max(len(speeds), 1)
    for number, (name, by_kind) in enumerate(speeds.items()):
        places = [kinds.index(kind) + number * width - 0.4 + width / 2 for kind in by_kind]
        axes.bar(places, by_kind.values(), width, label=name)
    axes.set(ylabel="films per second", yscale="log", title="By kind of film")
    axes.set_xticks(range(len(kinds)), [kind.replace("_", "\n", 1) for kind in kinds])
    if speeds:
        axes.legend(fontsize="small")
