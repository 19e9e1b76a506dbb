"""`python -m tests.latency`: measure, and write the page. No test: it takes minutes or hours."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from cxr_edge.support.cores import usable_cores
from tests.latency import machine, scaling, startup
from tests.latency.measure import ROOT, product, timed
from tests.latency.race import FULL, Plan, Pythons, cells, race


def _several(kind: type) -> Any:
    return lambda _, __, text: text and tuple(map(kind, text.split(",")))


@click.command()
@click.option("--full", is_flag=True, help="Everything, for hours; else what takes minutes.")
@click.option("--sizes", callback=_several(int), help="JPEGs in a folder, such as 1,20,600.")
@click.option("--models", callback=_several(str), help="Such as cnn3_128,resnet50v2_50.")
@click.option("--formats", callback=_several(str), help="Such as onnx,tflite.")
@click.option("--kinds", callback=_several(str), help="Other films, such as png16,dicom_rle.")
@click.option("--growth", callback=_several(int), help="Tiny films in a folder: 1000,10000.")
@click.option("--pacs", type=click.IntRange(1), help="Films of each kind as a PACS sends them.")
@click.option("--runs", type=click.IntRange(1), help="Timed ones; the medians are of so many.")
@click.option("--out", type=click.Path(path_type=Path), default=ROOT / "build" / "bench")
@click.option("--cache", type=click.Path(path_type=Path), default=ROOT / "build" / "films")
@click.option("--keras-python", default=sys.executable, help="A Python that has Keras.")
@click.option("--python", default=sys.executable, help="One that has cxr-edge as users have it.")
@click.option("--add", is_flag=True, help="Keep what the JSON has besides what is measured now.")
@click.option("--render", is_flag=True, help="Write page and chart again from the JSON.")
def main(full: bool, out: Path, cache: Path, add: bool, render: bool, **given: Any) -> None:
    """Measure cxr-edge beside the report's Keras way, naive loops, and what the cores could do."""
    pythons = Pythons(given.pop("python"), given.pop("keras_python"))
    plan = replace(FULL if full else Plan(), **{k: v for k, v in given.items() if v is not None})
    saved = out / "benchmark.json"
    if not render:
        out.mkdir(parents=True, exist_ok=True)
        earlier = json.loads(saved.read_text()) if add else {}
        for results in measure(plan, cache, pythons, earlier):  # lest hours be lost
            saved.write_text(json.dumps(results, indent=1) + "\n")
    # Only now: what this process has loaded, others share, and it would not count as theirs.
    from tests.latency.document import write

    write(json.loads(saved.read_text()), out)
    click.echo((out / "benchmark.md").read_text())


def measure(
    plan: Plan, cache: Path, pythons: Pythons, earlier: dict[str, Any]
) -> Iterator[dict[str, Any]]:
    """The JSON as it grows: raw seconds of every run, and what they were measured on.

    Args:
        plan: what is measured.
        cache: folder for the films.
        pythons: interpreters; the one for Keras may have none.
        earlier: figures of this machine to be kept, where they are not measured again.

    Raises:
        click.ClickException: the earlier figures are of another machine or other versions.
    """
    keras = machine.keras_versions(pythons.keras)
    pythons = pythons if keras else replace(pythons, keras="")
    about = machine.describe(keras)
    if earlier and earlier["machine"] != about:
        raise click.ClickException("the figures to be added to are of another machine")
    results: dict[str, Any] = {
        "schema_version": 2,
        "machine": about,
        "cores": usable_cores(),
        "startup": startup.measure(pythons.product, plan.runs),
        "films": earlier.get("films", {}),
        "cells": earlier.get("cells", []),
        "scaling": earlier.get("scaling"),
    }
    wanted = [f"{cell.kind}:{cell.size}" for cell in cells(plan)]
    films = [sys.executable, "-m", "tests.latency.images", str(cache), *dict.fromkeys(wanted)]
    folders, facts = json.loads(timed(films).output)
    results["films"] |= facts
    for cell in cells(plan):
        click.echo(f"{cell.size:,} {cell.kind}, {cell.model}", err=True)
        folder = Path(folders[f"{cell.kind}:{cell.size}"])
        found = race(cell, folder, pythons, plan.runs)
        results["cells"] = added(results["cells"], found)
        yield results
    if len(plan.sizes) > 1:
        few, *_, many = (Path(folders[f"jpeg:{size}"]) for size in sorted(plan.sizes))
        model = ROOT / "models" / f"{plan.models[0]}.{plan.formats[0]}"
        scored = [*product(pythons.product), "score", "--model", str(model)]
        results["scaling"] = scaling.measure(scored, few, many, plan.runs)
        yield results


def added(cells: list[dict[str, Any]], found: dict[str, Any]) -> list[dict[str, Any]]:
    """In the place of the same folder and model, or behind the others."""
    same = {"kind", "size", "model"}
    keys = [{name: cell[name] for name in same} for cell in cells]
    mine = {name: found[name] for name in same}
    if mine in keys:
        return [found if key == mine else cell for key, cell in zip(keys, cells, strict=True)]
    return [*cells, found]


if __name__ == "__main__":
    main()
